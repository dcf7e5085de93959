// Why so many replicas: from what was measured to what KEDA is told, step by step, with the step that decided marked.

import { chip, h, show, table } from "../dom.js";
import { backlog, clock, number, orDash, perSecond, percent, seconds, words } from "../format.js";
import { tabs } from "./group.js";

const RULES = {
  work: "All work together", enough: "The present replicas do it before others could help", delay: "By the delay, while capacity is not known",
  busiest: "The busiest holder gets more than it can do", spread: "What each holder would get if there were fewer", reserve: "Peaks of the last hours may come back",
  relief: "A holder is slower than the others", arrivals: "All arrivals, whoever holds what", explored: "Capacity is only known to be at least so much",
  first: "A first step: capacity is not known before consumers were busy for some seconds",
};
const HELD = { window: "More was needed within the hold", arrivals: "As much arrived within the hold", moment: "More was needed within the last minute", backlog: "A backlog still drains", uncertain: "Not everything is known", moves: "Fewer would cost more in moved partitions than they save" };
/** What to change where an answer is not as wanted. */
const ADVICE = {
  min_replicas: "minReplicas keeps it up: lower it to allow fewer.",
  max_replicas: "maxReplicas keeps it down: raise it, here and as maxReplicaCount of the ScaledObject.",
  partition_count: "A partition has one consumer at a time: more replicas need more partitions.",
  skew: "One partition gets more than a consumer can do: spread its keys, or make consumers faster. More replicas do not help.",
  downstream: "What the consumers depend on is slow: look there first. More replicas would press it harder.",
  stuck: "Partitions are held but nobody gets on with them: look at their consumers. More replicas do not help.",
  hold: "More was needed a while ago, and scale_in_hold (in the config) keeps it: shorten that (scaleInHold in the trigger) to follow faster, at the price of more moves.",
  warm_up: "Too little is known since the start: what runs is kept until it is.",
  pods_not_ready: "Pods do not become ready: look at them. More would only join them.",
  throughput_units: "The namespace does not let consumers read faster: raise its throughput units.",
  none: "It follows the work: targetDelay says how fast a backlog has to go, capacityPerReplica (or what is learned) what one replica can do.",
};

export function openDecision(main, app, name) {
  const [body, log] = [h("div"), h("div")];
  main.append(tabs(app, name, "decision"), body, log);
  let group = null;

  async function load() {
    try {
      const query = encodeURIComponent(name);
      const [now, { decisions }] = await Promise.all([app.get(`groups/${query}`), app.get(`decisions?group=${query}&limit=60`)]);
      group = now;
      showNow();
      // What was decided for nobody is of interest only while nobody asks.
      const asking = new Set(now.targets.map((target) => target.scaled_object));
      const told = decisions.filter((decision) => asking.has(decision.scaled_object)).slice(0, 20);
      show(log, told.length > 0 && table("Decisions that changed the answer, newest first", [["At", ""], ["For", ""], ["Replicas", "n"], ["Reason", ""], ["Limit", ""], ["Why", "why"]],
        told.map((decision) => [clock(decision.at), decision.scaled_object || "nobody", orDash(String(decision.desired ?? "unknown")), words(decision.reason), words(decision.limit), decision.text])));
    } catch (error) {
      show(body, h("p", {}, error.message));
    }
  }

  function showNow() {
    show(body, group.targets.map((target) => h("section", { "aria-label": target.scaled_object || "Without a ScaledObject" }, headline(target, app), target.inputs && ladder(target), target.inputs && figures(target))));
  }

  load();
  return { update: (names) => { if (names.has(name)) load(); }, tick: () => { if (group) showNow(); } };
}

function headline(target, app) {
  const asked = target.last_asked_at && (app.now() - Date.parse(target.last_asked_at)) / 1000;
  const unit = target.mode === "backlog" ? "messages" : "replicas";
  const told = target.emitted === null ? "KEDA is told nothing: an error, so that its fallback holds" : `KEDA is told ${target.emitted} ${unit}`;
  const facts = [told, target.active === null ? null : target.active ? "active" : "inactive", target.current === null ? "how many run is not known" : `${target.current} run`,
    target.scaled_object ? (asked === null ? "not asked yet" : `asked ${seconds(Math.max(0, Math.round(asked)))} ago`) : "no ScaledObject asks"];
  return [
    h("p", { class: "headline" }, h("strong", {}, target.desired === null ? "No answer" : `${target.desired} ${target.desired === 1 ? "replica" : "replicas"}`), " ",
      target.limit && target.limit !== "none" ? chip(`limit: ${words(target.limit)}`, ["hold", "min_replicas", "warm_up"].includes(target.limit) ? "fine" : "warn") : null, " ", target.scaled_object ? h("span", { class: "muted" }, `for ${target.scaled_object}`) : null),
    h("p", { class: "sentence" }, target.text),
    h("p", { class: "muted" }, facts.filter(Boolean).join(" · ")),
    target.warnings.map((warning) => h("p", { class: "warning" }, warning)),
    target.limit && h("p", { class: "advice" }, h("strong", {}, "To change it: "), ADVICE[target.limit] ?? ""),
  ];
}

