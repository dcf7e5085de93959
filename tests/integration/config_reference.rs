//! Docs, JSON Schema and examples of the config are those of the table of keys that the program reads by.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value as Json;
use serde_yaml::Value;
use streamgauge::config::reference::{
    KeyInfo, Standard, json_schema_text, sections, shown, trigger_keys,
};
use streamgauge::config::types::Config;

const REWRITE: &str = "UPDATE_DOCS=1 cargo test --test integration config_reference::";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Compares a file with what it has to be, or writes it where that is asked for.
fn check_file(path: &Path, expect: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, expect).expect("written");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let path = path.display();
    assert!(
        found == expect,
        "{path} differs from the table of keys. Rewrite it: {REWRITE}"
    );
}

fn table<'k>(keys: impl Iterator<Item = (String, &'k KeyInfo)>) -> String {
    let mut text = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for (name, key) in keys {
        let default = match &key.standard {
            Standard::Required => "required".to_owned(),
            Standard::Value(value) => format!("`{}`", shown(value)),
            Standard::Words(words) => (*words).to_owned(),
            Standard::Nothing => "–".to_owned(),
        };
        let limits = key.limits.as_ref().map(|limits| format!(" {limits}"));
        let meaning = format!("{}{}", key.about, limits.unwrap_or_default());
        let meaning = meaning.replace('|', "\\|");
        writeln!(text, "| `{name}` | {default} | {meaning} |").expect("written");
    }
    text
}

/// The tables of the docs by the name that their marker has.
fn tables() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = sections()
        .iter()
        .map(|section| {
            let name = match section.path.as_str() {
                "" => "the file",
                path => path,
            };
            let keys = section.keys.iter();
            (
                name.to_owned(),
                table(keys.map(|key| (key.name.to_owned(), key))),
            )
        })
        .collect();
    let keys = trigger_keys();
    let rows = keys.iter().map(|(name, key)| (name.clone(), key));
    all.push(("trigger metadata".to_owned(), table(rows)));
    all
}

const END: &str = "<!-- end of keys -->";

/// The page with each marked table replaced by that of the keys, and the names of the tables.
fn filled(page: &str) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<!-- keys of ") {
        let (name, after) = after.split_once(" -->").expect("a marker that ends");
        let (_, after) = after.split_once(END).expect("a table that ends");
        let tables = tables();
        let table = tables.iter().find(|(known, _)| known == name);
        let (_, table) = table.unwrap_or_else(|| panic!("there are no keys of {name}"));
        write!(text, "{before}<!-- keys of {name} -->\n\n{table}\n{END}").expect("written");
        names.push(name.to_owned());
        rest = after;
    }
    text.push_str(rest);
    (text, names)
}

#[test]
fn the_docs_have_every_key_as_the_program_reads_it() {
    let mut documented = Vec::new();
    for page in ["configuration.md", "event-hubs.md"] {
        let path = docs().join(page);
        let (expect, names) = filled(&std::fs::read_to_string(&path).expect("readable"));
        check_file(&path, &expect);
        documented.extend(names);
    }
    let mut known: Vec<String> = tables().into_iter().map(|(name, _)| name).collect();
    known.sort();
    documented.sort();
    assert_eq!(documented, known, "each table stands in one page, once");
}

#[test]
fn the_schema_is_that_of_the_table() {
    check_file(&docs().join("config.schema.json"), &json_schema_text());
}

/// What the schema says of a config; `None` if nothing.
fn schema_fault(text: &str) -> Option<String> {
    const PLACE: &str = "http://streamgauge.example/config.schema.json";
    let schema: Json = serde_json::from_str(&json_schema_text()).expect("JSON");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(PLACE, schema).expect("a schema");
    let index = compiler.compile(PLACE, &mut schemas).expect("a schema");
    let value: Json = serde_yaml::from_str(text).expect("YAML");
    let found = schemas.validate(&value, index);
    found.err().map(|error| format!("{error:#}"))
}

/// The whole configs of docs, README and manifests: those that name sources.
fn examples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(docs()).expect("docs");
    let pages = pages.map(|entry| entry.expect("a file").path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut found = Vec::new();
    for path in pages.chain([root.join("README.md")]) {
        let text = std::fs::read_to_string(&path).expect("readable");
        for rest in text.split("```yaml\n").skip(1) {
            let block = rest.split("```").next().unwrap_or_default();
            let documents = block.split("---\n");
            let configs = documents
                .filter(|text| text.contains("\nsources:") || text.starts_with("sources:"));
            found.extend(configs.map(|text| (path.display().to_string(), text.to_owned())));
        }
    }
    let map = root.join("manifests/configmap.yaml");
    let map: Value =
        serde_yaml::from_str(&std::fs::read_to_string(map).expect("readable")).expect("YAML");
    let text = map["data"]["config.yaml"].as_str().expect("a config");
    found.push(("configmap.yaml".into(), text.to_owned()));
    found
}

