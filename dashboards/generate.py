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
        "Load of a group by partition, over time.",
        [
            stat("Backlog", "Backlog of the group, in messages.", each("group", "group_backlog_messages"), "short"),
            stat("Oldest message", "Age of the oldest unfinished message.", each("group", "group_oldest_age_seconds"), "s"),
            stat("Arrivals", "Arrival rate, in messages per second.", each("group", "group_arrival_messages_per_second"), "cps"),
            stat("Processed", "Processing rate, in messages per second.", each("group", "group_processing_messages_per_second"), "cps"),
            stat("Skew", "Arrival rate of the hottest partition ÷ the mean; absent without arrivals.", each("group", "group_skew_ratio"), "none", decimals=2),
            now(stat("Unknown partitions", "Partitions with an unknown backlog.", f"count({each('partition', 'partition_backlog_known')} == 0) or vector(0)", "none")),
            heatmap("Backlog per partition", "Backlog in messages. Gaps are unknown.", each("partition", "partition_backlog_messages"), "short", "messages"),
            heatmap("Arrival rate per partition", "Arrival rate, in messages per second.", arrival, "cps", "messages/s"),
            heatmap(
                "Share of arrivals per partition",
                "Share of all arrivals, by partition. Shows skew even at low traffic. An even share is 1 ÷ partitions.",
                f"{arrival} / {total}",
                "percentunit",
                "share",
                # The division costs as much again.
                points=40,
            ),
            heatmap("Age per partition", "Age of the oldest unfinished message.", each("partition", "partition_oldest_age_seconds"), "s", "seconds"),
            of_many(timeline("Partition status", "Status by fixed rules, not learned (docs/detection.md).", [(each("partition", "partition_status_code"), "{{partition}}")], height=10, mappings=states(STATUS))),
            bars("Largest backlogs", "The ten partitions with the largest backlog now.", f"topk(10, {each('partition', 'partition_backlog_messages')})", "{{partition}}", "short"),
            bars("Hottest partitions", "The ten partitions with the highest arrival rate now.", f"topk(10, {arrival})", "{{partition}}", "cps"),
            lines("Skew", "Hottest partition ÷ mean. A partition that needs more than one replica falls behind, whatever the replica count.", [(each("group", "group_skew_ratio"), "{{group}}")], "none"),
            of_many(lines("Messages lost", "Messages that left the log unprocessed.", [(f"max by (partition) (increase({series('partition_lost_messages_total')}[$__rate_interval]))", "{{partition}}")], "short")),
        ],
    )


