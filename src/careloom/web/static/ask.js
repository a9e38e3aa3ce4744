// ask: what the workbench and a report share: a file is fetched by a plain form, what runs can be stopped, an error leads to its place.
"use strict";

const ask = document.getElementById("ask");

// A file is fetched by the browser itself: a plain form, which htmx leaves alone. Elsewhere: another page for the same fields.
for (const button of document.querySelectorAll("[data-plain]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    if (!ask.reportValidity()) return;
    const form = Object.assign(document.createElement("form"), { method: "post", action: button.getAttribute("formaction") ?? ask.getAttribute("action"), hidden: true });
    const chart = [...document.querySelectorAll("[data-chart-field]")].map((field) => [field.dataset.chartField, field.value]);
    for (const [name, value] of [...new FormData(ask), ...chart, ...(button.name ? [[button.name, button.value]] : [])]) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    document.body.append(form);
    form.submit();
    form.remove();
  });
}

const stop = ask.querySelector("[data-stop]");
ask.addEventListener("htmx:beforeRequest", () => { stop.hidden = false; ask.setAttribute("aria-busy", "true"); });
ask.addEventListener("htmx:afterRequest", () => { stop.hidden = true; ask.removeAttribute("aria-busy"); });
stop.addEventListener("click", () => htmx.trigger(ask, "htmx:abort"));
ask.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    ask.requestSubmit(ask.querySelector("[data-run]"));
  }
});
for (const form of document.querySelectorAll("[data-sure]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.sure)) event.preventDefault(); });
}

// Of a schedule only what its period asks for.
const period = document.getElementById("period");
function narrowed() {
  for (const field of document.querySelectorAll("[data-periods]")) field.hidden = !field.dataset.periods.split(" ").includes(period.value);
}
if (period) {
  period.addEventListener("change", narrowed);
  narrowed();
}

// "At line 2, column 3: ..." gets a button that goes there.
function lead() {
  const text = document.getElementById("sql");
  if (!text) return;
  for (const notice of document.querySelectorAll("#found .notice")) {
    const place = /line (\d+), column (\d+)/.exec(notice.textContent);
    if (!place || notice.querySelector("button")) continue;
    const [line, column] = place.slice(1).map(Number);
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    const length = /^[\w.]+/.exec(text.value.slice(start))?.[0].length ?? 1;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "button second slim", textContent: `Go to line ${line}` });
    button.addEventListener("click", () => { text.focus(); text.setSelectionRange(start, start + length); });
    notice.append(" ", button);
  }
}
document.addEventListener("htmx:afterSwap", lead);
lead();
