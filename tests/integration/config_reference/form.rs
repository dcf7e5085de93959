//! The schema tells right from wrong form as the program does.

use streamgauge::config::types::Config;

use super::schema_fault;

const HUB: &str = "namespace: ns.servicebus.windows.net, event_hub: e";
const STORE: &str = "checkpoints: { container: c, connection_string: { env: S } }";

/// A config of one Redis source with these fields.
fn redis(fields: &str) -> String {
    format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]")
}

/// A config of one event hub with these fields.
fn hub(fields: &str) -> String {
    format!("sources: [{{ name: m, event_hubs: {{ {HUB}, {fields} }} }}]")
}

/// A config of one group with these fields.
fn group(fields: &str) -> String {
    format!(
        "{}\ngroups: [{{ name: g, source: m, stream: s, consumer_group: c, {fields} }}]",
        redis("")
    )
}

/// These lines above a config of one source.
fn top(lines: &str) -> String {
    format!("{lines}\n{}", redis(""))
}

fn good() -> Vec<String> {
    let mut all = vec![
        redis(""),
        redis("mode: standalone, username: u, password: { env: P }, stuck_after: 1h30m"),
        redis("password: { file: /p }, stuck_after: 1.5s"),
        "sources: [{ name: m, redis: { url: 'redis://[::1]:6380/3' }, allow: [{ namespaces: [a], streams: ['o:*'], consumer_groups: ['*'] }] }]".into(),
        hub(&format!("connection_string: {{ env: E }}, {STORE}")),
        hub(&format!("identity: workload, client_id: c, cloud: china, endpoint: 'amqps://h:1', client: sdk, retention: 7d, {STORE}")),
        hub("identity: client_secret, tenant_id: t, client_id: c, client_secret: { file: /s }, authority_host: 'https://l.example', \
             throughput_units: 4, management_calls_per_second: 10, checkpoints: { account_url: 'https://a.example/', strategy: legacy, \
             container: c, ownership_expiry: 1m30s }"),
    ];
    for lines in [
        "server: { grpc: '127.0.0.1:1', http: '[::1]:2', reflection: true }",
        "poll_interval: 50ms",
        "kubernetes: { enabled: auto, kubeconfig: /k, context: c, poll_interval: 1s }",
        "kubernetes: { enabled: false }",
        "recording: { dir: /t, keep_files: 2 }",
        "state: { dir: /s, interval: 1h }",
        "metrics: { max_series: 0 }",
        "prometheus: { url: 'https://p/x', timeout: 2s, interval: 1m, username: u, password: { env: P }, ca_file: /ca }",
        "prometheus: { url: 'http://p:9090', bearer_token: { file: /t } }",
        "incidents: { webhook: { url: 'https://h/x?t=1', secret: { env: S }, kinds: [hot_partition], source: /eu } }",
        "incidents: { webhook: { url: { env: U }, secret: { env: S } } }",
    ] {
        all.push(top(lines));
    }
    for fields in [
        "assignment: exclusive, consumers_per_replica: 2, poll_interval: 1m30s, granularity: group",
        "policy: { target_delay: 1m30s, capacity_per_replica: 12.5, min_replicas: 1, max_replicas: 50, activation_backlog: 3, \
         activation_window: 2m, scale_in_hold: 1m, forecast: on }",
        "policy: { mode: backlog, backlog_threshold: 100, capacity_per_replica: 5 }",
        "policy: { mode: jobs }",
        "signals: { error_rate: { redeliveries: true } }",
        "signals: { error_rate: { dead_letter: 'o:dead' } }",
    ] {
        all.push(group(fields));
    }
    all.push(format!(
        "prometheus: {{ url: 'http://p' }}\n{}",
        group("signals: { error_rate: { promql: a }, resource_utilization: { promql: b } }")
    ));
    all.push(group("").replace("stream: s", "stream: [a, b]"));
    all
}

