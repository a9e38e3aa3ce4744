// sql: runs with Ctrl-Enter, suggests tables and columns, asks for the values of $names, draws a result of two columns.
"use strict";

const ask = document.getElementById("ask");
const sql = document.getElementById("sql");
const hinted = document.getElementById("hinted");
const values = document.getElementById("values");
// Each column as name:type; they are many, so their list is made when a table is opened.
const common = document.querySelector("[data-common]").dataset.common;
const columnsOf = (table) => `${table.dataset.columns} ${common}`.trim().split(" ");
const tables = new Map([...document.querySelectorAll("[data-table]")].map((one) => [
  one.dataset.table, columnsOf(one).map((column) => column.split(":")[0])]));
const WORDS = ["select", "from", "where", "group by", "order by", "limit", "join", "left join", "with", "having", "count(*)", "describe", "unnest(", "list_contains(", "list_transform(", "try_cast("];
const MOST = 8;

const word = () => /[\w"]*$/.exec(sql.value.slice(0, sql.selectionStart))[0].replaceAll('"', "");

function suggestions() {
  const typed = word().toLowerCase();
  if (!typed) return [];
  const named = [...tables.keys()].filter((name) => new RegExp(`\\b${name}\\b`, "i").test(sql.value));
  const all = [...named.flatMap((name) => tables.get(name)), ...tables.keys(), ...WORDS];
  return [...new Set(all)].filter((one) => one.toLowerCase().startsWith(typed) && one.toLowerCase() !== typed).slice(0, MOST);
}

function take(text) {
  const end = sql.selectionStart;
  sql.setRangeText(text, end - word().length, end, "end");
  sql.focus();
  sql.dispatchEvent(new Event("input", { bubbles: true }));
}

function hint() {
  hinted.replaceChildren(...suggestions().map((text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "button second slim", textContent: text, tabIndex: -1 });
    button.addEventListener("click", () => take(text));
    return button;
  }));
}

// A $name in the statement gets a field of its own, and keeps what was typed there.
function names() {
  const bare = sql.value.replace(/'(?:[^']|'')*'|--[^\n]*|"[^"]*"/g, "");
  const found = [...new Set([...bare.matchAll(/\$([A-Za-z_]\w*)/g)].map((one) => one[1]))];
  const kept = new Map([...values.querySelectorAll("input")].map((one) => [one.name, one.value]));
  if (found.join() === [...kept.keys()].map((one) => one.slice(2)).join()) return;
  values.replaceChildren(...found.map((name) => {
    const field = Object.assign(document.createElement("div"), { className: "field beside" });
    const label = Object.assign(document.createElement("label"), { htmlFor: `p-${name}`, textContent: `$${name}` });
    const input = Object.assign(document.createElement("input"), { type: "text", id: `p-${name}`, name: `p.${name}`, value: kept.get(`p.${name}`) ?? "", autocomplete: "off" });
    field.append(label, input);
    return field;
  }));
}

sql.addEventListener("input", () => { hint(); names(); });
sql.addEventListener("blur", () => setTimeout(() => { if (!hinted.contains(document.activeElement)) hinted.replaceChildren(); }, 200));
sql.addEventListener("keydown", (event) => {
  if (event.key === "Tab" && !event.shiftKey && hinted.firstChild) {
    event.preventDefault();
    hinted.firstChild.click();
  } else if (event.key === "Escape" && hinted.firstChild) {
    event.stopPropagation();
    hinted.replaceChildren();
  }
});
ask.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    hinted.replaceChildren();
    ask.requestSubmit(ask.querySelector("[data-run]"));
  }
});
// A file is fetched by the browser itself: a plain form, which htmx leaves alone.
for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const form = Object.assign(document.createElement("form"), { method: "post", action: "/sql", hidden: true });
    for (const [name, value] of [...new FormData(ask), ["format", button.value]]) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    document.body.append(form);
    form.submit();
    form.remove();
  });
}
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => { sql.value = button.dataset.example; names(); sql.focus(); });
}
function column(told) {
  const [name, kind] = told.split(":");
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "plainly", textContent: name });
  button.addEventListener("click", () => {
    sql.setRangeText(name, sql.selectionStart, sql.selectionEnd, "end");
    sql.focus();
  });
  item.append(button, Object.assign(document.createElement("span"), { className: "muted", textContent: ` ${kind}` }));
  return item;
}
for (const table of document.querySelectorAll("[data-table]")) {
  table.addEventListener("toggle", () => {
    const list = table.querySelector("ul");
    if (table.open && !list.firstChild) list.replaceChildren(...columnsOf(table).map(column));
  });
}

// The last column of numbers over the first column, as bars; the table below says the same.
function draw() {
  const table = document.getElementById("rows");
  const plot = document.querySelector("[data-plot]");
  if (!table || !plot) return;
  const heads = [...table.tHead.rows[0].cells];
  const at = heads.findLastIndex((one, n) => n > 0 && "number" in one.dataset);
  const rows = [...table.tBodies[0].rows].slice(0, 60);
  if (at < 1 || rows.length < 2) return;
  const numbers = rows.map((row) => Number(row.cells[at].textContent));
  const top = Math.max(0, ...numbers), low = Math.min(0, ...numbers);
  if (!(top > low)) return;
  const [W, H] = [1000, 160];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const said = `${heads[at].textContent} by ${heads[0].textContent}: ${rows.length} bars from ${Math.min(...numbers)} to ${Math.max(...numbers)}`;
  svg.setAttribute("aria-label", said);
  const y = (value) => H - ((value - low) / (top - low)) * H;
  numbers.forEach((value, n) => {
    const bar = document.createElementNS(svg.namespaceURI, "rect");
    const wide = W / rows.length;
    for (const [name, set] of Object.entries({ x: n * wide + 1, width: Math.max(1, wide - 2), y: Math.min(y(value), y(0)), height: Math.max(1, Math.abs(y(value) - y(0))) })) bar.setAttribute(name, set);
    const title = document.createElementNS(svg.namespaceURI, "title");
    title.textContent = `${rows[n].cells[0].textContent}: ${rows[n].cells[at].textContent}`;
    bar.append(title);
    svg.append(bar);
  });
  plot.querySelector("figcaption").textContent = `${said}.`;
  plot.prepend(svg);
  plot.hidden = false;
}

document.addEventListener("htmx:afterSwap", draw);
names();
draw();
