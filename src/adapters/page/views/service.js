// Health: sources and their circuits, how fresh groups are, KEDA's calls, and what is asked of others.

import { chip, h, show, table } from "../dom.js";
import { bytes, count, orDash, seconds, words } from "../format.js";

const list = (counts) => Object.entries(counts).map(([key, n]) => `${count(n)} ${words(key)}`).join(", ") || "none";

/** What a server does when its memory is full. */
const POLICIES = { noeviction: "refuses writes", allkeys: "deletes keys, streams included", volatile: "deletes keys that expire", unknown: "not told" };

export function openService(main, app) {
  const body = h("div");
  main.append(h("h1", {}, "Health"), body);
  const ago = (at) => (at ? `${seconds(Math.max(0, Math.round((app.now() - Date.parse(at)) / 1000)))} ago` : "never");

  async function load() {
    const [service, { sources }] = await Promise.all([app.get("service"), app.get("sources")]);
    const memory = sources.flatMap((source) => source.memory ?? []);
    const groups = [...app.groups.values()].sort((a, b) => (a.observed_at ?? "").localeCompare(b.observed_at ?? ""));
    show(body,
      h("p", {}, chip(service.ready ? "ready" : "not ready", service.ready ? "ok" : "bad"), ` streamgauge ${service.version}`),
      table("Sources", [["Source", ""], ["Circuit", ""], ["Last read", "n"], ["Polls", "n"], ["Failed polls", "why"], ["Requests", "why"]], sources.map((source) => [
        source.name, chip(words(source.circuit), source.circuit === "closed" ? "ok" : "bad"), ago(source.last_success_at), count(source.polls), list(source.errors),
        Object.entries(source.requests ?? {}).map(([api, of]) => `${api}: ${count(of.total)}${of.per_hour === null ? "" : `, ${count(of.per_hour)} per hour`}`).join("; ")])),
      memory.length > 0 && table("Memory", [["Server", ""], ["Used", "n"], ["Limit", "n"], ["At the limit", ""], ["Full in", "n"]], memory.map((of) => [
        of.server, bytes(of.used_bytes), of.limit_bytes === null ? "none" : bytes(of.limit_bytes), of.limit_bytes === null ? "" : POLICIES[of.policy],
        of.full_in_seconds === null ? "not growing" : seconds(of.full_in_seconds)])),
      table("Freshness, oldest first", [["Group", ""], ["Observed", "n"], ["State", ""], ["Error", "why"]], groups.map((group) => [
        h("a", { href: app.link("group", group.name) }, group.name), ago(group.observed_at), chip(group.freshness, { fresh: "ok", stale: "warn", unknown: "bad" }[group.freshness]), group.failure?.text ?? ""])),
      table("KEDA's calls", [["Method", ""], ["Answers", "why"]], Object.entries(service.rpcs).map(([method, codes]) => [method, Object.entries(codes).map(([code, n]) => `${count(n)} ${code}`).join(", ")])),
      table("Integrations", [["Name", ""], ["Status", "why"]], [
        ["Kubernetes", calls(service.kubernetes)], ["Prometheus (signals)", calls(service.prometheus)],
        ["Webhook", service.notifications ? `${list(service.notifications.outcomes)}; ${service.notifications.waiting} waiting` : "not configured"],
        ["Saved state", service.state ? `written ${ago(service.state.saved_at)}, ${count(service.state.failures)} failures` : "not configured"],
        ["Recording", service.recording_failures === null ? "not configured" : `${count(service.recording_failures)} rows lost`],
      ]));
  }
  const calls = (of) => (of === null ? "not configured" : [of.up === null ? "no response yet" : of.up ? chip("up", "ok") : chip("down", "bad"), ` ${count(of.calls)} calls, failed: ${list(of.errors)}`]);
  const quiet = () => load().catch((error) => { if (!body.hasChildNodes()) show(body, h("p", {}, error.message)); });
  quiet();
  let ticks = 0;
  return { tick: () => { ticks += 1; if (ticks % 2 === 0) quiet(); } };
}
