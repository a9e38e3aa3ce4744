// chart: vital signs as small multiples on one time axis (uPlot). The table beside it says the same in words.
"use strict";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class VitalsChart extends HTMLElement {
  connectedCallback() {
    this.plots = [];
    this.zone = this.dataset.zone;
    this.load();
    // htmx asks for the numbers again when the stream says that the patient changed; here they are drawn.
    this.addEventListener("htmx:afterRequest", (event) => {
      if (event.target === this && event.detail.successful) this.draw(JSON.parse(event.detail.xhr.responseText));
    });
    this.sized = new ResizeObserver(() => this.fit());
    this.sized.observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(this.data));
  }

  disconnectedCallback() {
    this.sized.disconnect();
    for (const plot of this.plots) plot.destroy();
  }

  async load() {
    const answer = await fetch(this.dataset.src, { headers: { Accept: "application/json" } });
    if (answer.ok) this.draw(await answer.json());
  }

  draw(data) {
    if (!data) return;
    this.data = data;
    for (const plot of this.plots) plot.destroy();
    this.replaceChildren();
    this.plots = data.panels.map((panel, at) => this.panel(panel, at, data.panels.length));
    this.dataset.drawn = String(data.panels.length);
  }

  panel(panel, at, count) {
    const head = document.createElement("div");
    head.className = "chart-head";
    const label = Object.assign(document.createElement("b"), { textContent: panel.label });
    const unit = Object.assign(document.createElement("span"), { className: "muted small", textContent: panel.unit });
    const latest = Object.assign(document.createElement("span"), { className: "latest small" });
    head.append(label, unit, latest);
    const box = Object.assign(document.createElement("div"), { className: "chart" });
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `${panel.label}: ${panel.summary}`);
    this.append(head, box);
    this.say(latest, panel, null);
    const plot = new uPlot(this.options(panel, at === 0, at === count - 1, latest), panel.data, box);
    plot.over.addEventListener("click", () => {
      const at = plot.cursor.idx;
      if (at != null && panel.links[at]) location.assign(panel.links[at]);
    });
    plot.over.style.cursor = "pointer";
    return plot;
  }

  options(panel, isFirst, isLast, latest) {
    const ink = css("--muted"), line = css("--line"), colours = [css("--s0"), css("--s1"), css("--s2")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    // The time stands above the first and below the last; the lines of the hours run through all.
    const above = [[86400, "{DD}-{MMM}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]];
    const times = [[86400, "{DD}-{MMM}", "\n{YYYY}", null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{DD}-{MMM}", null, "\n{DD}-{MMM}", null, null, null, 1], [60, "{HH}:{mm}", "\n{DD}-{MMM}", null, "\n{DD}-{MMM}", null, null, null, 1]];
    return {
      width: this.clientWidth - 8, height: 70 + (isLast ? 36 : isFirst ? 22 : 0), padding: [6, 14, isLast ? 0 : 4, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), this.zone),
      cursor: { sync: { key: "vitals" }, points: { size: 9 }, drag: { x: true, y: false }, focus: { prox: 24 } },
      scales: { x: { range: this.range() }, y: { range: (_, low, high) => [Math.max(-panel.room / 6, Math.min(low ?? panel.low, panel.low) - panel.room), Math.max(high ?? panel.high, panel.high) + panel.room] } },
      axes: [
        isFirst && !isLast ? { ...axis, side: 0, size: 22, space: 70, values: above } : isLast ? { ...axis, size: 36, space: 70, values: times } : { ...axis, size: 0, space: 70, values: (_, splits) => splits.map(() => "") },
        { ...axis, size: 44, space: 22, incrs: [0.5, 1, 2, 5, 10, 20, 50, 100] },
      ],
      series: [{}, ...panel.series.map((name, at) => ({
        label: name, stroke: colours[at], width: 1.75, spanGaps: true,
        points: { show: panel.data[0].length < 200, size: 6, fill: colours[at], stroke: colours[at] },
      }))],
      hooks: {
        drawClear: [(plot) => this.band(plot, panel)],
        draw: [(plot) => this.outside(plot, panel)],
        setCursor: [(plot) => this.say(latest, panel, plot.cursor.idx)],
      },
    };
  }

  // What lies outside the band is a square with a ring: shape, not colour alone. The band speaks of the first series.
  outside(plot, panel) {
    if (panel.data[0].length >= 200) return;
    const { ctx } = plot, size = 7 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = css("--soon");
    panel.data[1].forEach((value, at) => {
      if (value == null || (value >= panel.low && value <= panel.high)) return;
      const x = plot.valToPos(panel.data[0][at], "x", true), y = plot.valToPos(value, "y", true);
      ctx.fillRect(x - size / 2, y - size / 2, size, size);
    });
    ctx.restore();
  }

  range() {
    const { from, until } = this.data;
    return [from, until];
  }

  // The span that scores nothing, so that the eye sees at once what lies outside.
  band(plot, panel) {
    const top = plot.valToPos(panel.high, "y", true), bottom = plot.valToPos(panel.low, "y", true);
    plot.ctx.save();
    plot.ctx.fillStyle = css("--good-soft");
    plot.ctx.fillRect(plot.bbox.left, top, plot.bbox.width, bottom - top);
    plot.ctx.restore();
  }

  // The value under the pointer, else the latest; marked where it lies outside the band.
  say(node, panel, at) {
    const last = panel.data[0].length - 1, shown = at != null && panel.data[0][at] !== undefined ? at : last;
    const values = panel.series.map((_, n) => panel.data[n + 1][shown] ?? "–").join(" / ");
    const first = panel.data[1][shown];
    const strong = Object.assign(document.createElement("b"), { textContent: `${values} ${panel.unit}` });
    if (first != null && (first < panel.low || first > panel.high)) strong.className = "out";
    const rest = at == null ? panel.summary.split("; ").slice(1).join("; ") : `from ${panel.sources[shown]}`;
    node.replaceChildren(strong, ` ${panel.times[shown]}${rest ? `; ${rest}` : ""}`);
  }

  fit() {
    for (const plot of this.plots) {
      if (Math.abs(plot.width - (this.clientWidth - 8)) > 2) plot.setSize({ width: this.clientWidth - 8, height: plot.height });
    }
  }
}

customElements.define("vitals-chart", VitalsChart);