/** From arrivals to the answer: [step, how, result, key]. */
function steps(target) {
  const { inputs, policy } = target;
  const utilization = inputs.target_utilization_ratio;
  const from = inputs.arrival_per_second === null || !utilization ? null : inputs.arrival_per_second * (inputs.surge_ratio ?? 1) / utilization;
  const rest = inputs.work_per_second === null || from === null ? null : Math.max(0, inputs.work_per_second - from);
  const capacity = { configured: "as configured", learned: "learned from busy intervals", unknown: `not known yet: ${inputs.capacity_samples_taken} of ${inputs.capacity_samples_needed} busy samples` }[inputs.capacity_source];
  const cap = { max_replicas: policy.max_replicas, partition_count: inputs.partitions, throughput_units: null };
  return [
    ["Arrivals", `${perSecond(inputs.arrival_per_second)}${inputs.surge_ratio === null ? "" : `, surging ${inputs.surge_ratio.toFixed(1)} ×`}, replicas used to ${percent(utilization)}`, perSecond(from)],
    ["Backlog", `${backlog(inputs.backlog)}${inputs.uncommitted ? `, of which ${inputs.uncommitted} only wait for a checkpoint` : ""}, to be gone in ${seconds(inputs.catch_up_seconds)}`, perSecond(rest)],
    ["Work", "both together", perSecond(inputs.work_per_second)],
    ["Capacity", `of one replica, ${capacity}`, perSecond(inputs.capacity_per_second ?? inputs.capacity_at_least_per_second)],
    ["Needed", RULES[inputs.rule] ?? "nothing to do", inputs.work_replicas, "work"],
    ["Held", inputs.held_by ? HELD[inputs.held_by] : `most needed within ${seconds(inputs.hold_seconds)}`, inputs.held_replicas, "held"],
    ["At least", "minReplicas", policy.min_replicas, "min_replicas"],
    ["At most", "maxReplicas", cap.max_replicas, "max_replicas"],
    policy.assignment === "exclusive" ? ["At most", "one consumer per partition", cap.partition_count, "partition_count"] : null,
    inputs.read_limit_per_second === null ? null : ["At most", `the source gives out ${perSecond(inputs.read_limit_per_second)}`, null, "throughput_units"],
    ["skew", "downstream", "stuck", "warm_up", "pods_not_ready"].includes(target.limit) ? ["Held back", words(target.limit), target.desired, target.limit] : null,
    ["Answer", target.emitted !== null && target.mode === "replicas" && target.emitted !== target.desired ? `sent as ${target.emitted}, past the HPA's dead band` : "", target.desired],
  ].filter(Boolean);
}

/** The step that the answer is from. */
function binding({ limit, inputs }) {
  if (limit === "hold") return "held";
  if (limit !== "none") return limit;
  return inputs.held_by ? "held" : "work";
}

function ladder(target) {
  const decides = binding(target);
  const write = (value) => orDash(value === null || value === undefined ? "unknown" : typeof value === "number" ? number(value) : value);
  const rows = steps(target).map(([step, how, result, key]) => [step, how, write(result), key === decides ? chip("decides", "fine") : ""]);
  return table("From what is measured to the answer", [["Step", ""], ["How", "why"], ["Result", "n"], ["Which counts", ""]], rows, { class: "ladder" });
}

function figures({ inputs, policy }) {
  const list = (values) => h("dl", { class: "figures" }, Object.entries(values).map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, value === null ? orDash("unknown") : typeof value === "object" ? JSON.stringify(value) : String(value)))));
  return h("details", {}, h("summary", {}, "All figures and settings"), h("h3", {}, "What it rests on"), list(inputs), h("h3", {}, "Policy"), list(policy));
}
