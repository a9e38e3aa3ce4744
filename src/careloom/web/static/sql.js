// sql: suggests tables, columns, fields, functions and words as one types; lists the columns of a table; asks for the values of $names.
"use strict";

const sql = document.getElementById("sql");
const hinted = document.getElementById("hinted");
const values = document.getElementById("values");
const listed = document.getElementById("tables");
const tables = new Map();
let fields = {};
const WORDS = "select from where group order limit join left with having distinct case when then else end union using on and or not in is null between like ilike describe summarize qualify over asc desc exists as".split(" ");
const PHRASES = ["group by", "order by", "left join", "union all", "is null", "is not null", "nulls last", "partition by"];
const FUNCTIONS = "abs age any_value arg_max arg_min array_length avg cast ceil coalesce concat contains count count_if date_diff date_part date_trunc dense_rank extract first_value floor format greatest histogram if ilike json_extract_string lag last_value lead least left length list list_contains list_distinct list_extract list_filter list_sort list_transform lower ltrim make_date max median min mode now nullif quantile_cont rank regexp_extract regexp_matches regexp_replace replace right round row_number rtrim split_part starts_with stddev strftime string_agg string_split strptime struct_extract substring sum today trim try_cast unnest upper year".split(" ").map((one) => `${one}(`);
const MOST = 10;
let at = -1;

// All columns of all tables come once, behind the page.
const ready = fetch("/sql/columns", { headers: { Accept: "application/json" } }).then(async (answer) => {
  if (!answer.ok) return;
  const told = await answer.json();
  fields = told.fields;
  for (const group of told.groups) {
    for (const table of group.tables) {
      tables.set(table.name, { about: table.about, columns: group.title === "Resources" ? [...table.columns, ...told.common] : table.columns });
    }
  }
  document.documentElement.dataset.columns = tables.size;
});

const before = () => sql.value.slice(0, sql.selectionStart);
const path = () => /[\w.$"[\]]*$/.exec(before())[0].replaceAll('"', "").replace(/\[\w*\]/g, "");
const bare = () => sql.value.replace(/'(?:[^']|'')*'|--[^\n]*/g, " ");

// The tables that the statement names, by their names there: alias, or the table itself.
function named() {
  const found = new Map();
  for (const [, table, alias] of bare().matchAll(/\b(?:from|join)\s+"?([\w.]+)"?(?:\s+(?:as\s+)?(?!where\b|join\b|left\b|right\b|inner\b|on\b|using\b|group\b|order\b|limit\b|cross\b|full\b|semi\b|anti\b|union\b|having\b|qualify\b)(\w+))?/gi)) {
    const known = [...tables.keys()].find((one) => one.toLowerCase() === table.toLowerCase());
    if (known) found.set((alias ?? table.split(".").pop()).toLowerCase(), tables.get(known).columns);
  }
  return found;
}

// What follows a dot: a table of a schema, a column of an alias, a field of a column.
function within(steps) {
  const known = named();
  let columns = known.get(steps[0].toLowerCase());
  let rest = steps.slice(1);
  if (!columns) {
    const schema = [...tables.keys()].filter((one) => one.startsWith(`${steps[0].toLowerCase()}.`));
    if (schema.length && steps.length === 1) return schema.map((one) => one.split(".")[1]);
    columns = [...known.values()].flat();
    rest = steps;
  }
  for (const step of rest) {
    const column = columns.find(([name]) => name.toLowerCase() === step.toLowerCase());
    columns = (column && fields[column[1].replace("[]", "")]) ?? [];
  }
  return columns.map(([name]) => name);
}

function suggestions() {
  const steps = path().split(".");
  const typed = steps.pop().toLowerCase();
  if (steps.length) return pick(within(steps), typed, true);
  if (!typed || typed.startsWith("$")) return [];
  const known = named();
  const isTable = /\b(?:from|join)\s+"?[\w.]*$/i.test(before());
  if (isTable) return pick([...tables.keys()], typed, false);
  return pick([...known.keys(), ...[...known.values()].flatMap((columns) => columns.map(([name]) => name)), ...WORDS, ...PHRASES, ...FUNCTIONS, ...tables.keys()], typed, false);
}

function pick(all, typed, isOpen) {
  const whole = [...new Set(all)].filter((one) => one && one.toLowerCase() !== typed);
  const first = whole.filter((one) => one.toLowerCase().startsWith(typed));
  // `persons` is found behind its schema too.
  const inner = typed.length > 2 ? whole.filter((one) => one.toLowerCase().includes(`.${typed}`)) : [];
  return typed || isOpen ? [...first, ...inner].slice(0, MOST) : [];
}

