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
    this.plots = data.panels.map((panel, at) => this.panel(panel, at === data.panels.length - 1));
    this.dataset.drawn = String(data.panels.length);
  }

  panel(panel, isLast) {
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
    latest.textContent = panel.summary;
    const plot = new uPlot(this.options(panel, isLast, latest), panel.data, box);
    plot.over.addEventListener("click", () => {
      const at = plot.cursor.idx;
      if (at != null && panel.links[at]) location.assign(panel.links[at]);
    });
    plot.over.style.cursor = "pointer";
    return plot;
  }

  options(panel, isLast, latest) {
    const ink = css("--muted"), line = css("--line"), colours = [css("--s0"), css("--s1"), css("--s2")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    return {
      width: this.clientWidth - 8, height: isLast ? 100 : 74, padding: [6, 14, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), this.zone),
      cursor: { sync: { key: "vitals" }, points: { size: 9 }, drag: { x: true, y: false }, focus: { prox: 24 } },
      scales: { x: { range: this.range() }, y: { range: (_, low, high) => [Math.max(-panel.room / 6, Math.min(low ?? panel.low, panel.low) - panel.room), Math.max(high ?? panel.high, panel.high) + panel.room] } },
      axes: [
        { ...axis, show: isLast, space: 70,
          values: [[86400, "{DD}-{MMM}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{DD}-{MMM}", null, "\n{DD}-{MMM}", null, null, null, 1], [60, "{HH}:{mm}", "\n{DD}-{MMM}", null, "\n{DD}-{MMM}", null, null, null, 1]] },
        { ...axis, size: 44, space: 22, incrs: [0.5, 1, 2, 5, 10, 20, 50, 100] },
      ],
      series: [{}, ...panel.series.map((name, at) => ({
        label: name, stroke: colours[at], width: 1.75, spanGaps: true,
        points: { show: panel.data[0].length < 200, size: 6, fill: colours[at], stroke: colours[at] },
      }))],
      hooks: {
        drawClear: [(plot) => this.band(plot, panel)],
        setCursor: [(plot) => { latest.textContent = this.said(panel, plot.cursor.idx) ?? panel.summary; }],
      },
    };
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

  said(panel, at) {
    if (at == null || panel.data[0][at] === undefined) return null;
    const values = panel.series.map((_, n) => panel.data[n + 1][at] ?? "–").join(" / ");
    return `${values} ${panel.unit}, ${panel.times[at]}, from ${panel.sources[at]}`;
  }

  fit() {
    for (const plot of this.plots) {
      if (Math.abs(plot.width - (this.clientWidth - 8)) > 2) plot.setSize({ width: this.clientWidth - 8, height: plot.height });
    }
  }
}

customElements.define("vitals-chart", VitalsChart);
