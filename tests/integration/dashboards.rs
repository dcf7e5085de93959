//! The dashboards: made by their generator, and every expression of them runs on a real Prometheus that scrapes the demo.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::dashboards::{NAMES, dashboard, expressions, folder};
use crate::support::demo::Demo;
use crate::support::prometheus::Prometheus;
use serde_json::Value;

/// What the demo has nothing of: no cluster, no signals from elsewhere, and as a rule no incident.
const NOT_IN_THE_DEMO: [&str; 7] = [
    "group_ready_replicas",
    "error_rate",
    "resource_utilization",
    "group_incident",
    "partition_anomaly",
    "group_drain_seconds",
    "changes(",
];

#[test]
fn the_files_are_what_the_generator_makes() {
    let said = Command::new("python3")
        .arg(folder().join("generate.py"))
        .arg("--check")
        .output()
        .expect("python3");
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
}

#[test]
fn grafanas_own_types_accept_them() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let said = Command::new("python3")
        .arg(root.join("tests/dashboards/check-types.py"))
        .arg(root.join(".tools/node"))
        .output()
        .expect("python3");
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success(),
        "is `make test` through its installation?\n{text}"
    );
}

/// The rules of Grafana's dashboard-linter that look into queries and variables; the program itself cannot be had everywhere.
#[test]
fn the_rules_of_grafanas_linter_hold() {
    for name in NAMES {
        let dashboard = dashboard(name);
        let variables = dashboard["templating"]["list"].as_array().expect("a list");
        for variable in variables.iter().filter(|v| v["type"] == "query") {
            // On time range change.
            assert_eq!(variable["refresh"], 2, "{name}: {}", variable["name"]);
        }
        for wanted in ["job", "instance"] {
            let found = variables.iter().find(|v| v["name"] == wanted);
            let found = found.expect(wanted);
            assert_eq!(
                (&found["label"], &found["multi"], &found["allValue"]),
                (&wanted.into(), &true.into(), &".+".into()),
                "{name}"
            );
        }
        let panels = dashboard["panels"].as_array().expect("panels");
        assert!(panels.iter().all(|panel| panel["targets"][0].is_object()));
        for panel in panels {
            for target in panel["targets"].as_array().expect("targets") {
                let expression = target["expr"].as_str().expect("text");
                is_lint_free(expression);
            }
        }
    }
}

fn is_lint_free(expression: &str) {
    let selectors = expression
        .matches("job=~\"$job\", instance=~\"$instance\"")
        .count();
    let metrics =
        expression.matches("streamgauge_").count() + expression.matches("process_").count();
    // Of the metrics of the process, those of ours: by what stands beside them.
    let beside = expression
        .matches("and on (job, instance) streamgauge_build_info")
        .count();
    assert_eq!(selectors, metrics - beside, "{expression}");
    for (at, _) in expression.match_indices('[') {
        assert!(
            expression[at..].starts_with("[$__rate_interval]"),
            "{expression}"
        );
    }
    for (at, _) in expression.match_indices("_total{") {
        let before = &expression[..at];
        let function = before.rfind('(').map_or("", |open| &before[..open]);
        let is_counted = ["rate", "increase"].iter().any(|f| function.ends_with(f));
        assert!(is_counted, "a counter as it is: {expression}");
    }
}

#[test]
fn every_dashboard_can_be_imported_anywhere_and_every_panel_says_what_it_shows() {
    let mut uids = BTreeSet::new();
    for name in NAMES {
        let dashboard = dashboard(name);
        assert!(uids.insert(dashboard["uid"].to_string()), "{name}: uid");
        assert_eq!(dashboard["schemaVersion"], 42);
        assert_eq!(dashboard["editable"], false);
        let first = &dashboard["templating"]["list"][0];
        assert_eq!(
            (&first["name"], &first["label"]),
            (&"datasource".into(), &"Data source".into())
        );
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{name}: {title}"
            );
            assert!(
                panel["description"].as_str().is_some_and(|d| d.len() > 5),
                "{name}: {title}"
            );
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{name}: {title}"
            );
            let at = &panel["gridPos"];
            let size = |key: &str| at[key].as_u64().expect("a size");
            assert!(size("x") + size("w") <= 24, "{name}: {title}");
            for x in size("x")..size("x") + size("w") {
                for y in size("y")..size("y") + size("h") {
                    assert!(
                        taken.insert((x, y)),
                        "{name}: {title} lies on another panel"
                    );
                }
            }
        }
        for (place, expression) in expressions(&dashboard) {
            let ours = expression.matches("streamgauge_").count() > 0;
            assert!(
                ours && expression.contains("instance=~\"$instance\""),
                "{name}: {place}: {expression}"
            );
        }
    }
}

/// What stands in `label_values(…, …)`.
fn variables(dashboard: &Value) -> Vec<(String, String)> {
    let list = dashboard["templating"]["list"].as_array().expect("a list");
    let queries = list.iter().filter_map(|v| v["query"]["query"].as_str());
    queries
        .map(|query| {
            let inner = query
                .strip_prefix("label_values(")
                .and_then(|q| q.strip_suffix(')'));
            let (selector, label) = inner.expect(query).rsplit_once(", ").expect(query);
            (selector.to_owned(), label.to_owned())
        })
        .collect()
}

#[test]
fn every_expression_runs_on_a_real_prometheus_and_shows_something_of_the_demo() {
    let demo = Demo::start();
    let mut prometheus = Prometheus::start(demo.address());
    // Something arrives, is decided and answered.
    prometheus.query("streamgauge_group_arrival_messages_per_second > 0");
    prometheus.query("streamgauge_group_skew_ratio");
    prometheus.query("sum(rate(streamgauge_rpc_requests_total[5s])) > 0");
    for name in NAMES {
        for (selector, label) in variables(&dashboard(name)) {
            let found =
                prometheus.query(&selector.replace("$job", ".+").replace("$instance", ".+"));
            assert!(
                found[0].0[&label].is_string(),
                "{name}: {selector}, {label}"
            );
        }
        for (place, expression) in expressions(&dashboard(name)) {
            let asked = expression
                .replace("$job", ".+")
                .replace("$instance", ".+")
                .replace("$group", "demo")
                .replace("$__rate_interval", "5s")
                .replace("$__interval", "5s");
            if NOT_IN_THE_DEMO.iter().any(|part| expression.contains(part)) {
                prometheus.accepts(&asked);
            } else {
                let found = prometheus.query(&asked);
                assert!(!found.is_empty(), "{name}: {place}");
            }
        }
    }
}