function take(text) {
  const end = sql.selectionStart;
  const last = /[\w]*$/.exec(before())[0];
  sql.setRangeText(text, end - last.length, end, "end");
  sql.focus();
  sql.dispatchEvent(new Event("input", { bubbles: true }));
  clear();
}

function clear() {
  hinted.replaceChildren();
  choose(-1);
}

function choose(next) {
  at = next;
  [...hinted.children].forEach((one, n) => one.setAttribute("aria-selected", String(n === at)));
  if (at >= 0) sql.setAttribute("aria-activedescendant", hinted.children[at].id);
  else sql.removeAttribute("aria-activedescendant");
  hinted.hidden = !hinted.childElementCount;
}

function hint() {
  hinted.replaceChildren(...suggestions().map((text, n) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "button second slim", textContent: text, tabIndex: -1, id: `hint-${n}` });
    button.setAttribute("role", "option");
    button.addEventListener("click", () => take(text));
    return button;
  }));
  choose(-1);
}

// A $name in the statement gets a field of its own, and keeps what was typed there.
function names() {
  const found = [...new Set([...bare().replace(/"[^"]*"/g, "").matchAll(/\$([A-Za-z_]\w*)/g)].map((one) => one[1]))];
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

sql.addEventListener("input", () => { ready.then(hint); names(); });
sql.addEventListener("blur", () => setTimeout(() => { if (!hinted.contains(document.activeElement)) clear(); }, 200));
sql.addEventListener("keydown", (event) => {
  const count = hinted.childElementCount;
  if (!count || event.ctrlKey || event.metaKey) return;
  if (event.key === "Tab" && !event.shiftKey) hinted.children[Math.max(at, 0)].click();
  else if (event.key === "Enter" && at >= 0) hinted.children[at].click();
  else if (event.key === "ArrowDown") choose((at + 1) % count);
  else if (event.key === "ArrowUp" && at >= 0) choose(at - 1);
  else if (event.key === "Escape") { event.stopPropagation(); clear(); }
  else return;
  event.preventDefault();
});
document.getElementById("ask").addEventListener("submit", clear);
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => { sql.value = button.dataset.example; names(); sql.focus(); });
}

// A column of the list; one that has fields opens to them.
function entry([name, kind, about], whole) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "plainly", textContent: name, title: about ?? "" });
  button.addEventListener("click", () => {
    sql.setRangeText(whole, sql.selectionStart, sql.selectionEnd, "end");
    sql.focus();
  });
  const type = Object.assign(document.createElement("span"), { className: "muted", textContent: ` ${kind}` });
  const inner = fields[kind.replace("[]", "")];
  if (!inner) {
    item.append(button, type);
    if (about) item.append(Object.assign(document.createElement("div"), { className: "muted", textContent: about }));
    return item;
  }
  const more = document.createElement("details");
  const list = Object.assign(document.createElement("ul"), { className: "plain" });
  const head = document.createElement("summary");
  head.append(name, type);
  const within = kind.endsWith("[]") ? `${whole}[1]` : whole;
  more.addEventListener("toggle", () => { if (more.open && !list.firstChild) list.replaceChildren(...inner.map((one) => entry(one, `${within}.${one[0]}`))); });
  more.append(head, list);
  item.append(more);
  return item;
}
for (const table of listed.querySelectorAll("[data-table]")) {
  table.addEventListener("toggle", async () => {
    const list = table.querySelector("ul");
    if (!table.open || list.firstChild) return;
    await ready;
    const { about, columns } = tables.get(table.dataset.table) ?? { about: "", columns: [] };
    if (about) list.before(Object.assign(document.createElement("p"), { className: "muted small", textContent: about }));
    list.replaceChildren(...columns.map((one) => entry(one, one[0])));
  });
}
document.getElementById("sift").addEventListener("input", (event) => {
  const typed = event.target.value.trim().toLowerCase();
  for (const group of listed.querySelectorAll("[data-group]")) {
    let shown = 0;
    for (const table of group.querySelectorAll("[data-table]")) {
      table.hidden = !table.dataset.table.toLowerCase().includes(typed);
      shown += !table.hidden;
    }
    group.hidden = !shown;
  }
});
names();
