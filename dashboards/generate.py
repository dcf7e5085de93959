#!/usr/bin/env python3
"""Writes the dashboards beside this file: `python3 dashboards/generate.py`. `cargo test --test integration dashboards::` finds when they differ.

Classic JSON of Grafana 11 and later (schemaVersion 42). Every query goes through the variables datasource, job, instance and group.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
MATCH = 'job=~"$job", instance=~"$instance"'
OF_GROUP = MATCH + ', group=~"$group"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def series(name, labels="", match=OF_GROUP):
    """A metric of ours, of whichever replica tells it."""
    return f"streamgauge_{name}{{{match}{', ' + labels if labels else ''}}}"


def each(by, name, labels="", match=OF_GROUP):
    return f"max by ({by}) ({series(name, labels, match)})"


def target(expr, legend, ref="A"):
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": "time_series",
        "legendFormat": legend,
        "range": True,
        "refId": ref,
    }


def of_many(made, points=60):
    """A panel with a series per partition: fewer points, so that Prometheus answers within a second at 10,000 partitions."""
    made["maxDataPoints"] = points
    return made


def panel(kind, title, about, targets, unit, options, width=12, height=8, **field):
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "targets": [target(e, l, chr(65 + n)) for n, (e, l) in enumerate(targets)],
        "fieldConfig": {"defaults": {"unit": unit, **field}, "overrides": []},
        "options": options,
        "gridPos": {"w": width, "h": height},
    }


def lines(title, about, targets, unit, width=12, height=8, custom=None, overrides=None, **field):
    options = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    style = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "never", "spanNulls": False, **(custom or {})}
    made = panel("timeseries", title, about, targets, unit, options, width, height, custom=style, **field)
    made["fieldConfig"]["overrides"] = overrides or []
    return made


def heatmap(title, about, expr, unit, value, width=24, height=10, most=None, points=60):
    """Rows are partitions. `le` below 0, for the default hides zeros: a partition that does well would look like missing data."""
    color = {"mode": "scheme", "scheme": "Turbo", "scale": "exponential", "exponent": 0.5, "steps": 64, "min": 0, "fill": "dark-orange", "reverse": False}
    if most is not None:
        color["max"] = most
    options = {
        "calculate": False,
        "rowsFrame": {"layout": "auto", "value": value},
        "color": color,
        "filterValues": {"le": -1},
        "cellGap": 1,
        "cellValues": {"unit": unit},
        "yAxis": {"axisPlacement": "left", "reverse": True},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "showValue": "never",
    }
    return of_many(panel("heatmap", title, about, [(expr, "{{partition}}")], unit, options, width, height), points)


def stat(title, about, expr, unit, width=4, legend="", **field):
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "wideLayout": True,
    }
    return panel("stat", title, about, [(expr, legend)], unit, options, width, 4, **field)


def now(made):
    """Asks for this moment only."""
    made["targets"][0].update({"instant": True, "range": False})
    return made


def timeline(title, about, targets, width=24, height=8, mappings=None):
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    style = {"fillOpacity": 70, "lineWidth": 0}
    return panel("state-timeline", title, about, targets, "none", options, width, height, custom=style, mappings=mappings or [])


def bars(title, about, expr, legend, unit, width=12, height=8):
    options = {
        "displayMode": "gradient",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "maxVizHeight": 300,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "sizing": "auto",
    }
    made = panel("bargauge", title, about, [(expr, legend)], unit, options, width, height)
    return now(made)


def states(names_and_colors):
    values = {str(n): {"color": c, "index": n, "text": t} for n, (t, c) in enumerate(names_and_colors)}
    return [{"type": "value", "options": values}]


def variable(name, label, query, multi=False, all_=False, refresh=2):
    made = {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": refresh,
        "sort": 7,
        "multi": multi,
        "includeAll": all_,
    }
    if all_:
        made["allValue"] = ".+"
        made["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return made


def dashboard(uid, title, about, panels, of_groups=True):
    variables = [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1},
        variable("job", "job", "label_values(streamgauge_build_info, job)", multi=True, all_=True),
        variable("instance", "instance", 'label_values(streamgauge_build_info{job=~"$job"}, instance)', multi=True, all_=True),
    ]
    if of_groups:
        variables.append(variable("group", "group", f"label_values(streamgauge_group_backlog_messages{{{MATCH}}}, group)"))
    x = y = row = 0
    for n, made in enumerate(panels, 1):
        size = made["gridPos"]
        if x + size["w"] > 24:
            x, y, row = 0, y + row, 0
        size.update({"x": x, "y": y})
        x, row = x + size["w"], max(row, size["h"])
        made["id"] = n
    annotations = []
    if of_groups:
        annotations = [
            {
                "name": "Incidents",
                "datasource": SOURCE,
                "enable": True,
                "iconColor": "red",
                "expr": each("group, kind", "group_incident") + " == 1",
                "titleFormat": "{{kind}}",
                "step": "30s",
            },
            {
                "name": "Decisions",
                "datasource": SOURCE,
                "enable": False,
                "iconColor": "blue",
                "expr": f"sum by (group, reason) (changes({series('group_decisions_total')}[$__interval])) > 0",
                "titleFormat": "{{reason}}",
                "step": "30s",
            },
        ]
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["streamgauge"],
        "schemaVersion": 42,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": annotations},
        "links": [
            {
                "type": "dashboards",
                "title": "streamgauge",
                "tooltip": "The other dashboards",
                "icon": "external link",
                "tags": ["streamgauge"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
            }
        ],
        "panels": panels,
    }


STATUS = [("ok", "green"), ("behind", "yellow"), ("stuck", "red"), ("stopped", "dark-red"), ("rewound", "purple"), ("unknown", "gray")]


def load_skew():
    arrival = each("partition", "partition_arrival_messages_per_second")
    # One series instead of all once more.
    total = f"scalar(sum({each('group', 'group_arrival_messages_per_second')}))"
    return dashboard(
        "streamgauge-load-skew",
        "streamgauge / load skew",
        "Where the load of a group is: every partition over time.",
        [
            stat("Backlog", "Unfinished messages of the group.", each("group", "group_backlog_messages"), "short"),
            stat("Oldest message", "How long the oldest unfinished message has waited.", each("group", "group_oldest_age_seconds"), "s"),
            stat("Arrivals", "Messages that arrive per second.", each("group", "group_arrival_messages_per_second"), "cps"),
            stat("Processed", "Messages that are processed per second.", each("group", "group_processing_messages_per_second"), "cps"),
            stat("Skew", "Arrival rate of the hottest partition ÷ mean; absent without arrivals.", each("group", "group_skew_ratio"), "none", decimals=2),
            now(stat("Partitions unknown", "Partitions whose backlog could not be read.", f"count({each('partition', 'partition_backlog_known')} == 0) or vector(0)", "none")),
            heatmap("Backlog per partition", "Unfinished messages. Gaps: unknown.", each("partition", "partition_backlog_messages"), "short", "messages"),
            heatmap("Arrival rate per partition", "Messages that arrive per second.", arrival, "cps", "messages/s"),
            heatmap(
                "Share of arrivals per partition",
                "A partition's part of all arrivals: skew shows at any traffic. Even load is 1 ÷ partitions.",
                f"{arrival} / {total}",
                "percentunit",
                "share",
                # The division costs as much again.
                points=40,
            ),
            heatmap("Age per partition", "How long the oldest unfinished message has waited.", each("partition", "partition_oldest_age_seconds"), "s", "seconds"),
            of_many(timeline("Status of partitions", "By rule, not learned: docs/detection.md.", [(each("partition", "partition_status_code"), "{{partition}}")], height=10, mappings=states(STATUS))),
            bars("Largest backlogs", "The ten partitions with the most unfinished messages now.", f"topk(10, {each('partition', 'partition_backlog_messages')})", "{{partition}}", "short"),
            bars("Hottest partitions", "The ten partitions with the most arrivals now.", f"topk(10, {arrival})", "{{partition}}", "cps"),
            lines("Skew", "Hottest partition ÷ mean. What one replica cannot take is late, however many there are.", [(each("group", "group_skew_ratio"), "{{group}}")], "none"),
            of_many(lines("Messages lost", "Left the log before they were processed.", [(f"max by (partition) (increase({series('partition_lost_messages_total')}[$__rate_interval]))", "{{partition}}")], "short")),
        ],
    )


def scaling():
    by = "scaled_object"
    return dashboard(
        "streamgauge-scaling",
        "streamgauge / scaling",
        "What was decided, what runs, and what limits it.",
        [
            stat("Desired", "Replicas that the policy wants.", each(by, "group_desired_replicas"), "none", legend="{{scaled_object}}"),
            stat("Running", "Replicas that run.", each(by, "group_current_replicas"), "none", legend="{{scaled_object}}"),
            stat("Utilization", "Arrival rate ÷ what the ready replicas can do.", each("group", "group_utilization_ratio"), "percentunit"),
            stat("Drain time", "Until the backlog is gone as things are; absent if it grows.", each("group", "group_drain_seconds"), "s"),
            stat("Capacity", "Messages per second that one replica does when it is never idle.", each("group", "group_capacity_messages_per_second"), "cps"),
            stat("Active", "Whether KEDA is told that there is work.", each(by, "group_active"), "bool_yes_no", legend="{{scaled_object}}"),
            lines(
                "Replicas",
                "Emitted differs from desired only to pass the HPA's dead band.",
                [
                    (each(by, "group_desired_replicas"), "desired {{scaled_object}}"),
                    (each(by, "group_emitted_replicas"), "emitted {{scaled_object}}"),
                    (each(by, "group_current_replicas"), "running {{scaled_object}}"),
                    (each(by, "group_ready_replicas"), "ready {{scaled_object}}"),
                ],
                "none",
                width=24,
                height=9,
                custom={"lineInterpolation": "stepAfter"},
            ),
            timeline("What limits the answer", "One row per limit: coloured while it decides.", [(each("scaled_object, limit", "group_limited") + " == 1", "{{limit}} {{scaled_object}}")], width=12),
            timeline("Breaker", "Open: what the consumers depend on is slow, the target is held.", [(each("state", "group_breaker_state") + " == 1", "{{state}}")], width=12),
            lines("Arrivals and processing", "Messages per second.", [(each("group", "group_arrival_messages_per_second"), "arrive"), (each("group", "group_processing_messages_per_second"), "are processed"), (each("group", "group_forecast_messages_per_second"), "expected in 75 s")], "cps"),
            lines("Delay", "Waiting: without what is processed and only waits for its checkpoint.", [(each("group", "group_waiting_seconds"), "waiting"), (each("group", "group_oldest_age_seconds"), "oldest age")], "s"),
            lines("Capacity of one replica", "Configured or learned.", [(each("group", "group_capacity_messages_per_second"), "{{group}}")], "cps"),
            lines("Utilization", "Arrival rate ÷ what the ready replicas can do.", [(each("group", "group_utilization_ratio"), "{{group}}")], "percentunit"),
            lines("Changes of the answer", "By reason.", [(f"sum by (reason) (increase({series('group_decisions_total')}[$__rate_interval]))", "{{reason}}")], "short", custom={"drawStyle": "bars", "fillOpacity": 60}),
            lines("Consumers", "At work.", [(each("group", "group_consumers"), "{{group}}")], "none"),
        ],
    )


def baselines():
    def band(signal, title, unit):
        label = f'signal="{signal}"'
        overrides = [
            {"matcher": {"id": "byName", "options": "upper"}, "properties": [{"id": "custom.fillBelowTo", "value": "lower"}, {"id": "custom.lineWidth", "value": 0}, {"id": "custom.fillOpacity", "value": 20}]},
            {"matcher": {"id": "byName", "options": "lower"}, "properties": [{"id": "custom.lineWidth", "value": 0}]},
            {"matcher": {"id": "byName", "options": "expected"}, "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}}]},
        ]
        targets = [
            (each("signal", "signal_value", label), "value"),
            (each("signal", "baseline_expected", label), "expected"),
            (each("signal", "baseline_lower", label), "lower"),
            (each("signal", "baseline_upper", label), "upper"),
        ]
        return lines(title, "The value within the band that 98 of 100 samples lie in, and what was expected.", targets, unit, overrides=overrides)

    return dashboard(
        "streamgauge-baselines",
        "streamgauge / baselines and anomalies",
        "What is normal for a group, and what is not.",
        [
            band("throughput", "Throughput", "cps"),
            band("backlog", "Backlog", "short"),
            band("age", "Age", "s"),
            band("error_rate", "Error rate", "none"),
            band("resource_utilization", "Resource utilization", "none"),
            lines("Score", "How much the last sample is news; from 0.5 on the flag rises.", [(each("signal", "anomaly_score"), "{{signal}}")], "none", min=0, max=1),
            timeline("Flags", "1 while a signal is unusual.", [(each("signal", "anomaly"), "{{signal}}")], width=12),
            timeline("Incidents", "By their likely kind.", [(each("kind", "group_incident") + " == 1", "{{kind}}")], width=12),
            timeline("Unusual partitions", "Flags per partition and signal.", [(each("partition, signal", "partition_anomaly") + " == 1", "{{partition}} {{signal}}")], width=12),
            lines("Learning", "1 while not enough was seen to flag anything.", [(each("signal", "baseline_learning"), "{{signal}}")], "none"),
        ],
    )


def itself():
    def of_service(by, name, labels=""):
        return each(by, name, labels, MATCH)

    def rate(by, name, labels=""):
        return f"sum by ({by}) (rate({series(name, labels, MATCH)}[$__rate_interval]))"

    def quantile(q, name, by=""):
        inner = f"le, {by}" if by else "le"
        return f"histogram_quantile({q}, {rate(inner, name + '_bucket')})"

    def process(name):
        return f"{name}{{{MATCH}}} and on (job, instance) streamgauge_build_info"

    return dashboard(
        "streamgauge-itself",
        "streamgauge / itself",
        "Whether the service can be trusted now.",
        [
            stat("Sources up", "Of those that were asked.", f"sum({of_service('source', 'source_up')})", "none"),
            stat("KEDA's calls", "Per second.", f"sum({rate('method', 'rpc_requests_total')})", "reqps"),
            stat("Errors to KEDA", "Part of its calls.", f"(sum({rate('code', 'rpc_requests_total', 'code!=' + chr(34) + 'OK' + chr(34))}) or vector(0)) / sum({rate('method', 'rpc_requests_total')})", "percentunit"),
            stat("Answers, p99", "Time of an answer.", quantile(0.99, "rpc_duration_seconds"), "s"),
            stat("Age behind answers, p99", "How old the observation was that an answer rested on.", quantile(0.99, "rpc_decision_age_seconds"), "s"),
            stat("Series left out", "At every scrape anew; more than 0: raise metrics.max_series or set granularity.", f"sum(max by (reason) (increase({series('series_dropped_total', match=MATCH)}[$__rate_interval])))", "short"),
            timeline("Sources", "1 while the last poll brought something.", [(of_service("source", "source_up"), "{{source}}")], width=12),
            timeline("Circuits", "One row per source and state.", [(of_service("source, state", "circuit_state") + " == 1", "{{source}} {{state}}")], width=12),
            lines("Poll time, p50 and p99", "Of every source.", [(quantile(0.5, "poll_duration_seconds", "source"), "p50 {{source}}"), (quantile(0.99, "poll_duration_seconds", "source"), "p99 {{source}}")], "s"),
            lines("Failed polls", "By class.", [(rate("source, reason", "poll_errors_total"), "{{source}} {{reason}}")], "cps"),
            lines("KEDA's calls", "By method and code.", [(rate("method, code", "rpc_requests_total"), "{{method}} {{code}}")], "reqps"),
            lines("Time of answers, p99", "By method; of a stream, until it is open.", [(quantile(0.99, "rpc_duration_seconds", "method"), "{{method}}")], "s"),
            lines("Since the last good poll", "Per source.", [(f"time() - {of_service('source', 'source_last_success_timestamp_seconds')}", "{{source}}")], "s"),
            lines("CPU", "Cores in use.", [(f"rate(process_cpu_seconds_total{{{MATCH}}}[$__rate_interval]) and on (job, instance) streamgauge_build_info", "{{instance}}")], "none"),
            lines("Resident memory", "Of the process.", [(process("process_resident_memory_bytes"), "{{instance}}")], "bytes"),
            lines("Open files", "Descriptors.", [(process("process_open_fds"), "{{instance}}")], "none"),
        ],
        of_groups=False,
    )


ALL = {"load-skew": load_skew, "scaling": scaling, "baselines": baselines, "streamgauge": itself}


def main():
    differing = []
    for name, make in ALL.items():
        path = HERE / f"{name}.json"
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                differing.append(path.name)
        else:
            path.write_text(text)
    if differing:
        sys.exit(f"run python3 dashboards/generate.py: {', '.join(differing)} differ")


if __name__ == "__main__":
    main()
