//! Configurations and the exact texts that faulty ones are answered with.

use std::time::Duration;

use super::types::*;
use super::*;
use crate::model::identity::{Assignment, GroupKey};
use crate::policy::spec::{Measure, Mode};

mod redis;

const SOURCE: &str = "sources: [{ name: main, redis: { url: 'redis://r' } }]\n";

fn parse(text: &str) -> Config {
    Config::parse(text, "c.yaml").unwrap_or_else(|error| panic!("{error}"))
}

/// All faults, one a line, without the file's name.
fn faults(text: &str) -> String {
    let error = Config::parse(text, "c.yaml").expect_err("faulty");
    let problems = error.problems().iter().map(ToString::to_string);
    match problems.collect::<Vec<_>>() {
        none if none.is_empty() => error.to_string().replace("c.yaml: ", ""),
        all => all.join("\n"),
    }
}

#[test]
fn ten_faults_are_told_and_how_many_more_there_are() {
    let wrong: String = (0..5_000).map(|n| format!("x{n}: 1\n")).collect();
    let error = Config::parse(&format!("{SOURCE}{wrong}"), "c.yaml").expect_err("faulty");
    let text = error.to_string();
    assert_eq!(text.lines().count(), 11);
    assert!(text.ends_with("\nc.yaml: and 4990 problems more"), "{text}");
}

fn check(text: &str, expect: &str) {
    assert_eq!(faults(text), expect, "\n{text}");
}

/// The faults of one group with that line added.
fn check_group(lines: &str, expect: &str) {
    let group = "groups:\n  - name: g\n    source: main\n    stream: s\n    consumer_group: c\n";
    check(&format!("{SOURCE}{group}    {lines}\n"), expect);
}

#[test]
fn the_smallest_config_gets_the_documented_defaults() {
    let config = parse(SOURCE);
    assert_eq!(config.server.grpc.to_string(), "0.0.0.0:9090");
    assert_eq!(config.server.http.to_string(), "0.0.0.0:8080");
    assert!(!config.server.reflection);
    assert!(config.groups.is_empty());
    let expect = SourceConfig {
        name: "main".into(),
        poll_interval: Duration::from_secs(5),
        kind: SourceKind::Redis(Box::new(RedisConfig {
            servers: RedisServers::Standalone(RedisAddress {
                host: "r".into(),
                port: 6379,
            }),
            database: 0,
            username: None,
            password: None,
            identity: None,
            tls: None,
            stuck_after: Duration::from_secs(3600),
        })),
        allow: vec![],
    };
    assert_eq!(config.sources, [expect]);
}

const FULL: &str = r#"
server: { grpc: "127.0.0.1:1", http: "[::1]:2", reflection: true }
poll_interval: 2s
sources:
  - name: main
    redis: { url: "rediss://[::1]:6380/3", mode: standalone, username: gauge, password: { env: REDIS_PASSWORD }, stuck_after: 10m, tls: { ca_file: /tls/ca.crt, cert_file: /tls/tls.crt, key_file: /tls/tls.key, server_name: redis.internal } }
    allow: [ { namespaces: [shop], streams: ["orders:*"], consumer_groups: ["*"] } ]
  - name: second
    poll_interval: 50ms
    redis: { url: "redis://b", password: { file: /run/p } }
groups:
  - name: billing
    source: main
    stream: "orders:{0..2}"
    consumer_group: billing
    assignment: exclusive
    consumers_per_replica: 2
    policy: { target_delay: 30s, capacity_per_replica: 12.5, min_replicas: 1, max_replicas: 50, activation_backlog: 3, activation_window: 2m, scale_in_hold: 1m }
  - { name: list, source: second, stream: [a, b], consumer_group: g, policy: { mode: backlog, backlog_threshold: 100 } }
  - { name: pattern, source: second, stream: "x*", consumer_group: g, poll_interval: 1h0 }
"#;

#[test]
fn everything_that_can_be_set_is_read() {
    let config = parse(&FULL.replace("1h0", "1m"));
    assert_eq!(config.server.http.to_string(), "[::1]:2");
    assert!(config.server.reflection);
    let intervals: Vec<u128> = config
        .sources
        .iter()
        .map(|s| s.poll_interval.as_millis())
        .collect();
    assert_eq!(intervals, [2_000, 50]);
    let SourceKind::Redis(redis) = &config.sources[0].kind else {
        panic!("a Redis source");
    };
    assert_eq!(redis.servers.addresses()[0].to_string(), "[::1]:6380");
    assert_eq!(redis.database, 3);
    assert_eq!(redis.password, Some(Secret::Env("REDIS_PASSWORD".into())));
    assert_eq!(redis.stuck_after, Duration::from_secs(600));
    let tls = RedisTls {
        ca_file: Some("/tls/ca.crt".into()),
        certificate: Some(CertificateFiles {
            cert_file: "/tls/tls.crt".into(),
            key_file: "/tls/tls.key".into(),
        }),
        server_name: Some("redis.internal".into()),
    };
    assert_eq!(redis.tls, Some(tls));
    let [billing, list, pattern] = &config.groups[..] else {
        panic!("three groups")
    };
    assert_eq!(billing.assignment(), Assignment::Exclusive);
    assert_eq!(billing.poll_interval, Duration::from_secs(2));
    assert_eq!(billing.policy.consumers_per_replica, Some(2));
    assert_eq!(billing.policy.capacity_per_replica, Some(12.5));
    assert_eq!(billing.policy.scale_in_hold, Some(Duration::from_secs(60)));
    assert_eq!(
        list.key,
        GroupKey {
            source: "second".into(),
            stream: "a,b".into(),
            consumer_group: "g".into()
        }
    );
    assert_eq!(
        list.policy.mode,
        Some(Mode::Backlog {
            threshold: 100,
            measure: Measure::Backlog
        })
    );
    assert_eq!(list.poll_interval, Duration::from_millis(50));
    assert_eq!(pattern.poll_interval, Duration::from_secs(60));
}