def scaling():
    by = "scaled_object"
    return dashboard(
        "streamgauge-scaling",
        "streamgauge / scaling",
        "Desired and running replicas of a group, and what limits them.",
        [
            stat("Desired", "Desired replicas, within all bounds.", each(by, "group_desired_replicas"), "none", legend="{{scaled_object}}"),
            stat("Running", "Current replicas.", each(by, "group_current_replicas"), "none", legend="{{scaled_object}}"),
            stat("Utilization", "Arrival rate ÷ capacity of the running replicas.", each("group", "group_utilization_ratio"), "percentunit"),
            stat("Drain time", "Time until the backlog is drained at current rates; absent if the backlog is not shrinking.", each("group", "group_drain_seconds"), "s"),
            stat("Capacity", "Capacity of one fully busy replica, in messages per second.", each("group", "group_capacity_messages_per_second"), "cps"),
            stat("Active", "Whether the answer to KEDA is active.", each(by, "group_active"), "bool_yes_no", legend="{{scaled_object}}"),
            lines(
                "Replicas",
                "Emitted is the value sent to KEDA. It differs from desired only to pass the HPA's dead band.",
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
            timeline("Limit", "One row per limit, colored while that limit determines the desired replicas.", [(each("scaled_object, limit", "group_limited") + " == 1", "{{limit}} {{scaled_object}}")], width=12),
            timeline("Downstream circuit breaker", "Open: a dependency of the consumers is slow, and the replica count is held.", [(each("state", "group_breaker_state") + " == 1", "{{state}}")], width=12),
            lines("Arrivals and processing", "Arrival and processing rates, in messages per second.", [(each("group", "group_arrival_messages_per_second"), "arrivals"), (each("group", "group_processing_messages_per_second"), "processed"), (each("group", "group_forecast_messages_per_second"), "expected in 75 s")], "cps"),
            lines("Delay", "Waiting excludes messages that are processed and only wait for a checkpoint.", [(each("group", "group_waiting_seconds"), "waiting"), (each("group", "group_oldest_age_seconds"), "oldest age")], "s"),
            lines("Capacity of one replica", "Configured or learned, in messages per second.", [(each("group", "group_capacity_messages_per_second"), "{{group}}")], "cps"),
            lines("Utilization", "Arrival rate ÷ capacity of the running replicas.", [(each("group", "group_utilization_ratio"), "{{group}}")], "percentunit"),
            lines("Decisions that changed the answer", "By reason.", [(f"sum by (reason) (increase({series('group_decisions_total')}[$__rate_interval]))", "{{reason}}")], "short", custom={"drawStyle": "bars", "fillOpacity": 60}),
            lines("Consumers", "Active consumers.", [(each("group", "group_consumers"), "{{group}}")], "none"),
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
        return lines(title, "Value, expected value and normal range (about 98 % of samples).", targets, unit, overrides=overrides)

    return dashboard(
        "streamgauge-baselines",
        "streamgauge / baselines and anomalies",
        "Learned baselines, anomalies and incidents of a group.",
        [
            band("throughput", "Throughput", "cps"),
            band("backlog", "Backlog", "short"),
            band("age", "Age of the oldest message", "s"),
            band("error_rate", "Error rate", "none"),
            band("resource_utilization", "Resource utilization", "none"),
            lines("Anomaly score", "Anomaly score of the last sample, 0 to 1; the flag is raised at 0.5.", [(each("signal", "anomaly_score"), "{{signal}}")], "none", min=0, max=1),
            timeline("Anomalies", "1 while a signal is anomalous.", [(each("signal", "anomaly"), "{{signal}}")], width=12),
            timeline("Incidents", "Open incidents, by likely kind.", [(each("kind", "group_incident") + " == 1", "{{kind}}")], width=12),
            timeline("Anomalous partitions", "Anomaly flags, by partition and signal.", [(each("partition, signal", "partition_anomaly") + " == 1", "{{partition}} {{signal}}")], width=12),
            lines("Learning", "1 while the baseline is still learning and flags nothing.", [(each("signal", "baseline_learning"), "{{signal}}")], "none"),
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
        "streamgauge / service",
        "Health of streamgauge itself: sources, polls, KEDA's calls, resources.",
        [
            stat("Sources up", "Number of sources whose last poll returned data.", f"sum({of_service('source', 'source_up')})", "none"),
            stat("KEDA's calls", "Per second.", f"sum({rate('method', 'rpc_requests_total')})", "reqps"),
            stat("Errors to KEDA", "Share of KEDA's calls that return an error.", f"(sum({rate('code', 'rpc_requests_total', 'code!=' + chr(34) + 'OK' + chr(34))}) or vector(0)) / sum({rate('method', 'rpc_requests_total')})", "percentunit"),
            stat("RPC duration, p99", "99th percentile of RPC duration.", quantile(0.99, "rpc_duration_seconds"), "s"),
            stat("Age of answers, p99", "Age of the observation behind an answer, 99th percentile.", quantile(0.99, "rpc_decision_age_seconds"), "s"),
            stat("Series left out", "Per scrape. If it is above 0, raise metrics.max_series or set granularity.", f"sum(max by (reason) (increase({series('series_dropped_total', match=MATCH)}[$__rate_interval])))", "short"),
            timeline("Sources", "1 while the last poll returned data.", [(of_service("source", "source_up"), "{{source}}")], width=12),
            timeline("Circuits", "One row per source and state.", [(of_service("source, state", "circuit_state") + " == 1", "{{source}} {{state}}")], width=12),
            lines("Poll duration, p50 and p99", "Duration of polls, by source.", [(quantile(0.5, "poll_duration_seconds", "source"), "p50 {{source}}"), (quantile(0.99, "poll_duration_seconds", "source"), "p99 {{source}}")], "s"),
            lines("Failed polls", "Failed polls, by reason.", [(rate("source, reason", "poll_errors_total"), "{{source}} {{reason}}")], "cps"),
            lines("KEDA's calls", "RPCs per second, by method and gRPC status code.", [(rate("method, code", "rpc_requests_total"), "{{method}} {{code}}")], "reqps"),
            lines("RPC duration, p99", "RPC duration by method; for streams, the time until the stream is open.", [(quantile(0.99, "rpc_duration_seconds", "method"), "{{method}}")], "s"),
            lines("Time since the last successful poll", "By source.", [(f"time() - {of_service('source', 'source_last_success_timestamp_seconds')}", "{{source}}")], "s"),
            lines("CPU", "CPU cores used by the process.", [(f"rate(process_cpu_seconds_total{{{MATCH}}}[$__rate_interval]) and on (job, instance) streamgauge_build_info", "{{instance}}")], "none"),
            lines("Resident memory", "Resident memory of the process.", [(process("process_resident_memory_bytes"), "{{instance}}")], "bytes"),
            lines("Open files", "Open file descriptors of the process.", [(process("process_open_fds"), "{{instance}}")], "none"),
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
