// Sources and groups, worst first.

import { chip, h, show, table } from "../dom.js";
import { backlog, orDash, perSecond, seconds, words } from "../format.js";

/** Limits that keep a group from what it needs. */
export const GRAVE = new Set(["downstream", "stuck", "skew", "max_replicas", "partition_count", "throughput_units", "pods_not_ready"]);

/** What is the matter with a group, gravest first: [rank, word, gravity]. */
export function state(group) {
  const delay = Math.min(...group.targets.map((target) => target.policy.target_delay_seconds));
  const age = group.waiting_seconds ?? group.oldest_age_seconds ?? 0;
  const limit = group.targets.find((target) => GRAVE.has(target.limit))?.limit;
  const statuses = group.partition_statuses;
  if (group.freshness === "unknown") return [6, group.failure ? "unreadable" : "no data", "bad"];
  if (group.open_incidents > 0) return [5, "incident", "bad"];
  if (age > delay) return [4, "late", "bad"];
  if (statuses.stuck || statuses.stopped || statuses.rewound) return [3, "partitions stuck", "warn"];
  if (group.freshness === "stale" || statuses.unknown) return [3, group.freshness === "stale" ? "stale" : "partly unknown", "warn"];
  if (limit) return [2, `limit: ${words(limit)}`, "warn"];
  if (statuses.behind) return [1, "behind", "fine"];
  return [0, "ok", "ok"];
}

const relativeAge = (group) => (group.oldest_age_seconds ?? 0) / (group.targets[0]?.policy.target_delay_seconds ?? 30);

function worstFirst(groups) {
  const rank = (group) => state(group)[0];
  return [...groups].sort((a, b) => rank(b) - rank(a) || relativeAge(b) - relativeAge(a) || a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** `3 → 7`: what runs, what is wanted. */
export function replicas(target) {
  const wanted = target.mode === "backlog" ? (target.emitted === null ? "unknown" : `${target.emitted} messages`) : String(target.desired ?? "unknown");
  return target.current === null || String(target.current) === wanted ? wanted : `${target.current} → ${wanted}`;
}

export function openOverview(main, app) {
  const sources = h("div", { class: "cards" });
  const groups = h("div");
  main.append(h("h1", {}, "Groups"), sources, groups);

  const showGroups = () => {
    if (app.groups.size === 0) return show(groups, h("p", {}, "No group is observed. Name one under ", h("code", {}, "groups"), " in the config, or let a ScaledObject ask for one."));
    const rows = worstFirst(app.groups.values()).map((group) => {
      const [, word, gravity] = state(group);
      const target = group.targets[0];
      return [
        h("a", { href: app.link("group", group.name) }, group.name),
        chip(word, gravity),
        orDash(backlog(group.backlog)),
        orDash(seconds(group.oldest_age_seconds)),
        orDash(perSecond(group.arrival_per_second)),
        orDash(perSecond(group.processing_per_second)),
        target ? h("a", { href: app.link("decision", group.name), "aria-label": `Why ${replicas(target)} replicas for ${group.name}?` }, replicas(target)) : orDash("unknown"),
        group.failure?.text ?? target?.text ?? "",
      ];
    });
    show(groups, table("Groups, worst first", [["Group", ""], ["State", ""], ["Backlog", "n"], ["Oldest", "n"], ["Arrivals", "n"], ["Processed", "n"], ["Replicas", "n"], ["Why", "why"]], rows));
  };
  const showSources = async () => {
    const answer = await app.get("sources").catch(() => null);
    if (!answer) return;
    show(sources, answer.sources.map((source) => {
      const ago = source.last_success_at && (app.now() - Date.parse(source.last_success_at)) / 1000;
      const [word, gravity] = source.circuit !== "closed" ? [`circuit ${words(source.circuit)}`, "bad"] : source.up === false ? ["down", "bad"] : source.up ? ["up", "ok"] : ["not asked yet", "warn"];
      return h("div", { class: "card" }, h("strong", {}, source.name), chip(word, gravity),
        h("span", { class: "muted" }, ago === null ? "never read" : `read ${seconds(Math.max(0, Math.round(ago)))} ago`));
    }));
  };
  showGroups();
  showSources();
  let ticks = 0;
  return {
    update: showGroups,
    tick: () => { ticks += 1; if (ticks % 5 === 0) showSources(); },
  };
}