#[test]
fn all_faults_are_told_at_once() {
    let text = "
server: { grpc: 9090, htp: x, tls: {} }
poll_interval: 5
state: { redis: {}, interval: 2h }
sources:
  - { name: 'a b', redis: { url: 'redis://r', pasword: x } }
  - { name: a, event_hubs: { namespace: n } }
  - { name: a }
groups:
  - { name: g, source: nope, stream: '', consumer_group: c, signals: {} }
  - 7
";
    check(
        text,
        "\
server.grpc: must be an IP address and a port, such as 0.0.0.0:9090
server.htp: unknown key: did you mean http? Known keys: grpc, http, metrics, hosts, login, reflection, tls
server.tls.cert_file: is missing: set it to the service's certificate
server.tls.key_file: is missing: set it to the key of cert_file
poll_interval: must be a duration with a unit, such as 500ms, 5s, 1m30s or 2h
state.dir: is missing: set it to the directory for the learned state
state.redis: not supported yet: remove it
state.interval: must be between 1s and 1h
sources[0].name: must have 1 to 128 characters, each one of A-Z a-z 0-9 . _ -
sources[0].redis.pasword: unknown key: did you mean password? Known keys: url, urls, mode, sentinel, username, password, identity, tenant_id, client_id, client_secret, federated_token_file, cloud, authority_host, tls, stuck_after
sources[1].event_hubs.event_hub: is missing: set it to the name of the event hub
sources[1].event_hubs.checkpoints: is missing: describe where consumers store them, with account_url, container, strategy and credentials
sources[1].event_hubs: has no credentials: add connection_string: { env: NAME }, or identity: workload, managed or client_secret
sources[2]: has neither redis nor event_hubs: add redis: { url: redis://host:6379/0 } or event_hubs: { … }
sources[2].name: \"a\" is already in use: choose a unique name
groups[0].source: no source is named \"nope\": use one of a
groups[0].stream: is empty: set it to a key, a pattern such as \"orders:*\", a template such as \"orders:{0..15}\", or a list of keys
groups[1]: must be a mapping, with one `key: value` per line",
    );
}

#[test]
fn files_that_are_no_config_are_refused_with_the_place() {
    check(
        "",
        "is empty: it must be a mapping, with one `key: value` per line",
    );
    check("[]", "must be a mapping, with one `key: value` per line");
    check("{}", "sources: is missing: add at least one source");
    check("sources: []", "sources: is empty: add at least one source");
    check(
        "sources: {}",
        "sources: must be a list, with each item on a line that starts with `- `",
    );
    let syntax = Config::parse("server:\n  grpc: [1\nx: y\n", "c.yaml").expect_err("no YAML");
    let text = syntax.to_string();
    assert!(text.starts_with("c.yaml:3:2: not valid YAML: "), "{text}");
    let twice = Config::parse("server: {}\nserver: {}\n", "c.yaml").expect_err("a key twice");
    assert!(twice.to_string().contains("duplicate"), "{twice}");
    let missing = Config::load(Path::new("/nonexistent/c.yaml")).expect_err("no file");
    assert!(
        missing
            .to_string()
            .starts_with("/nonexistent/c.yaml: cannot be read: "),
        "{missing}"
    );
}

#[test]
fn secrets_must_be_references_and_are_never_shown() {
    let redis =
        |fields: &str| format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]");
    let at = "sources[0].redis.password";
    let how = "write { env: NAME } or { file: /path }";
    check(
        &redis("password: hunter2"),
        &format!("{at}: must not contain the secret itself: {how}"),
    );
    check(
        &redis("password: [hunter2]"),
        &format!("{at}: must not contain the secret itself: {how}"),
    );
    check(
        &redis("password: {}"),
        &format!("{at}: must have exactly one of env and file: {how}"),
    );
    check(
        &redis("password: { env: A, file: /b }"),
        &format!("{at}: must have exactly one of env and file: {how}"),
    );
    check(
        &redis("password: { env: 'hunter 2' }"),
        &format!("{at}.env: must be the name of an environment variable, such as REDIS_PASSWORD"),
    );
    let url = |url: &str| format!("sources: [{{ name: m, redis: {{ url: '{url}' }} }}]");
    check(
        &url("redis://u:hunter2@r"),
        "sources[0].redis.url: must not contain a user name or password: set username, and set password to { env: NAME } or { file: /path }",
    );
    check(
        &url("redix://r"),
        "sources[0].redis.url: must start with redis://, or with rediss:// for TLS",
    );
}

