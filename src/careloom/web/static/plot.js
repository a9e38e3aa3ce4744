// plot: the rows of a table as a chart: line, bar, scatter, histogram or one big number. SVG of our own; the table below says the same.
"use strict";

const KINDS = [["", "no chart"], ["line", "line"], ["bar", "bars"], ["scatter", "scatter"], ["histogram", "histogram"], ["number", "big number"]];
const NS = "http://www.w3.org/2000/svg";
const ROOM = { left: 62, right: 14, top: 12, bottom: 44 };
const MOST_BARS = 60;
const STEPS = [60, 300, 900, 3600, 10800, 21600, 43200, 86400, 172800, 604800];

const CLOCK = { hour: "2-digit", minute: "2-digit" }, DAY = { day: "2-digit", month: "short" };
const GRAINS = {
  year: { year: "numeric" }, month: { month: "short", year: "numeric" }, day: DAY, dayOfYears: { ...DAY, year: "numeric" },
  time: { ...DAY, ...CLOCK }, timeOfYears: { ...DAY, year: "numeric", ...CLOCK },
};

const make = (name, set, text) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(set)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

// "2026-03-01", "2026-03-01 10:00:00+00:00", "2026-03-01T10:00Z", "2026-03", "2026": a time in ms; NaN for what is none.
// What has an offset is told in the zone of the site; what has none, as it is written.
function instant(text) {
  const found = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?)?$/.exec(text);
  if (!found) return { at: NaN, zoned: false };
  const [, year, month = "01", day = "01", hour = "00", minute = "00", second = "00", zone] = found;
  return { at: Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone ? zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2") : "Z"}`), zoned: Boolean(zone) };
}

