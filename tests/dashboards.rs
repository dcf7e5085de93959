//! The dashboards: made by their generator, and every expression of them runs on a real Prometheus that scrapes the demo.

#![allow(
    clippy::expect_used,
    reason = "this is test code; clippy knows only #[test] functions as such"
)]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::demo::Demo;
use support::prometheus::Prometheus;

const NAMES: [&str; 4] = ["load-skew", "scaling", "baselines", "streamgauge"];

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

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

fn dashboard(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json")));
    serde_json::from_str(&text.expect("readable")).expect("JSON")
}

/// Of panels and annotations, with where each stands.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            found.push((panel["title"].to_string(), target["expr"].to_string()));
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        found.push((
            annotation["name"].to_string(),
            annotation["expr"].to_string(),
        ));
    }
    let plain = |text: String| serde_json::from_str(&text).expect("text");
    found
        .into_iter()
        .map(|(a, b)| (plain(a), plain(b)))
        .collect()
}

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

#[test]
fn every_expression_runs_on_a_real_prometheus_and_shows_something_of_the_demo() {
    let demo = Demo::start();
    let mut prometheus = Prometheus::start(demo.address());
    // Something arrives, is decided and answered.
    prometheus.query("streamgauge_group_arrival_messages_per_second > 0");
    prometheus.query("streamgauge_group_skew_ratio");
    prometheus.query("sum(rate(streamgauge_rpc_requests_total[5s])) > 0");
    for name in NAMES {
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
