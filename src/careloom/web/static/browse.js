// browse: hints beside what is typed, another line of the form, what was asked when one comes back, and Copy.
"use strict";

const NEXT_ASKED = "asked next";
const form = document.getElementById("browse");
const names = document.getElementById("names");

// `birthdate:missing` and `subject:Patient.name` are told by what stands before the colon or the dot.
function hint(line) {
  const [name, value] = line.querySelectorAll("input");
  const typed = name.value.trim();
  const base = typed.split(/[:.]/)[0];
  const option = [...(names?.options ?? [])].find((one) => one.value === typed || one.value === base)
    ?? (base === "_has" ? [...names.options].find((one) => one.value.startsWith("_has")) : undefined);
  const known = typed === "" || option;
  line.querySelector("[data-hint]").textContent = typed === "" ? "" : known ? option.dataset.hint : "no parameter of this type";
  if (document.getElementById(`values-${base}`)) value.setAttribute("list", `values-${base}`);
  else value.removeAttribute("list");
}

function more() {
  const lines = form.querySelectorAll("[data-ask]");
  const line = lines[lines.length - 1].cloneNode(true);
  for (const input of line.querySelectorAll("input")) input.value = "";
  line.querySelector("input").removeAttribute("data-find-first");
  lines[lines.length - 1].after(line);
  hint(line);
  return line;
}

if (form) {
  const lines = () => [...form.querySelectorAll("[data-ask]")];
  const asked = () => lines().map((line) => [...line.querySelectorAll("input")].map((one) => one.value)).filter(([name, value]) => name || value);
  form.addEventListener("input", (event) => {
    const line = event.target.closest("[data-ask]");
    if (line) hint(line);
  });
  form.querySelector("[data-more]").addEventListener("click", () => more().querySelector("input").focus());
  const keep = (lines) => {
    const entry = history.state?.asked ?? `asked ${Date.now()}`;
    if (history.state?.asked !== entry) history.replaceState({ ...history.state, asked: entry }, "");
    sessionStorage.setItem(entry, JSON.stringify(lines));
  };
  form.addEventListener("submit", () => keep(asked()));
  // One comes back from a resource: what was asked at this entry of the history stands there again, and is asked again. It
  // lives in this tab only.
  const back = performance.getEntriesByType("navigation")[0]?.type !== "navigate";
  const next = JSON.parse(sessionStorage.getItem(NEXT_ASKED) ?? "null");
  sessionStorage.removeItem(NEXT_ASKED);
  const kept = next?.type === form.elements.type.value ? next.lines : back ? JSON.parse(sessionStorage.getItem(history.state?.asked ?? "") ?? "null") : null;
  if (kept && !document.querySelector("#found table")) {
    kept.forEach(([name, value], at) => {
      const inputs = (lines()[at] ?? more()).querySelectorAll("input");
      [inputs[0].value, inputs[1].value] = [name, value];
    });
    window.addEventListener("load", () => form.requestSubmit());
  }
  lines().forEach(hint);
}

// Who points here: asked by the search page itself, so that going back to it sends no form again.
document.addEventListener("submit", (event) => {
  const pointer = event.target;
  if (!pointer.matches("[data-pointer]")) return;
  event.preventDefault();
  const { type, name, value } = pointer.elements;
  sessionStorage.setItem(NEXT_ASKED, JSON.stringify({ type: type.value, lines: [[name.value, value.value]] }));
  location.assign(`/browse?type=${encodeURIComponent(type.value)}`);
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const shown = [...document.querySelectorAll(`${button.dataset.copy} > div`)].map((line) => line.textContent).join("\n");
    // What is too long for the page is copied as it is stored.
    const text = button.dataset.raw ? await (await fetch(button.dataset.raw)).text() : shown;
    await navigator.clipboard.writeText(text);
    document.querySelector("[data-copied]").textContent = "Copied";
  });
}