/// Configs whose form is wrong: editors say so, and the program.
fn bad_in_form() -> Vec<String> {
    let mut all: Vec<String> = ["[]", "{}", "sources: {}", "sources: 7"]
        .map(String::from)
        .into();
    for source in [
        "{ redis: { url: 'redis://r' } }",
        "{ name: 'a b', redis: { url: 'redis://r' } }",
        "{ name: a }",
        "{ name: a, redis: {} }",
        "{ name: a, redis: { url: 'http://r' } }",
        "{ name: a, redis: { url: 'redis://u:p@r' } }",
        "{ name: a, redis: { url: 'redis://r' }, event_hubs: {} }",
        "{ name: a, redis: { url: 'redis://r' }, allow: {} }",
        "{ name: a, redis: { url: 'redis://r' }, allow: [{ namespaces: [a], streams: [] , consumer_groups: [c] }] }",
        "{ name: a, redis: { url: 'redis://r' }, allow: [{ namespaces: [a], streams: [b] }] }",
        "{ name: a, redis: { url: 'redis://r' }, poll_interval: 5 }",
    ] {
        all.push(format!("sources: [{source}]"));
    }
    for fields in [
        "mode: x",
        "username: ''",
        "username: 7",
        "password: hunter2",
        "password: {}",
        "password: { env: A, file: /b }",
        "password: { env: 'a b' }",
        "password: { vault: a }",
        "stuck_after: 5",
        "stuck_after: 5x",
        "stuck_after: 5M",
        "stuck_after: soon",
        "pasword: { env: A }",
    ] {
        all.push(redis(fields));
    }
    for fields in [
        "client: other",
        "identity: x",
        "cloud: mars",
        "endpoint: 'sb://h'",
        "management_calls_per_second: 0",
        "management_calls_per_second: 10001",
        "throughput_units: 0",
        "retention: 24",
        "authority_host: 'http://x'",
    ] {
        all.push(hub(&format!(
            "connection_string: {{ env: E }}, {STORE}, {fields}"
        )));
    }
    for lines in [
        "server: { grpc: 9090 }",
        "server: { grpc: 'localhost' }",
        "server: { tls: {} }",
        "server: { reflection: 'yes' }",
        "kubernetes: { enabled: perhaps }",
        "recording: { keep_files: 3 }",
        "recording: { dir: /t, keep_files: 1 }",
        "state: { dir: '' }",
        "state: { redis: {} }",
        "metrics: { max_series: -1 }",
        "prometheus: { url: 'ftp://p' }",
        "prometheus: { url: 'http://p?x=1' }",
        "incidents: { webhook: {} }",
        "incidents: { webhook: { url: 'https://h', secret: s } }",
        "incidents: { webhook: { url: 'https://h', secret: { env: S }, kinds: [] } }",
        "incidents: { webhook: { url: 'https://h', secret: { env: S }, kinds: [crash] } }",
        "incidents: { webhook: { url: 'https://h', secret: { env: S }, source: 'a b' } }",
        "colour: red",
    ] {
        all.push(top(lines));
    }
    for fields in [
        "assignment: sticky",
        "consumers_per_replica: 0",
        "consumers_per_replica: 1001",
        "granularity: key",
        "policy: { target_delay: 30 }",
        "policy: { min_replicas: -1 }",
        "policy: { min_replicas: 1.5 }",
        "policy: { max_replicas: 0 }",
        "policy: { mode: replica }",
        "policy: { backlog_threshold: 0 }",
        "policy: { capacity_per_replica: 0 }",
        "policy: { forecast: maybe }",
        "signals: { error_rate: {} }",
        "signals: { error_rate: { redeliveries: true, dead_letter: d } }",
        "signals: { resource_utilization: { redeliveries: true } }",
        "signals: { error_rate: { dead_letter: '' } }",
        "x: 1",
    ] {
        all.push(group(fields));
    }
    for stream in ["''", "7", "[]", "[1]"] {
        all.push(group("").replace("stream: s", &format!("stream: {stream}")));
    }
    all.push(group("").replace("consumer_group: c", "consumer_group: ''"));
    all.push(group("").replace("source: m", "source: 7"));
    all
}

/// Configs of good form that only the program refuses: bounds of durations, and what keys mean together.
fn bad_in_meaning() -> Vec<String> {
    vec![
        redis("stuck_after: 0s"),
        top("poll_interval: 6m"),
        top("server: { grpc: '1.1.1.1:1', http: '1.1.1.1:1' }"),
        top("prometheus: { url: 'http://p', username: u }"),
        top("kubernetes: { context: c }"),
        group("policy: { min_replicas: 5, max_replicas: 2 }"),
        group("policy: { mode: backlog }"),
        group("policy: { mode: replicas, backlog_threshold: 5 }"),
        group("signals: { error_rate: { promql: a } }"),
        group("").replace("source: m", "source: n"),
        group("").replace("stream: s,", ""),
        hub(STORE),
        hub(&format!("identity: managed, tenant_id: t, {STORE}")),
    ]
}

#[test]
fn the_schema_accepts_what_the_program_accepts_and_refuses_what_has_the_wrong_form() {
    for text in good() {
        assert_eq!(
            Config::parse(&text, "c.yaml").err().map(|e| e.to_string()),
            None,
            "{text}"
        );
        assert_eq!(schema_fault(&text), None, "{text}");
    }
    for text in bad_in_form() {
        assert!(Config::parse(&text, "c.yaml").is_err(), "{text}");
        assert!(schema_fault(&text).is_some(), "the schema accepts: {text}");
    }
    for text in bad_in_meaning() {
        assert!(Config::parse(&text, "c.yaml").is_err(), "{text}");
        assert_eq!(schema_fault(&text), None, "{text}");
    }
}
