// keys: `/` searches, j and k move through the rows, Enter opens, ? lists the keys; a draft outlives going back; nothing else.
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
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") {
    event.preventDefault();
    (document.querySelector("[data-find-first]") ?? document.querySelector("[data-find]"))?.focus();
  } else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (!keys) return;
    keys.open = !keys.open;
    if (keys.open) keys.scrollIntoView({ block: "end" });
  } else if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    move(event.key === "j" ? 1 : -1);
  } else if (event.key === "Enter" && here && event.target === document.body) {
    rows().find((row) => row.dataset.row === here)?.querySelector("a")?.click();
  }
});

// A row that was not there before the swap says so for a moment.
let known = new Set(rows().map((row) => row.dataset.row));
document.addEventListener("htmx:afterSwap", () => {
  for (const row of rows()) row.classList.toggle("new", !known.has(row.dataset.row));
  known = new Set(rows().map((row) => row.dataset.row));
  show();
});

// Drafts live in this tab only, under the form's own address, and end with the form.
for (const field of document.querySelectorAll("textarea[data-draft]")) {
  const key = `draft ${location.pathname} ${field.name}`;
  field.value ||= sessionStorage.getItem(key) ?? "";
  field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
  field.form?.addEventListener("submit", () => sessionStorage.removeItem(key));
}
for (const form of document.querySelectorAll("form[data-forget]")) {
  form.addEventListener("submit", () => sessionStorage.clear());
}

// A choice in a filter acts at once.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
