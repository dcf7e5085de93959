// The way of the data: events and the API → `app.groups` → the view that is open. Views are chosen by the part after #; `?at=` in it
// is a moment of the past: then there are no events, and the API answers from the journal.

import { h, show } from "./dom.js";
import { clock, dateTime } from "./format.js";
import { openConfig } from "./views/config.js";
import { openDecision } from "./views/decision.js";
import { openGroup } from "./views/group.js";
import { openOverview } from "./views/overview.js";
import { openService } from "./views/service.js";

const VIEWS = { overview: openOverview, group: openGroup, decision: openDecision, service: openService, config: openConfig };

/** A request that takes longer has failed; a stream that is silent for longer is dead: the service speaks every 10 s. */
const PATIENCE_MILLIS = 10_000;
const SILENCE_MILLIS = 25_000;
/** The past is computed first, which the service does for a minute at most. */
const PAST_PATIENCE_MILLIS = 75_000;
/** Views of groups, whose past is in the journal. */
const OF_GROUPS = ["overview", "group", "decision"];
const MINUTE = 60_000;

/** Where a refused event stream is asked for again. */
const RETRY_MILLIS = 2000;

const app = {
  /** Every group without its partitions, by name. */
  groups: new Map(),
  /** What the server's clock is ahead by, milliseconds. */
  ahead: 0,
  /** The moment that is shown, milliseconds since 1970; null: now. */
  at: null,
  /** Whether there is a past to be opened. */
  hasJournal: false,
  now: () => app.at ?? Date.now() + app.ahead,
  link,
  /** A time, with the way to the view of a group at that time. */
  moment: (at, name, group) =>
    app.hasJournal || app.at !== null ? h("a", { href: link(name, group, Date.parse(at)), "aria-label": `Open this moment: ${clock(at)}`, title: "Open this moment" }, clock(at)) : clock(at),
  /** The JSON at a path of the API, at the moment that is shown. */
  async get(path) {
    const isPast = app.at !== null && /^(groups|decisions|incidents)/.test(path);
    const at = isPast ? `${path.includes("?") ? "&" : "?"}at=${new Date(app.at).toISOString()}` : "";
    const answer = await fetch(`api/v1/${path}${at}`, { signal: AbortSignal.timeout(isPast ? PAST_PATIENCE_MILLIS : PATIENCE_MILLIS) });
    // Who refuses may say so in plain text.
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error ?? `${answer.status} ${answer.statusText}`);
    return body;
  },
};

let view = null;

/** The address of a view, of a group where it is about one, at a moment where it is of the past. */
function link(name, group, at = app.at) {
  const path = name === "overview" ? "#/" : group === undefined ? `#/${name}` : `#/${name}/${encodeURIComponent(group)}`;
  return at !== null && OF_GROUPS.includes(name) ? `${path}?at=${new Date(at).toISOString()}` : path;
}

/** The view that the address names, its group, and the moment. */
function address() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", group] = path.split("/");
  const chosen = name in VIEWS ? name : "overview";
  const at = Date.parse(new URLSearchParams(query).get("at"));
  return { chosen, wanted: group === undefined ? undefined : decodeURIComponent(group), at: OF_GROUPS.includes(chosen) && !Number.isNaN(at) ? at : null };
}

function route() {
  const { chosen, wanted } = address();
  view?.close?.();
  const main = document.getElementById("main");
  main.replaceChildren();
  main.dataset.view = chosen;
  for (const tab of document.querySelectorAll("nav a")) {
    const current = tab.dataset.view === chosen || (tab.dataset.view === "overview" && wanted !== undefined);
    current ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
  }
  const then = app.at === null ? "" : ` at ${clock(app.at)}`;
  document.title = `${wanted ?? { service: "Health", config: "Config" }[chosen] ?? "Groups"}${then} · streamgauge`;
  view = VIEWS[chosen](main, app, wanted);
}

function live(state, text) {
  document.getElementById("live").dataset.state = state;
  // Said by screen readers, so only if it is another.
  const element = document.getElementById("live-text");
  if (element.textContent !== text) element.textContent = text;
}

/** Goes where the address says: to another view, into the past, or back to now. */
function arrive() {
  const { chosen, wanted, at } = address();
  app.at = at;
  document.getElementById("choose").hidden = !app.hasJournal && at === null;
  document.querySelector("nav a").href = link("overview");
  const banner = document.getElementById("banner");
  banner.hidden = at === null;
  document.body.dataset.past = at !== null;
  if (at === null) {
    if (!hangUp) wait();
    else if (view) route();
    return;
  }
  const local = new Date(at - new Date(at).getTimezoneOffset() * MINUTE);
  document.getElementById("time").value = local.toISOString().slice(0, 19);
  const step = (minutes, text) => (at + minutes * MINUTE < Date.now() + app.ahead ? h("a", { href: link(chosen, wanted, at + minutes * MINUTE), "aria-label": text }, text) : null);
  show(banner, h("strong", {}, `As it was at ${dateTime(at)}`), h("span", {}, step(-10, "−10 min"), step(-1, "−1 min"), step(1, "+1 min"), step(10, "+10 min"), h("a", { href: link(chosen, wanted, null) }, "Back to now")));
  hangUp?.();
  hangUp = null;
  live("past", "not live");
  route();
}

/** For the first event: before it nothing is known that a view could show. */
function wait() {
  view?.close?.();
  view = null;
  document.getElementById("main").replaceChildren(h("p", {}, "Loading…"));
  live("", "connecting…");
  listen();
}

/** Ends listening; null while nobody listens. */
let hangUp = null;

function listen() {
  const events = new EventSource("api/v1/events");
  let again = null;
  hangUp = () => {
    events.close();
    clearTimeout(watch);
    clearTimeout(again);
  };
  let isFirst = true;
  let watch = null;
  const gone = (isOver) => {
    isFirst = true;
    live("lost", "connection lost: the data is stale; reconnecting");
    clearTimeout(watch);
    if (!isOver) return;
    events.close();
    again = setTimeout(listen, RETRY_MILLIS);
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
document.getElementById("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  const { chosen, wanted } = address();
  const at = Date.parse(document.getElementById("time").value);
  if (!Number.isNaN(at)) location.hash = link(OF_GROUPS.includes(chosen) ? chosen : "overview", wanted, at);
});
addEventListener("hashchange", arrive);
// Ages grow also while nothing is heard; in the past they do not.
setInterval(() => { if (app.at === null) view?.tick?.(); }, 1000);
arrive();
app.get("service").then((service) => {
  app.hasJournal = Boolean(service.state?.journal);
  document.getElementById("choose").hidden = !app.hasJournal;
}).catch(() => {});