class Plot {
  constructor(figure) {
    this.figure = figure;
    this.table = document.getElementById("rows");
    this.heads = [...this.table.tHead.rows[0].cells].map((cell, n) => ({ n, name: cell.textContent, isNumber: "number" in cell.dataset, kind: cell.title }));
    // What is rounded, or told as a day, for the eye is whole in data-value.
    this.cells = [...this.table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent));
    for (const head of this.heads) {
      const texts = this.cells.map((row) => row[head.n]).filter(Boolean);
      head.isTime = !head.isNumber && texts.length > 0 && texts.every((text) => !Number.isNaN(instant(text).at));
      head.zoned = head.isTime && texts.some((text) => instant(text).zoned);
    }
    this.box = figure.querySelector("[data-drawn]");
    this.said = figure.querySelector("[data-said]");
    this.at = -1;
    this.controls();
    this.sized = new ResizeObserver(() => { if (Math.abs(this.box.clientWidth - (this.width ?? 0)) > 4) this.draw(); });
    this.sized.observe(this.box);
    this.draw();
  }

  controls() {
    const wish = this.figure.dataset;
    const numbers = this.heads.filter((head) => head.isNumber);
    const y = this.heads.find((head) => head.name === wish.y) ?? numbers.find((head) => head.name !== (wish.x || this.heads[0].name)) ?? numbers[0];
    const x = this.heads.find((head) => head.name === wish.x) ?? this.heads.find((head) => head !== y) ?? y;
    const isOne = this.cells.length === 1 && numbers.length > 0;
    const guess = !y ? "" : isOne ? "number" : this.cells.length < 2 || x === y ? "" : x.isTime && this.cells.length > 20 ? "line" : x.isNumber && this.cells.length > MOST_BARS ? "scatter" : "bar";
    this.fields = {};
    const names = this.heads.map((head) => [head.name, head.name]);
    const told = [["kind", "Chart", KINDS, wish.kind ?? guess], ["x", "Along", names, x?.name], ["y", "Values", names, y?.name]];
    const bar = this.figure.querySelector("[data-controls]");
    for (const [name, title, all, chosen] of told) {
      const select = Object.assign(document.createElement("select"), { id: `chart-${name}` });
      select.append(...all.map(([value, text]) => new Option(text, value, false, value === chosen)));
      bar.append(this.field(name, title, select));
    }
    const unit = Object.assign(document.createElement("input"), { id: "chart-unit", value: wish.unit ?? "", size: 8, autocomplete: "off" });
    bar.append(this.field("unit", "Unit", unit));
  }

  field(name, title, control) {
    const box = Object.assign(document.createElement("div"), { className: "field beside" });
    control.dataset.chartField = `chart.${name}`;
    control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => this.draw());
    this.fields[name] = control;
    box.append(Object.assign(document.createElement("label"), { htmlFor: control.id, textContent: title }), control);
    return box;
  }

  draw() {
    const kind = this.fields.kind.value;
    this.box.replaceChildren();
    this.said.textContent = "";
    this.figure.querySelector("[data-point]").textContent = "";
    this.points = [];
    this.at = -1;
    this.width = this.box.clientWidth;
    this.unit = this.fields.unit.value.trim();
    this.x = this.heads.find((head) => head.name === this.fields.x.value);
    this.y = this.heads.find((head) => head.name === this.fields.y.value);
    this.fields.x.disabled = kind === "histogram" || kind === "number";
    if (!kind || !this.y) return;
    const told = this.cells.map((row) => ({ x: row[this.x.n], text: row[this.y.n], value: row[this.y.n] === "" ? NaN : Number(row[this.y.n]) }));
    const rows = told.filter((one) => Number.isFinite(one.value));
    if (!rows.length) { this.said.textContent = `${this.y.name} holds no numbers to draw.`; return; }
    if (kind === "number") this.number(rows);
    else if (kind === "histogram") this.histogram(rows);
    else this.along(kind, rows);
  }

  number(rows) {
    const big = Object.assign(document.createElement("p"), { className: "big" });
    big.append(Object.assign(document.createElement("b"), { textContent: rows[0].value.toLocaleString("en-GB", { maximumFractionDigits: 6 }) }), ` ${this.unit}`);
    this.box.append(big);
    this.said.textContent = `${this.y.name}${rows.length > 1 ? ", of the first row" : ""}`;
  }

  histogram(rows) {
    const values = rows.map((one) => one.value).sort((a, b) => a - b);
    const [low, high] = [values[0], values.at(-1)];
    const ticks = this.ticks(low, high, Math.max(4, Math.min(30, Math.ceil(Math.sqrt(values.length)))));
    const step = ticks[1] - ticks[0] || 1;
    const start = Math.floor(low / step) * step;
    const bins = Array.from({ length: Math.max(1, Math.floor((high - start) / step + 1e-9) + 1) }, (_, n) => ({ from: start + n * step, count: 0 }));
    for (const value of values) bins[Math.min(bins.length - 1, Math.floor((value - start) / step + 1e-9))].count += 1;
    const said = (bin) => `${this.short(bin.from)} to ${this.short(bin.from + step)}`;
    this.bars(bins.map((bin) => ({ x: said(bin), label: this.short(bin.from), value: bin.count })), `${this.y.name}${this.unit ? ` in ${this.unit}` : ""}`, "rows", "rows");
    this.sum(`${values.length} values of ${this.y.name} from ${this.short(low)} to ${this.short(high)} ${this.unit}, median ${this.short(values[Math.floor(values.length / 2)])}`);
  }

  along(kind, rows) {
    const isScaled = this.x.isTime || this.x.isNumber;
    const extremes = rows.map((one) => one.value);
    const from = Math.min(...extremes), until = Math.max(...extremes);
    const cut = kind === "bar" && rows.length > MOST_BARS ? `; the first ${MOST_BARS} are drawn` : "";
    const title = this.x.isTime && this.x.zoned ? `${this.x.name} (${this.figure.dataset.zone})` : this.x.name;
    if (kind === "bar" || !isScaled) this.bars(rows.slice(0, kind === "bar" ? MOST_BARS : rows.length).map((one) => ({ ...one, label: this.label(one.x) })), title, this.y.name, this.unit, kind);
    else this.scaled(kind, rows);
    this.sum(`${this.y.name} by ${this.x.name}: ${rows.length} values from ${this.short(from)} to ${this.short(until)} ${this.unit}${cut}`);
  }

  // As precisely as the column tells: the year where all are first days of years, then month, day, and time.
  label(text) {
    if (!this.x.isTime || !text) return text;
    const zone = this.x.zoned ? this.figure.dataset.zone : "UTC";
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...GRAINS[this.grain()] });
    return format.format(instant(text).at);
  }

  grain() {
    if (this.x.grain) return this.x.grain;
    const zone = this.x.zoned ? this.figure.dataset.zone : "UTC";
    const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
    const told = this.cells.map((row) => row[this.x.n]).filter(Boolean).map((text) => Object.fromEntries(parts.formatToParts(instant(text).at).map((one) => [one.type, Number(one.value)])));
    const isDay = told.every((one) => !one.hour && !one.minute && !one.second);
    const isMonth = isDay && told.every((one) => one.day === 1);
    const isYear = isMonth && told.every((one) => one.month === 1);
    const isOneYear = new Set(told.map((one) => one.year)).size === 1;
    this.x.grain = isYear ? "year" : isMonth ? "month" : `${isDay ? "day" : "time"}${isOneYear ? "" : "OfYears"}`;
    return this.x.grain;
  }

  // One place for each row.
  bars(rows, xTitle, yTitle, unit, kind = "bar") {
    const { svg, y, wide, high } = this.frame([0, ...rows.map((one) => one.value)], xTitle, yTitle, unit);
    const slot = wide / rows.length;
    const every = Math.ceil(rows.length / Math.max(1, Math.floor(wide / Math.min(140, Math.max(...rows.map((one) => one.label.length)) * 7.2 + 14))));
    const middle = (n) => ROOM.left + (n + 0.5) * slot;
    if (kind === "line") svg.append(make("polyline", { class: "curve", points: rows.map((one, n) => `${middle(n)},${y(one.value)}`).join(" ") }));
    rows.forEach((one, n) => {
      if (kind === "bar") svg.append(make("rect", { class: "bar-of", x: ROOM.left + n * slot + Math.min(2, slot * 0.1), width: Math.max(1, slot - Math.min(4, slot * 0.2)), y: Math.min(y(one.value), y(0)), height: Math.max(1, Math.abs(y(one.value) - y(0))) }));
      else svg.append(make("circle", { class: "dot", cx: middle(n), cy: y(one.value), r: 3 }));
      if (n % every === 0) svg.append(make("text", { class: "tick", x: middle(n), y: ROOM.top + high + 16, "text-anchor": "middle" }, one.label.length > 20 ? `${one.label.slice(0, 19)}…` : one.label));
      this.points.push({ x: middle(n), y: y(one.value), said: `${one.x || "none"}: ${this.short(one.value)} ${unit}` });
    });
    this.live(svg);
  }

  // Both axes have a measure.
  scaled(kind, rows) {
    const told = rows.map((one) => ({ ...one, at: this.x.isTime ? instant(one.x).at / 1000 : one.x === "" ? NaN : Number(one.x) })).filter((one) => Number.isFinite(one.at));
    if (kind === "line") told.sort((a, b) => a.at - b.at);
    const [low, high] = told.reduce(([a, b], one) => [Math.min(a, one.at), Math.max(b, one.at)], [Infinity, -Infinity]);
    const span = high - low || 1;
    const zone = this.x.zoned ? this.figure.dataset.zone : "UTC";
    const title = this.x.isTime && this.x.zoned ? `${this.x.name} (${zone})` : this.x.name;
    const { svg, y, wide, high: tall } = this.frame(told.map((one) => one.value), title, this.y.name, this.unit);
    const x = (value) => ROOM.left + 8 + ((value - low) / span) * (wide - 16);
    const ticks = this.x.isTime ? this.times(low, high, wide, zone) : this.ticks(low, high, Math.max(2, Math.floor(wide / 90))).map((value) => [value, this.short(value)]);
    for (const [value, label] of ticks) {
      if (value < low - span * 0.001 || value > high + span * 0.001) continue;
      svg.append(make("line", { class: "grid-of", x1: x(value), x2: x(value), y1: ROOM.top, y2: ROOM.top + tall }), make("text", { class: "tick", x: x(value), y: ROOM.top + tall + 16, "text-anchor": "middle" }, label));
    }
    if (kind === "line") svg.append(make("polyline", { class: "curve", points: told.map((one) => `${x(one.at)},${y(one.value)}`).join(" ") }));
    for (const one of told) {
      if (kind === "scatter" || told.length <= 120) svg.append(make("circle", { class: "dot", cx: x(one.at), cy: y(one.value), r: 3 }));
      this.points.push({ x: x(one.at), y: y(one.value), said: `${this.x.isTime ? this.moment(one.at, zone) : one.x}: ${this.short(one.value)} ${this.unit}` });
    }
    this.live(svg);
  }

  frame(values, xTitle, yTitle, unit) {
    const width = Math.max(280, this.width), height = Math.max(180, Math.min(300, width * 0.42));
    const wide = width - ROOM.left - ROOM.right, high = height - ROOM.top - ROOM.bottom;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "chart-of" });
    const low = Math.min(...values), top = Math.max(...values), room = top === low ? Math.abs(top) * 0.1 || 1 : 0;
    const ticks = this.ticks(low - room, top + room, Math.max(3, Math.floor(high / 44)));
    const step = ticks[1] - ticks[0] || 1, from = Math.floor((low - room) / step) * step, until = Math.ceil((top + room) / step - 1e-9) * step;
    const y = (value) => ROOM.top + high - ((value - from) / (until - from || 1)) * high;
    for (let value = from; value <= until + step / 2; value += step) {
      const at = y(value);
      svg.append(make("line", { class: Math.abs(value) < step / 1e6 ? "zero" : "grid-of", x1: ROOM.left, x2: width - ROOM.right, y1: at, y2: at }), make("text", { class: "tick", x: ROOM.left - 6, y: at + 4, "text-anchor": "end" }, this.short(value)));
    }
    svg.append(make("text", { class: "title", x: ROOM.left + wide / 2, y: height - 6, "text-anchor": "middle" }, xTitle));
    const middle = ROOM.top + high / 2;
    svg.append(make("text", { class: "title", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, `${yTitle}${unit && unit !== yTitle ? ` (${unit})` : ""}`));
    this.box.replaceChildren(svg);
    return { svg, y, wide, high };
  }

  // Left and right go from value to value; each is said.
  live(svg) {
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "group");
    const mark = make("circle", { class: "mark-of", r: 6, visibility: "hidden" });
    svg.append(mark);
    const go = (next) => {
      this.at = Math.max(0, Math.min(this.points.length - 1, next));
      const point = this.points[this.at];
      mark.setAttribute("cx", point.x);
      mark.setAttribute("cy", point.y);
      mark.setAttribute("visibility", "visible");
      this.figure.querySelector("[data-point]").textContent = point.said.trim();
    };
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: this.at + 1, ArrowLeft: this.at - 1, Home: 0, End: this.points.length - 1, PageDown: this.at + 10, PageUp: this.at - 10 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      go(step);
    });
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let best = 0;
      this.points.forEach((point, n) => { if (Math.hypot((point.x - px) * 3, point.y - py) < Math.hypot((this.points[best].x - px) * 3, this.points[best].y - py)) best = n; });
      go(best);
    });
  }

  sum(text) {
    this.said.textContent = `${text.trim()}.`;
    this.box.querySelector("svg")?.setAttribute("aria-label", `${text.trim()}. Arrow keys go from value to value.`);
  }

  ticks(low, high, count) {
    const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? rough;
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step / 1e6; value += step) found.push(value);
    return found.length > 1 ? found : [found[0] ?? low, (found[0] ?? low) + step];
  }

  // Ticks at round hours, days, months or years of the zone.
  times(low, high, wide, zone) {
    const count = Math.max(2, Math.floor(wide / 90)), rough = (high - low) / count;
    const step = STEPS.find((one) => one >= rough);
    const label = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...(step && step < 86400 ? { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" } : step ? { day: "2-digit", month: "short" } : rough < 86400 * 300 ? { month: "short", year: "numeric" } : { year: "numeric" }) });
    const found = [];
    if (step) {
      const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(low * 1000).find((one) => one.type === "timeZoneName").value;
      const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(parts) ?? [null, "+", "0", "0"];
      const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
      for (let at = Math.ceil((low + offset) / step) * step - offset; at <= high; at += step) found.push([at, label.format(at * 1000)]);
      return found;
    }
    const months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200].find((one) => one * 2_629_800 >= rough) ?? 2400;
    const first = new Date(low * 1000);
    for (let month = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months; ; month += months) {
      const at = Date.UTC(Math.floor(month / 12), month % 12, 1, 12) / 1000;
      if (at > high) return found;
      if (at >= low) found.push([at, label.format(at * 1000)]);
    }
  }

  moment(at, zone) {
    return new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(at * 1000);
  }

  short(value) {
    return Math.abs(value) >= 1e12 || (value && Math.abs(value) < 1e-4) ? value.toExponential(2) : Number(value.toPrecision(10)).toLocaleString("en-GB", { maximumFractionDigits: 6 });
  }
}

let plot = null;
function drawn() {
  const figure = document.querySelector("[data-plot]");
  if (!figure || figure.dataset.done) return;
  plot?.sized.disconnect();
  figure.dataset.done = "1";
  figure.hidden = false;
  plot = new Plot(figure);
}
document.addEventListener("htmx:afterSwap", drawn);
drawn();
