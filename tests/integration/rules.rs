//! The rules for Prometheus: they fire, stay silent and resolve, have a runbook each, and are the same for the operator.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).expect(path)
}

fn rules() -> Vec<Value> {
    let file = yaml("manifests/prometheus/rules.yaml");
    let groups = file["groups"].as_sequence().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_sequence().expect("rules"));
    rules.cloned().collect()
}

fn alerts() -> BTreeSet<String> {
    let name = |rule: &Value| rule["alert"].as_str().map(str::to_owned);
    rules().iter().filter_map(name).collect()
}

fn promtool(arguments: &[&str], folder: &Path) {
    let said = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("promtool: run `make test`, which installs it");
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
}

#[test]
fn every_alert_fires_stays_silent_and_resolves_as_told() {
    promtool(
        &["check", "rules", "manifests/prometheus/rules.yaml"],
        &root(),
    );
    promtool(
        &["test", "rules", "alerts.yaml"],
        &root().join("tests/rules"),
    );
    let tests = read("tests/rules/alerts.yaml");
    let untested: Vec<_> = alerts()
        .into_iter()
        .filter(|a| !tests.contains(a))
        .collect();
    assert_eq!(untested, Vec::<String>::new());
}

#[test]
fn every_alert_says_what_how_bad_and_what_to_do_about_it() {
    let runbooks = read("docs/runbooks.md");
    for rule in rules().iter().filter(|rule| !rule["alert"].is_null()) {
        let name = rule["alert"].as_str().expect("a name");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        for annotation in ["summary", "description"] {
            assert!(
                rule["annotations"][annotation].is_string(),
                "{name}: {annotation}"
            );
        }
        let anchor = name.to_lowercase();
        let url = format!("docs/runbooks.md#{anchor}");
        assert_eq!(
            rule["annotations"]["runbook_url"].as_str(),
            Some(url.as_str())
        );
        assert!(
            runbooks.contains(&format!("\n### {name}\n")),
            "{name} has no runbook"
        );
    }
    let headings = runbooks
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let left_over: Vec<&str> = headings.filter(|name| !alerts().contains(*name)).collect();
    assert_eq!(left_over, Vec::<&str>::new());
}

#[test]
fn every_metric_of_the_rules_is_one_that_is_exported() {
    let metrics = read("docs/metrics.md");
    let recorded: BTreeSet<String> = rules()
        .iter()
        .filter_map(|rule| rule["record"].as_str().map(str::to_owned))
        .collect();
    for rule in rules() {
        let expression = rule["expr"].as_str().expect("an expression");
        let names =
            expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        for name in names.filter(|name| name.starts_with("streamgauge")) {
            let known = match name.strip_prefix("streamgauge_") {
                Some(plain) => metrics.contains(&format!("`{plain}`")),
                None => recorded.contains(name),
            };
            assert!(known, "{name} in {expression}");
        }
    }
}

/// Made from the plain file, text and comments included.
#[test]
fn the_operators_rules_are_the_same() {
    let plain = read("manifests/prometheus/rules.yaml");
    let (_, groups) = plain.split_once("\ngroups:\n").expect("groups");
    let groups: String = groups
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {line}\n")
            }
        })
        .collect();
    let expect = format!(
        "# Made from rules.yaml: `UPDATE=1 cargo test --test integration rules::`.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: streamgauge\n  namespace: streamgauge\n\
         spec:\n  groups:\n{groups}"
    );
    let path = root().join("manifests/prometheus/prometheusrule.yaml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expect).expect("written");
    }
    let found = std::fs::read_to_string(&path).expect("readable");
    assert!(
        found == expect,
        "run `UPDATE=1 cargo test --test integration rules::`"
    );
    let of_operator = yaml("manifests/prometheus/prometheusrule.yaml");
    let of_file = yaml("manifests/prometheus/rules.yaml");
    assert_eq!(of_operator["spec"]["groups"], of_file["groups"]);
}
