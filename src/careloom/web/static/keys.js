// keys: `/` searches, j and k (or the arrows) move through the rows, Enter opens, ? lists the keys; drafts and searches outlive going back.
"use strict";

const typing = (node) => node.matches("input, textarea, select, [contenteditable]");
const rows = () => [...document.querySelectorAll("tr[data-row], li[data-row]")];
let here = "";

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.dataset.row === here);
  const row = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  here = row.dataset.row;
  show();
  row.querySelector("a")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function show() {
  for (const row of rows()) row.classList.toggle("here", row.dataset.row === here);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && typing(event.target)) event.target.blur();
  // From the search into what it found, without leaving the keyboard's middle.
  if (event.key === "ArrowDown" && event.target.matches("input[type=search]") && rows().length) {
    event.preventDefault();
    here = "";
    return move(1);
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") {
    event.preventDefault();
    (document.querySelector("[data-find-first]") ?? document.querySelector("[data-find]"))?.focus();
  } else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (!keys) return;
    keys.open = !keys.open;
    if (keys.open) keys.scrollIntoView({ block: "end" });
  } else if (event.key === "j" || event.key === "k" || (here && /^Arrow(Down|Up)$/.test(event.key) && event.target.closest("[data-row]"))) {
    event.preventDefault();
    move(event.key === "j" || event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && here && event.target === document.body) {
    rows().find((row) => row.dataset.row === here)?.querySelector("a")?.click();
  }
});

// What is shown anew keeps the focus where it was: nobody who works by keys is thrown back to the top.
const mark = (node) => [node.closest("[data-row]")?.dataset.row, node.tagName, node.getAttribute("href") ?? node.name, node.getAttribute("aria-label") ?? node.textContent].join(" ");
let focused = "";
document.addEventListener("htmx:beforeSwap", (event) => {
  const node = document.activeElement;
  focused = node && node !== document.body && event.detail.target.contains(node) ? mark(node) : "";
});
document.addEventListener("htmx:afterSwap", () => {
  if (!focused || document.activeElement !== document.body) return;
  const again = [...document.querySelectorAll("a, button, summary, input, select, [tabindex]")].find((node) => mark(node) === focused);
  again?.focus({ preventScroll: true });
});

// A row that was not there before the swap says so for a moment.
let known = new Set(rows().map((row) => row.dataset.row));
document.addEventListener("htmx:afterSwap", () => {
  for (const row of rows()) row.classList.toggle("new", !known.has(row.dataset.row));
  known = new Set(rows().map((row) => row.dataset.row));
  show();
});

// A draft lives in this tab only, under the page's own address, until the page says that it was taken: what the server could
// not take (somebody was faster, the session had ended, it was starting again) stands there still.
for (const form of document.querySelectorAll("form[data-draft]")) {
  const key = `draft ${location.pathname}`;
  const fields = () => [...form.elements].filter((field) => field.name && field.type !== "hidden");
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  for (const field of fields()) {
    if (field.type === "radio" || field.type === "checkbox") field.checked ||= kept[field.name] === field.value;
    else field.value ||= kept[field.name] ?? "";
  }
  form.addEventListener("input", () => sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(fields()
    .filter((field) => field.checked || !/radio|checkbox/.test(field.type)).map((field) => [field.name, field.value])))));
}
if (document.querySelector("[data-draft-taken]")) sessionStorage.removeItem(`draft ${location.pathname}`);
for (const field of document.querySelectorAll("textarea[data-draft]")) {
  const key = `draft ${location.pathname} ${field.name}`;
  field.value ||= sessionStorage.getItem(key) ?? "";
  field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
}

// What is searched for has no place in an address. It stays in this tab, beside its entry of the history: who goes back to a
// search finds it as it was, and not the browser's question whether a form shall be sent again.
const NEXT = "sought next";
function keep(text) {
  const entry = history.state?.sought ?? `sought ${Date.now()}`;
  if (history.state?.sought !== entry) history.replaceState({ ...history.state, sought: entry }, "");
  sessionStorage.setItem(entry, text);
}
const search = document.querySelector("form[data-kept]");
if (search) {
  const field = search.querySelector("input[type=search]");
  field.addEventListener("input", () => keep(field.value));
  const isBack = performance.getEntriesByType("navigation")[0]?.type !== "navigate";
  const text = sessionStorage.getItem(NEXT) ?? (isBack ? sessionStorage.getItem(history.state?.sought ?? "") : "");
  sessionStorage.removeItem(NEXT);
  if (text && !field.value) {
    field.value = text;
    keep(text);
    window.addEventListener("load", () => search.requestSubmit());
  }
}
document.querySelector("form.find")?.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(NEXT, event.target.elements.q.value.trim());
  location.assign(event.target.action);
});

// A form goes out once, however often it is clicked; a file that it fetches leaves the page, and the form may go out again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  form.setAttribute("aria-busy", "true");
  setTimeout(() => again(form), 5000);
});
function again(form) {
  delete form.dataset.sent;
  form.removeAttribute("aria-busy");
}
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(again));

for (const form of document.querySelectorAll("form[data-forget]")) {
  form.addEventListener("submit", () => sessionStorage.clear());
}

// A choice in a filter acts at once.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