#[test]
fn each_fault_of_a_source_has_its_text() {
    let check = |fields: &str, expect: &str| {
        check(
            &format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]"),
            expect,
        );
    };
    check(
        "mode: x",
        "sources[0].redis.mode: must be standalone, cluster or sentinel",
    );
    check(
        "tls: {}",
        "sources[0].redis.tls: needs TLS: write rediss:// in the URL, or remove it",
    );
    check(
        "stuck_after: 0s",
        "sources[0].redis.stuck_after: must be longer than 0s",
    );
    check(
        "username: ''",
        "sources[0].redis.username: is empty: remove it to use the default user",
    );
    check(
        "username: 7",
        "sources[0].redis.username: must be a string: put it in quotes",
    );
    let rule = "}, allow: [{ namespaces: [a], streams: a, x: 1 }], poll_interval: 10ms, redos: {";
    check(
        rule,
        "sources[0].allow[0].consumer_groups: is missing: list what is allowed, or [\"*\"] for everything
sources[0].allow[0].streams: must be a list, such as [\"a\", \"b\"]
sources[0].allow[0].x: unknown key: remove it. Known keys: namespaces, streams, consumer_groups
sources[0].poll_interval: must be between 50ms and 5m
sources[0].redos: unknown key: did you mean redis? Known keys: name, poll_interval, redis, event_hubs, allow",
    );
}

#[test]
fn each_fault_of_a_group_has_its_text() {
    let check = check_group;
    check(
        "policy: { min_replicas: 5, max_replicas: 2 }",
        "groups[0].policy.max_replicas: is 2, which is less than min_replicas (5): raise it, or lower min_replicas",
    );
    check(
        "policy: { min_replicas: 200 }",
        "groups[0].policy.min_replicas: is greater than the default max_replicas (100): set max_replicas too",
    );
    check(
        "policy: { min_replicas: -1 }",
        "groups[0].policy.min_replicas: must be a whole number of at least 0",
    );
    check(
        "policy: { target_delay: 30 }",
        "groups[0].policy.target_delay: must be a duration with a unit, such as 500ms, 5s, 1m30s or 2h",
    );
    check(
        "policy: { target_delay: 0s }",
        "groups[0].policy.target_delay: must be longer than 0s and at most 24h",
    );
    check(
        "policy: { mode: replica }",
        "groups[0].policy.mode: must be replicas, backlog or jobs",
    );
    check(
        "policy: { mode: backlog }",
        "groups[0].policy.mode: backlog requires backlog_threshold, the messages per replica",
    );
    check(
        "policy: { mode: replicas, backlog_threshold: 5 }",
        "groups[0].policy.backlog_threshold: does not apply to mode replicas: remove it, or set mode to backlog",
    );
    check(
        "policy: { backlog_threshold: 0 }",
        "groups[0].policy.backlog_threshold: must be a whole number of at least 1 (messages per replica)",
    );
    check(
        "consumers_per_replica: 0",
        "groups[0].consumers_per_replica: must be a whole number between 1 and 1000",
    );
    check(
        "assignment: sticky",
        "groups[0].assignment: must be shared or exclusive",
    );
    check(
        "poll_interval: 6m",
        "groups[0].poll_interval: must be between 50ms and 5m",
    );
}

#[test]
fn groups_are_unique_by_name_and_by_what_they_observe() {
    let group = |name: &str| {
        format!("  - {{ name: {name}, source: main, stream: s, consumer_group: c }}\n")
    };
    check(
        &format!("{SOURCE}groups:\n{}{}{}", group("a"), group("b"), group("a")),
        "groups[1]: has the same source, stream and consumer_group as another group: remove one of them
groups[2]: has the same source, stream and consumer_group as another group: remove one of them
groups[2].name: \"a\" is already in use: choose a unique name",
    );
}

#[test]
fn a_recording_needs_a_folder_and_keeps_two_files_at_least() {
    let recording = |text: &str| {
        parse(&format!("{SOURCE}{text}\n"))
            .recording
            .map(|r| (r.dir, r.keep_files))
    };
    assert_eq!(recording("recording: { dir: /t }"), Some(("/t".into(), 14)));
    assert_eq!(recording(""), None);
    check(
        &format!("{SOURCE}recording: {{ keep_files: 1, keep: 3 }}\n"),
        "recording.dir: is missing: set it to the directory for the recorded files
recording.keep_files: must be a whole number between 2 and 10,000
recording.keep: unknown key: remove it. Known keys: dir, keep_files",
    );
}
