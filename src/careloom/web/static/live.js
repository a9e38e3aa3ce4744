// live: how old is what stands on the page? Counts from the last beat of the stream, and says so when it stops.
"use strict";

const STALE_AFTER_S = 12;
let last = null;
let opened = Date.now();

function tick() {
  const badge = document.querySelector("[data-live]");
  if (!badge) return;
  const age_s = Math.round((Date.now() - (last ?? opened)) / 1000);
  const stale = age_s > STALE_AFTER_S;
  badge.classList.toggle("waiting", last === null && !stale);
  badge.classList.toggle("stale", stale);
  for (const area of document.querySelectorAll("[data-live-area]")) area.classList.toggle("stale-area", stale);
  const text = stale
    ? `Not live: last heard ${age_s} s ago. Reload, or wait: it tries again by itself.`
    : last === null ? "Connecting" : `Live, checked ${age_s} s ago`;
  if (badge.textContent !== text) badge.textContent = text;
}

document.addEventListener("htmx:sseOpen", (event) => {
  const heard = () => { last = Date.now(); tick(); };
  heard();
  event.detail.source.addEventListener("beat", heard);
});
setInterval(tick, 1000);
tick();

// The session ended while the page stood open: the answer says where to go.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) location.assign("/sign-in");
});
