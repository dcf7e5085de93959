// A group: its partitions over time, lines beside them, and the partitions as they are now.

import { chip, h, show, table } from "../dom.js";
import { backlog, bytes, clock, count, number, orDash, perSecond, percent, seconds, words } from "../format.js";
import { Heatmap } from "../heatmap.js";
import { Lines } from "../lines.js";
import { colourAt } from "../palette.js";
import { condition, replicas } from "./overview.js";

/** What the heatmap can show: the API's measure, and how a value is written. */
const MEASURES = {
  backlog: { word: "Backlog", measure: "backlog", write: count },
  age: { word: "Oldest age", measure: "oldest_age_seconds", write: seconds },
  rate: { word: "Arrivals", measure: "arrival_per_second", write: perSecond },
  share: { word: "Share of arrivals", measure: "arrival_per_second", write: percent },
};
/** Seconds to choose from; what the service does not keep for so long is left out. */
const SPANS = [[300, "5 min"], [1800, "30 min"], [3600, "1 h"], [18000, "5 h"], [54000, "15 h"]];
/** Columns that the service keeps; and polls in one of its coarse ones. */
const [COLUMNS, COARSE] = [360, 10];
/** Seconds of the past that are computed again for a picture of it, at most. */
const LONGEST_PAST = 3600;
/** Of partitions, so that a live page stays quick. */
const ROWS = 25;
const GRAVITY = { ok: "ok", behind: "fine", stuck: "bad", stopped: "bad", rewound: "warn", unknown: "warn" };

export function tabs(app, name, chosen) {
  const tab = (view, text) => h("a", { href: app.link(view, name), "aria-current": view === chosen ? "page" : null }, text);
  return h("div", { class: "title" }, h("h1", {}, name), h("nav", { class: "tabs", "aria-label": "Views of the group" }, tab("group", "Load"), tab("decision", "Decision")));
}

