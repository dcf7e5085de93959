// The way of the data: events and the API → `app.groups` → the view that is open. Views are chosen by the part after #.

import { h, show } from "./dom.js";
import { openConfig } from "./views/config.js";
import { openDecision } from "./views/decision.js";
import { openGroup } from "./views/group.js";
import { openOverview } from "./views/overview.js";
import { openService } from "./views/service.js";

const VIEWS = { overview: openOverview, group: openGroup, decision: openDecision, service: openService, config: openConfig };

/** A request that takes longer has failed; a stream that is silent for longer is dead: the service speaks every 10 s. */
const PATIENCE_MILLIS = 10_000;
const SILENCE_MILLIS = 25_000;

/** Where a refused event stream is asked for again. */
const RETRY_MILLIS = 2000;

const app = {
  /** Every group without its partitions, by name. */
  groups: new Map(),
  /** What the server's clock is ahead by, milliseconds. */
  ahead: 0,
  now: () => Date.now() + app.ahead,
  link,
  /** The JSON at a path of the API. */
  async get(path) {
    const answer = await fetch(`api/v1/${path}`, { signal: AbortSignal.timeout(PATIENCE_MILLIS) });
    // Who refuses may say so in plain text.
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error ?? `${answer.status} ${answer.statusText}`);
    return body;
  },
};

let view = null;

/** The address of a view, of a group where it is about one. */
export function link(name, group) {
  return name === "overview" ? "#/" : group === undefined ? `#/${name}` : `#/${name}/${encodeURIComponent(group)}`;
}

function route() {
  const [name = "", group] = location.hash.replace(/^#\/?/, "").split("/");
  const chosen = name in VIEWS ? name : "overview";
  view?.close?.();
  const main = document.getElementById("main");
  main.replaceChildren();
  main.dataset.view = chosen;
  const wanted = group === undefined ? undefined : decodeURIComponent(group);
  for (const tab of document.querySelectorAll("nav a")) {
    const current = tab.dataset.view === chosen || (tab.dataset.view === "overview" && wanted !== undefined);
    current ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
  }
  document.title = `${wanted ?? { service: "Health", config: "Config" }[chosen] ?? "Groups"} · streamgauge`;
  view = VIEWS[chosen](main, app, wanted);
}

function live(state, text) {
  document.getElementById("live").dataset.state = state;
  // Said by screen readers, so only if it is another.
  const element = document.getElementById("live-text");
  if (element.textContent !== text) element.textContent = text;
}

function listen() {
  const events = new EventSource("api/v1/events");
  let isFirst = true;
  let watch = null;
  const gone = (again) => {
    isFirst = true;
    live("lost", "connection lost: the data is stale; reconnecting");
    clearTimeout(watch);
    if (!again) return;
    events.close();
    setTimeout(listen, RETRY_MILLIS);
  };
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => gone(true), SILENCE_MILLIS);
  };
  heard();
  events.addEventListener("groups", (event) => {
    heard();
    const changes = JSON.parse(event.data);
    app.ahead = Date.parse(changes.at) - Date.now();
    // The first of a connection tells of all there are.
    if (isFirst) app.groups.clear();
    isFirst = false;
    changes.groups.forEach((group) => app.groups.set(group.name, group));
    changes.gone.forEach((name) => app.groups.delete(name));
    live("live", "live");
    if (!view) route();
    view?.update?.(new Set(changes.groups.map((group) => group.name)));
  });
  // The browser tries again by itself, unless it was refused.
  events.addEventListener("error", () => {
    gone(events.readyState === EventSource.CLOSED);
    if (events.readyState !== EventSource.CLOSED) heard();
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(document.getElementById(button.dataset.copy));
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

/** Without TLS browsers have no clipboard for pages: then the text is selected, ready for the keyboard. */
async function copy(element) {
  getSelection().selectAllChildren(element);
  await navigator.clipboard?.writeText(element.textContent).catch(() => {});
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
// Before the first event nothing is known that a view could show.
addEventListener("hashchange", () => { if (view) route(); });
// Ages grow also while nothing is heard.
setInterval(() => view?.tick?.(), 1000);
show(document.getElementById("main"), h("p", {}, "Loading…"));
listen();
