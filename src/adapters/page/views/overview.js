// Sources and groups, worst first.

import { chip, h, show, table } from "../dom.js";
import { backlog, orDash, perSecond, seconds, words } from "../format.js";

/** What the service finds to be the matter with a group: the gravest first, each with how grave it is. */
const CONDITIONS = { unknown: "bad", incident: "bad", late: "bad", stuck: "warn", stale: "warn", partly_unknown: "warn", limited: "warn", behind: "fine", ok: "ok" };

/** The condition of a group as a chip. */
export function condition(group) {
  const limit = group.condition === "limited" ? group.targets.find((target) => target.limit && target.limit !== "none")?.limit : null;
  return chip(limit ? `limit: ${words(limit)}` : words(group.condition), CONDITIONS[group.condition]);
}

const relativeAge = (group) => (group.oldest_age_seconds ?? 0) / (group.targets[0]?.policy.target_delay_seconds ?? 30);

function worstFirst(groups) {
  const rank = (group) => Object.keys(CONDITIONS).indexOf(group.condition);
  return [...groups].sort((a, b) => rank(a) - rank(b) || relativeAge(b) - relativeAge(a) || a.name.localeCompare(b.name, "en", { numeric: true }));
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

  const showGroups = (all = app.groups) => {
    if (all.size === 0) return show(groups, h("p", {}, "No groups are observed yet. Add one under ", h("code", {}, "groups"), " in the config, or create a ScaledObject that uses one."));
    const rows = worstFirst(all.values()).map((group) => {
      const target = group.targets[0];
      return [
        h("a", { href: app.link("group", group.name) }, group.name),
        condition(group),
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
      const [word, gravity] = source.circuit !== "closed" ? [`circuit ${words(source.circuit)}`, "bad"] : source.up === false ? ["down", "bad"] : source.up ? ["up", "ok"] : ["not polled yet", "warn"];
      return h("div", { class: "card" }, h("strong", {}, source.name), chip(word, gravity),
        h("span", { class: "muted" }, ago === null ? "never read" : `read ${seconds(Math.max(0, Math.round(ago)))} ago`));
    }));
  };
  if (app.at !== null) {
    const [notes, said] = [h("p", { class: "muted" }, "Sources are not in the journal."), h("p", {}, "Computing this moment from the journal…")];
    sources.append(notes);
    groups.append(said);
    app.get("groups?partitions=false").then((then) => {
      showGroups(new Map(then.groups.map((group) => [group.name, group])));
      notes.after(...(then.problems ?? []).map((problem) => h("p", { class: "warning" }, problem)));
    }).catch((error) => { said.textContent = error.message; });
    return {};
  }
  showGroups();
  showSources();
  let ticks = 0;
  return {
    update: () => showGroups(),
    tick: () => { ticks += 1; if (ticks % 5 === 0) showSources(); },
  };
}