export function openGroup(main, app, name) {
  const path = `groups/${encodeURIComponent(name)}`;
  const [meta, tiles, readout, incidents, partitions, legend, asTable, lacking] = ["p", "dl", "p", "div", "div", "div", "div", "p"].map((tag) => h(tag));
  meta.className = "muted";
  tiles.className = "tiles";
  readout.className = "readout";
  readout.setAttribute("aria-live", "polite");
  lacking.className = "warning";
  lacking.hidden = true;
  if (app.at !== null) meta.append("Computing this moment from the journal…");
  legend.className = "legend";
  const poll = app.groups.get(name)?.poll_interval_seconds ?? 5;
  const spans = SPANS.filter(([span], n) => n === 0 || span <= (app.at === null ? COLUMNS * COARSE * poll : LONGEST_PAST));
  let chosen = { measure: "backlog", span: spans.findLast(([span], n) => n === 0 || span <= COLUMNS * poll)[0] };
  let past = null;
  let group = null;
  let grid = null;
  let all = false;

  const heatmap = new Heatmap(`Partitions of ${name} over time`, (column, row) => {
    for (const chart of charts) chart.pointAt(column);
    showReadout(column, row);
  });
  const charts = [
    new Lines("Messages per second", [{ label: "arrivals", colour: "--line-a" }, { label: "processed", colour: "--line-b" }], number),
    new Lines("Backlog", [{ label: "messages", colour: "--line-a" }], count),
    new Lines("Replicas", [{ label: "desired", colour: "--line-a", step: true }, { label: "current", colour: "--line-b", step: true }], number),
  ];
  const choice = (label, id, options, value, change) => {
    const select = h("select", { id }, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
    select.addEventListener("change", () => { change(select.value); load(); });
    return h("label", { for: id }, label, " ", select);
  };
  const unfold = h("details", {}, h("summary", {}, "The heatmap as a table"), asTable);
  unfold.addEventListener("toggle", () => showTable());
  const more = h("button", { type: "button", class: "more", hidden: true }, "");
  more.addEventListener("click", () => { all = !all; showPartitions(); });
  main.append(
    tabs(app, name, "group"), meta, tiles, incidents,
    h("section", { "aria-label": "Heatmap" },
      h("div", { class: "controls" },
        choice("Show", "measure", Object.entries(MEASURES).map(([key, { word }]) => [key, word]), chosen.measure, (key) => { chosen.measure = key; }),
        choice(app.at === null ? "of the last" : "of the time before", "span", spans, chosen.span, (key) => { chosen.span = Number(key); }),
        legend),
      lacking, heatmap.canvas, readout,
      h("p", { class: "muted small", id: "heatmap-help" }, "One row per partition; hatched cells are unknown. Move with the pointer, the arrow keys, Home, End, Page Up and Page Down.")),
    h("section", { class: "charts", "aria-label": "Lines" }, charts.map((chart) => chart.root)),
    unfold,
    h("section", {}, partitions, more),
  );

  async function load() {
    past = null;
    await follow();
  }

  let isAsking = false;
  async function follow() {
    if (isAsking) return;
    isAsking = true;
    try {
      const { measure } = MEASURES[chosen.measure];
      const last = past?.times.at(-1);
      const after = last === undefined ? "" : `&after=${last}`;
      const wanted = { ...chosen };
      const [fresh, now, happened] = await Promise.all([
        app.get(`${path}/history?seconds=${chosen.span}&measure=${measure}${after}`), app.get(path),
        app.get(`incidents?group=${encodeURIComponent(name)}&limit=5`),
      ]);
      group = now;
      if (wanted.measure === chosen.measure && wanted.span === chosen.span) past = { ...join(past, fresh, chosen.span, app.now()), shown: wanted.measure };
      showAll(happened.incidents);
      if (!past) setTimeout(follow);
    } catch (error) {
      show(meta, `${error.message}`);
    } finally {
      isAsking = false;
    }
  }

  function showAll(happened) {
    const target = group.targets[0];
    const stored = group.partitions.filter((partition) => partition.stored_bytes !== null);
    show(meta, condition(group), ` ${group.source} · ${group.stream} · ${group.consumer_group} · ${group.assignment} · ${group.partitions.length} partitions`, group.failure ? ` · ${group.failure.text}` : "");
    const tile = (label, value, link) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, link ? h("a", { href: link }, value) : orDash(value)));
    show(tiles,
      tile("Backlog", backlog(group.backlog)),
      tile("Oldest message", seconds(group.oldest_age_seconds)),
      tile("Arrivals", perSecond(group.arrival_per_second)),
      tile("Processed", perSecond(group.processing_per_second)),
      tile("Capacity per replica", perSecond(group.capacity_per_second)),
      tile("Replicas", target ? replicas(target) : "unknown", target && app.link("decision", name)),
      tile("Skew", group.skew_ratio === null ? "unknown" : `${number(group.skew_ratio)} ×`),
      group.trim_horizon_seconds !== null && tile("Unread trimmed in", seconds(group.trim_horizon_seconds)),
      group.outage_reserve_seconds !== null && tile("Outage reserve", seconds(group.outage_reserve_seconds)),
      stored.length > 0 && tile("Stored", bytes(stored.reduce((sum, of) => sum + of.stored_bytes, 0))));
    show(incidents, happened.length > 0 && table("Incidents", [["Kind", ""], ["Since", ""], ["Until", ""], ["Details", "why"]], happened.map((incident) => [
      incident.kind.replaceAll("_", " "), app.moment(incident.started_at, "group", name), incident.ended_at ? clock(incident.ended_at) : chip("open", "bad"), incident.text])));
    if (past) showPast();
    showPartitions();
  }

  /** What the journal does not reach back to is named, not left to be taken for nothing. */
  function showLacking(times) {
    const from = app.now() - chosen.span * 1000;
    lacking.hidden = app.at === null || (times.length > 0 && times[0] - from < 3 * past.step_seconds * 1000);
    lacking.textContent = times.length === 0 ? "The journal has no polls of this time: there is no picture of it." : `The journal has no polls before ${clock(times[0])}: nothing is drawn there.`;
  }

  function showPast() {
    const { times, partitions: rows } = past;
    showLacking(times);
    const isShare = past.shown === "share";
    const values = rows.map((row) => (isShare ? row.values.map((value, n) => (value === null || !past.arrival_per_second[n] ? null : value / past.arrival_per_second[n])) : row.values));
    let top = 0;
    for (const row of values) for (const value of row) if (value > top) top = value;
    // Four times an even share is strongest: skew is seen at any traffic.
    if (isShare) top = Math.min(1, 4 / Math.max(1, rows.length));
    grid = { ...MEASURES[past.shown], rows: rows.map((row) => row.partition), times, step: past.step_seconds * 1000, values, top };
    heatmap.set(grid);
    showLegend(top);
    charts[0].set(times, past.arrival_per_second, past.processing_per_second);
    charts[1].set(times, past.backlog);
    charts[2].set(times, past.desired, past.current);
    showTable();
  }

  function showLegend(top) {
    const { write } = grid;
    const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => h("canvas", { width: 28, height: 10, "aria-hidden": "true", "data-share": share }));
    show(legend, h("span", {}, write(0)), steps, h("span", {}, `${past.shown === "share" ? "≥ " : ""}${write(top)}`));
    for (const canvas of legend.querySelectorAll("canvas")) {
      const context = canvas.getContext("2d");
      context.fillStyle = `rgb(${colourAt(Number(canvas.dataset.share)).join(" ")})`;
      context.fillRect(0, 0, 28, 10);
    }
  }

  function showReadout(column, row) {
    if (row === null || !grid) return show(readout, "");
    const { word, write } = grid;
    const value = column === null ? null : grid.values[row][column];
    const of = group.partitions.find((partition) => partition.partition === grid.rows[row]);
    show(readout, `Partition ${grid.rows[row]} · ${column === null ? "no poll" : clock(grid.times[column])} · ${word.toLowerCase()} ${value === null ? "unknown" : write(value)}${of?.owner ? ` · owner ${of.owner}` : ""}`);
  }

  function showTable() {
    if (!unfold.open || !grid) return;
    const { word, write } = grid;
    const rows = grid.rows.map((row, n) => {
      const known = grid.values[n].filter((value) => value !== null);
      const mean = known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
      return [row, orDash(write(grid.values[n].at(-1) ?? null)), orDash(write(mean)), orDash(known.length ? write(Math.max(...known)) : "unknown")];
    });
    show(asTable, table(`${word} by partition`, [["Partition", ""], [app.at === null ? "Now" : "Then", "n"], ["Mean", "n"], ["Largest", "n"]], rows));
  }

  function showPartitions() {
    const grave = (partition) => ({ bad: 2, warn: 1 })[GRAVITY[partition.status]] ?? 0;
    const sorted = [...group.partitions].sort((a, b) => grave(b) - grave(a) || (b.backlog ?? 0) - (a.backlog ?? 0));
    const shown = all ? sorted : sorted.slice(0, ROWS);
    show(partitions, table("Partitions, worst first", [["Partition", ""], ["Status", ""], ["Backlog", "n"], ["Oldest", "n"], ["Arrivals", "n"], ["Processed", "n"], ["Owner", ""], ["Notes", "why"]], shown.map((partition) => [
      partition.partition, chip(partition.status, GRAVITY[partition.status]),
      orDash(partition.backlog === null ? "unknown" : backlog({ value: partition.backlog, certainty: partition.certainty })),
      orDash(seconds(partition.oldest_age_seconds)), orDash(perSecond(partition.arrival_per_second)), orDash(perSecond(partition.processing_per_second)),
      partition.owner ?? "", [partition.problem, ...partition.anomalies.map((signal) => `anomalous ${words(signal)}`)].filter(Boolean).join("; ")])));
    more.hidden = sorted.length <= ROWS;
    more.textContent = all ? `Show only the worst ${ROWS}` : `Show all ${sorted.length}`;
  }

  load();
  return {
    update: (names) => { if (names.has(name)) follow(); },
    close: () => { heatmap.close(); charts.forEach((chart) => chart.close()); },
  };
}

/** What was there, with what came since; what is older than the span goes. */
function join(past, fresh, span, now) {
  const times = fresh.times.map(Date.parse);
  if (!past || past.step_seconds !== fresh.step_seconds) return { ...fresh, times };
  // Nothing new: the partitions are not told either.
  if (times.length === 0) return past;
  // The server's clock was set back.
  if (times[0] <= past.times.at(-1)) return { ...fresh, times };
  const from = now - span * 1000;
  const drop = past.times.findIndex((at) => at >= from);
  const start = drop < 0 ? past.times.length : drop;
  const joined = { ...fresh, times: [...past.times.slice(start), ...times] };
  for (const key of ["backlog", "oldest_age_seconds", "arrival_per_second", "processing_per_second", "desired", "current"]) {
    joined[key] = [...past[key].slice(start), ...fresh[key]];
  }
  const before = new Map(past.partitions.map((row) => [row.partition, row.values]));
  const blank = new Array(past.times.length).fill(null);
  joined.partitions = fresh.partitions.map(({ partition, values }) => ({ partition, values: [...(before.get(partition) ?? blank).slice(start), ...values] }));
  return joined;
}
