// message: a field of the raw message, its line in the ledger and the element it became are lit together.
"use strict";

const raw = () => [...document.querySelectorAll(".raw [data-where]")];
const made = () => [...document.querySelectorAll(".json [data-path]")];
const lines = () => [...document.querySelectorAll("tr[data-line]")];

// `PID-5` holds `PID-5[1].2`; `Patient/7.name[0]` holds `Patient/7.name[0].family`.
const within = (part, whole) => part === whole || (part.startsWith(whole) && ".[".includes(part[whole.length]));
const related = (one, other) => one !== "" && other !== "" && (within(one, other) || within(other, one));

function light(found) {
  for (const node of document.querySelectorAll(".lit")) node.classList.remove("lit");
  const nodes = [...found];
  for (const node of nodes) node.classList.add("lit");
  for (const pane of document.querySelectorAll("[data-pane]")) {
    const first = nodes.find((node) => pane.contains(node));
    // Only the pane scrolls, never the page: the other panes stay in view.
    if (first) pane.scrollTop += first.getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 3;
  }
  const told = document.querySelector("[data-told]");
  const line = nodes.find((node) => node.matches("tr[data-line]"));
  if (told) told.textContent = line ? `${line.dataset.where}, ${line.dataset.fate}` : nodes.length ? "" : "no single field of this message says it.";
}

// Of several candidates the most exact ones win.
function best(nodes, key, wanted) {
  const exact = nodes.filter((node) => node.dataset[key] === wanted);
  if (exact.length) return exact;
  const inner = nodes.filter((node) => within(node.dataset[key], wanted));
  return inner.length ? inner : nodes.filter((node) => within(wanted, node.dataset[key]) && node.dataset[key].includes("."));
}

function fromLines(chosen) {
  const found = new Set(chosen);
  for (const line of chosen) {
    for (const node of best(raw(), "where", line.dataset.where)) found.add(node);
    if (line.dataset.target) for (const node of best(made(), "path", line.dataset.target)) found.add(node);
  }
  return found;
}

function fromWhere(where) {
  const found = fromLines(lines().filter((line) => related(line.dataset.where, where)));
  for (const node of raw()) if (node.dataset.where === where) found.add(node);
  light(found);
}

function fromPath(path) {
  const found = fromLines(best(lines(), "target", path));
  for (const node of best(made(), "path", path)) found.add(node);
  light(found);
}

document.addEventListener("click", (event) => {
  const node = event.target.closest("[data-where], [data-path]");
  if (!node || event.target.closest("a")) return;
  if (node.matches("tr[data-line]")) light(fromLines([node]));
  else if (node.dataset.path) fromPath(node.dataset.path);
  else fromWhere(node.dataset.where);
});

const asked = document.querySelector("[data-asked]")?.dataset.asked;
if (asked) fromPath(asked);
