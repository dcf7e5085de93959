//! `streamgauge check` as a user runs it: exit codes, and what goes to which stream.

use std::process::{Command, Output};

use crate::support::redis::{Flavour, RedisServer, run};

fn check(config: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, config).expect("written");
    Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("check")
        .args(arguments)
        .env("STREAMGAUGE_CONFIG", &file)
        .output()
        .expect("it runs")
}

const SOURCES: &str = "sources: [{ name: main, redis: { url: 'redis://127.0.0.1:1' } }]\n";
const GROUPS: &str = "groups: [{ name: g, source: main, stream: s, consumer_group: c }]\n";

#[test]
fn a_valid_config_is_summed_up_and_ends_with_0() {
    let output = check(&format!("{SOURCES}{GROUPS}"), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.contains("OK, 1 source(s), 1 group(s)"), "{text}");
    assert!(
        text.contains("MB once limits.partitions (20000) is used up"),
        "{text}"
    );
    assert!(text.contains("warning: "), "{text}");
}

#[test]
fn a_wrong_config_ends_with_2_and_every_fault_on_stderr() {
    let output = check("sources: []\ngroups: 7\n", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("config.yaml: sources: is empty: add at least one source"),
        "{text}"
    );
}

#[test]
fn a_source_that_does_not_answer_ends_with_1_and_stands_in_the_table() {
    let output = check(&format!("{SOURCES}{GROUPS}"), &["--connect"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let row = text
        .lines()
        .find(|line| line.starts_with("g "))
        .unwrap_or_default();
    assert!(row.contains("main"), "{text}");
}

#[test]
fn a_signal_that_cannot_be_had_ends_with_1_and_says_why() {
    let config = format!(
        "prometheus: {{ url: 'http://127.0.0.1:1' }}\n{SOURCES}groups: [{{ name: g, source: main, stream: s, consumer_group: c, \
         signals: {{ error_rate: {{ redeliveries: true }}, resource_utilization: {{ promql: '1' }} }} }}]\n"
    );
    let output = check(&config, &["--connect"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let row = |signal: &str| {
        let mut rows = text.lines().filter(|line| line.starts_with("g "));
        rows.find(|row| row.contains(signal)).unwrap_or_default()
    };
    assert!(
        row("error_rate").ends_with("reading the group failed"),
        "{text}"
    );
    let refused = "prometheus cannot be reached: Connection refused";
    assert!(row("resource_utilization").contains(refused), "{text}");
}

#[test]
fn what_the_servers_are_is_told_once_per_source() {
    for (flavour, product) in [
        (Flavour::Redis62, "redis 6.2"),
        (Flavour::Redis70, "redis 7.0"),
        (Flavour::Redis82, "redis 8.2"),
        (Flavour::Valkey, "valkey 9"),
    ] {
        let server = RedisServer::start(flavour);
        run::<()>(&mut server.connect(), "XGROUP CREATE s c $ MKSTREAM");
        let config = format!(
            "sources: [{{ name: main, redis: {{ url: 'redis://127.0.0.1:{}' }} }}]\n{GROUPS}",
            server.port
        );
        let output = check(&config, &["--connect"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let told = format!("source main: {product}");
        assert_eq!(text.matches(&told).count(), 1, "{told}: {text}");
    }
}
