// Why so many replicas: from what was measured to the answer to KEDA, step by step, with the step that decided marked.

import { chip, h, show, table } from "../dom.js";
import { number, orDash, seconds, words } from "../format.js";
import { tabs } from "./group.js";

/** What to change where an answer is not as wanted. */
const ADVICE = {
  min_replicas: "Lower minReplicas to allow fewer.",
  max_replicas: "Raise maxReplicas, together with maxReplicaCount of the ScaledObject.",
  partition_count: "Add partitions: each has one consumer at a time, so more replicas would have nothing to do.",
  skew: "One partition receives more than a consumer can process: spread its keys, or make consumers faster. More replicas do not help.",
  downstream: "A dependency of the consumers is slow: look there first. More replicas would add to its load.",
  stuck: "Look at the consumers that own the partitions without progress. More replicas do not help.",
  hold: "More replicas were needed a while ago. Shorten scale_in_hold (scaleInHold in the trigger) to scale in sooner, at the price of more scaling.",
  warm_up: "Wait: after a start, streamgauge keeps to the running replicas until it knows enough.",
  pods_not_ready: "Some pods do not become ready: look at them. More pods would hang as well.",
  throughput_units: "Raise the throughput units of the namespace: consumers cannot read faster with these.",
  none: "The count follows the load. Set targetDelay to allow more or less delay, or capacityPerReplica to replace the learned capacity.",
};

export function openDecision(main, app, name) {
  const [body, log] = [h("div"), h("div")];
  main.append(tabs(app, name, "decision"), body, log);
  let group = null;
  if (app.at !== null) body.append(h("p", {}, "Computing this moment from the journal…"));

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
        told.map((decision) => [app.moment(decision.at, "decision", name), decision.scaled_object || "no ScaledObject", orDash(String(decision.desired ?? "unknown")), words(decision.reason), words(decision.limit), decision.text])));
    } catch (error) {
      show(body, h("p", {}, error.message));
    }
  }

  function showNow() {
    show(body, group.targets.map((target) => h("section", { "aria-label": target.scaled_object || "Without a ScaledObject" }, headline(target, app), ladder(target), target.inputs && figures(target))));
  }

  load();
  return { update: (names) => { if (names.has(name)) load(); }, tick: () => { if (group) showNow(); } };
}

function headline(target, app) {
  const asked = target.last_asked_at && (app.now() - Date.parse(target.last_asked_at)) / 1000;
  const unit = target.mode === "backlog" ? "messages" : "replicas";
  const gets = app.at === null ? "KEDA gets" : "KEDA got";
  const answer = target.emitted === null ? `${gets} an error and applies the fallback, if there is one` : `${gets} ${target.emitted} ${unit}`;
  const facts = [answer, target.active === null ? null : target.active ? "active" : "inactive", target.current === null ? "running replicas unknown" : `${target.current} running`,
    target.scaled_object ? (asked !== null ? `last call ${seconds(Math.max(0, Math.round(asked)))} ago` : app.at === null ? "no call from KEDA yet" : null) : "no ScaledObject uses it"];
  return [
    h("p", { class: "headline" }, h("strong", {}, target.desired === null ? "No answer" : `${target.desired} ${target.desired === 1 ? "replica" : "replicas"}`), " ",
      target.limit && target.limit !== "none" ? chip(`limit: ${words(target.limit)}`, ["hold", "min_replicas", "warm_up"].includes(target.limit) ? "fine" : "warn") : null, " ", target.scaled_object ? h("span", { class: "muted" }, `for ${target.scaled_object}`) : null),
    h("p", { class: "sentence" }, target.text),
    h("p", { class: "muted" }, facts.filter(Boolean).join(" · ")),
    target.warnings.map((warning) => h("p", { class: "warning" }, warning)),
    target.limit && h("p", { class: "advice" }, h("strong", {}, "To change it: "), ADVICE[target.limit] ?? ""),
  ];
}

/** The rules that applied, in their order, with the count that each left and the one that decided marked. */
function ladder({ steps, emitted, desired, mode }) {
  if (steps.length === 0) return null;
  const count = (step) => (step.before === step.after && step !== steps[0] ? "" : number(step.after));
  const rows = steps.map((step) => [words(step.rule), step.text, count(step), step.decides ? chip("decides", "fine") : ""]);
  if (emitted !== null && mode !== "backlog" && emitted !== desired) rows.push(["sent to KEDA", "adjusted to the HPA's tolerance", number(emitted), ""]);
  return table("From the measurements to the answer", [["Rule", ""], ["Why", "why"], [mode === "backlog" ? "Messages" : "Replicas", "n"], ["Deciding step", ""]], rows, { class: "ladder" });
}

function figures({ inputs, policy }) {
  const list = (values) => h("dl", { class: "figures" }, Object.entries(values).map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, value === null ? orDash("unknown") : typeof value === "object" ? JSON.stringify(value) : String(value)))));
  return h("details", {}, h("summary", {}, "All figures and settings"), h("h3", {}, "Inputs"), list(inputs), h("h3", {}, "Policy"), list(policy));
}