#[test]
fn the_examples_are_valid_by_the_schema_and_editors_are_led_to_it() {
    let all = examples();
    for (place, text) in &all {
        assert_eq!(schema_fault(text), None, "{place}");
    }
    let line = "# yaml-language-server: $schema=config.schema.json\n";
    for name in ["configuration.md", "configmap.yaml"] {
        let led =
            |(place, text): &&(String, String)| place.ends_with(name) && text.starts_with(line);
        assert!(all.iter().any(|example| led(&example)), "{name}");
    }
}

const HUB: &str = "namespace: ns.servicebus.windows.net, event_hub: e";
const STORE: &str = "checkpoints: { container: c, connection_string: { env: S } }";

fn good() -> Vec<String> {
    let redis =
        |fields: &str| format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]");
    let hub = |fields: &str| format!("sources: [{{ name: m, event_hubs: {{ {HUB}, {fields} }} }}]");
    let group = |fields: &str| {
        format!(
            "{}\ngroups: [{{ name: g, source: m, stream: s, consumer_group: c, {fields} }}]",
            redis("")
        )
    };
    let top = |lines: &str| format!("{lines}\n{}", redis(""));
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
    let redis =
        |fields: &str| format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]");
    let hub = |fields: &str| {
        format!(
            "sources: [{{ name: m, event_hubs: {{ {HUB}, connection_string: {{ env: E }}, {STORE}, {fields} }} }}]"
        )
    };
    let group = |fields: &str| {
        format!(
            "{}\ngroups: [{{ name: g, source: m, stream: s, consumer_group: c, {fields} }}]",
            redis("")
        )
    };
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
        all.push(hub(fields));
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
        all.push(format!("{lines}\n{}", redis("")));
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
    let redis =
        |fields: &str| format!("sources: [{{ name: m, redis: {{ url: 'redis://r', {fields} }} }}]");
    let group = |fields: &str| {
        format!(
            "{}\ngroups: [{{ name: g, source: m, stream: s, consumer_group: c, {fields} }}]",
            redis("")
        )
    };
    vec![
        redis("stuck_after: 0s"),
        format!("poll_interval: 6m\n{}", redis("")),
        format!(
            "server: {{ grpc: '1.1.1.1:1', http: '1.1.1.1:1' }}\n{}",
            redis("")
        ),
        format!(
            "prometheus: {{ url: 'http://p', username: u }}\n{}",
            redis("")
        ),
        format!("kubernetes: {{ context: c }}\n{}", redis("")),
        group("policy: { min_replicas: 5, max_replicas: 2 }"),
        group("policy: { mode: backlog }"),
        group("policy: { mode: replicas, backlog_threshold: 5 }"),
        group("signals: { error_rate: { promql: a } }"),
        group("").replace("source: m", "source: n"),
        group("").replace("stream: s,", ""),
        format!("sources: [{{ name: m, event_hubs: {{ {HUB}, {STORE} }} }}]"),
        format!(
            "sources: [{{ name: m, event_hubs: {{ {HUB}, identity: managed, tenant_id: t, {STORE} }} }}]"
        ),
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

#[test]
fn every_default_is_what_holds_without_the_key() {
    let text = "sources: [{ name: m, redis: { url: 'redis://r' } }]\n\
                groups: [{ name: g, source: m, stream: s, consumer_group: c }]";
    let config = Config::parse(text, "c.yaml").expect("valid").to_yaml();
    let at = |path: &str, key: &str| {
        let mut value = &config;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let (name, is_list) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            value = value.get(name)?;
            if is_list {
                value = value.get(0)?;
            }
        }
        value.get(key).cloned()
    };
    let mut compared = 0;
    for section in sections() {
        for key in &section.keys {
            let Standard::Value(value) = &key.standard else {
                continue;
            };
            if let Some(found) = at(&section.path, key.name) {
                assert_eq!(found, *value, "{}.{}", section.path, key.name);
                compared += 1;
            }
        }
    }
    assert!(compared >= 15, "{compared}");
}
