// How figures are written. Unknown is a dash with a word for those who listen, never 0.

import { h } from "./dom.js";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** What is not known. */
export function unknown() {
  return h("span", { class: "unknown" }, h("span", { "aria-hidden": "true" }, "–"), h("span", { class: "hidden" }, "unknown"));
}

const known = (value, write) => (value === null || value === undefined || Number.isNaN(value) ? "unknown" : write(value));

/** A count of messages. */
export const count = (value) => known(value, (v) => (Math.abs(v) < 100_000 ? WHOLE.format(v) : SHORT.format(v)));

/** A rate or ratio: three digits. */
export const number = (value) =>
  known(value, (v) => (Math.abs(v) >= 100_000 ? SHORT.format(v) : Math.abs(v) >= 100 ? WHOLE.format(v) : String(Number(v.toPrecision(3)))));

export const perSecond = (value) => known(value, (v) => `${number(v)}/s`);

export const percent = (value) => known(value, (v) => `${number(v * 100)} %`);

/** A length of time in seconds. */
export const seconds = (value) => known(value, (v) => {
  if (v === 0) return "0 s";
  if (v < 1) return `${Math.round(v * 1000)} ms`;
  if (v < 120) return `${number(v)} s`;
  if (v < 7200) return `${Math.floor(v / 60)} min ${Math.round(v % 60)} s`;
  return `${number(v / 3600)} h`;
});

/** A size in bytes. */
export const bytes = (value) => known(value, (v) => {
  const n = UNITS.findLastIndex((_, power) => power === 0 || v >= 1024 ** power);
  return `${number(v / 1024 ** n)} ${UNITS[n]}`;
});

/** The time of day, in the reader's zone. */
export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

/** The day and the time of day, in the reader's zone. */
export const dateTime = (at) => `${new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${clock(at)}`;

/** Text, or the mark for unknown. */
export const orDash = (text) => (text === "unknown" ? unknown() : text);

/** A backlog: a lower bound says so. */
export const backlog = (quantity) =>
  quantity === null ? "unknown" : (quantity.certainty === "at_least" ? "≥ " : "") + count(quantity.value);

/** `snake_case` in words. */
export const words = (name) => name.replaceAll("_", " ");
