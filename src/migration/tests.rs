//! What moves, what stays, and what is told.

use super::*;

fn migrated(text: &str) -> Migration {
    let rules = MigrationRules {
        scaler_address: "streamgauge:9090".into(),
        namespace: "default".into(),
    };
    migrate(&read("test.yaml", text).expect("YAML"), &rules)
}

/// A ScaledObject with one trigger, of which the lines are given.
fn object(trigger: &str) -> String {
    let lines = trigger.lines().map(|line| format!("    {line}\n"));
    format!(
        "kind: ScaledObject\nmetadata: {{ name: billing, namespace: shop }}\nspec:\n  scaleTargetRef:\n    name: billing\n  triggers:\n{}",
        lines.collect::<String>()
    )
}

fn config_of(migration: &Migration) -> Value {
    let config = migration.config.as_deref().expect("a config");
    crate::config::types::Config::parse(config, "config").expect("valid");
    serde_yaml::from_str(config).expect("YAML")
}

const COMMENTED: &str = r#"kind: ScaledObject
metadata: { name: billing, namespace: shop }
spec:
  scaleTargetRef:
    name: billing
  triggers:
    # the queue of bills
    - type: redis-streams # KEDA's
      metricType: AverageValue
      metadata:
        # moved in May
        address: redis.shop.svc:6379 # the old one
        stream: orders # all of them
        consumerGroup: billing
        lagCount: "100"
        enableTLS: "false"
      authenticationRef:
        name: redis
    - type: cron
      metadata:
        timezone: Europe/Paris # ours
  # the end
  pollingInterval: 5
"#;

const WITH_SOURCE: &str = r#"kind: ScaledObject
metadata: { name: billing, namespace: shop }
spec:
  scaleTargetRef:
    name: billing
  triggers:
    # the queue of bills
    - type: external-push # KEDA's
      metricType: AverageValue
      metadata:
        scalerAddress: streamgauge:9090
        source: redis
        # moved in May
        stream: orders # all of them
        consumerGroup: billing
        lagCount: "100"
    - type: cron
      metadata:
        timezone: Europe/Paris # ours
  # the end
  pollingInterval: 5
"#;

const AUTHENTICATION: &str = "---
kind: TriggerAuthentication
metadata: { name: redis }
spec:
  secretTargetRef:
    - { parameter: password, name: redis, key: word }
";

#[test]
fn comments_and_everything_beside_the_server_stay_where_they_are() {
    let migration = migrated(&format!("{COMMENTED}{AUTHENTICATION}"));
    assert_eq!(migration.problems, Vec::<String>::new());
    assert_eq!(migration.objects, [WITH_SOURCE]);
    assert_eq!(
        migration.steps,
        [
            "set the variable REDIS_PASSWORD in streamgauge's Deployment: it is key word of Secret redis in namespace shop"
        ]
    );
}

#[test]
fn an_object_in_flow_style_is_written_anew_and_says_that_its_comments_are_lost() {
    let migration = migrated(
        "{kind: ScaledObject, metadata: {name: a}, spec: {triggers: [ # one\n {type: redis-streams, metadata: {address: 'r:1', stream: s}}]}}",
    );
    let object = migration.objects.first().expect("one");
    assert!(
        object.starts_with("# The comments of this object are lost"),
        "{object}"
    );
    let value: Value = serde_yaml::from_str(object).expect("YAML");
    let metadata = manifest::at(&value, &["spec", "triggers"])
        .and_then(|triggers| triggers.get(0)?.get("metadata"))
        .expect("metadata");
    let word = |key: &str| field(metadata, key).and_then(Value::as_str);
    // KEDA's default, which would not be meant beside `source`.
    assert_eq!(word("streamLength"), Some("5"));
    assert_eq!((word("source"), word("address")), (Some("r"), None));
}

#[test]
fn triggers_of_one_server_share_a_source_and_other_servers_have_their_own() {
    let at = |address: &str, stream: &str| {
        object(&format!(
            "- type: redis-streams\n  metadata:\n    address: {address}\n    stream: {stream}\n    consumerGroup: g"
        ))
    };
    let migration = migrated(&format!(
        "{}---\n{}---\n{}---\n{}",
        at("redis.a:6379", "one"),
        at("redis.a:6379", "two"),
        at("redis.b:6379", "one"),
        at("10.0.0.1:6379", "one"),
    ));
    let config = config_of(&migration);
    let sources = field(&config, "sources")
        .and_then(Value::as_sequence)
        .expect("sources");
    let names: Vec<_> = sources
        .iter()
        .filter_map(|s| field(s, "name")?.as_str())
        .collect();
    assert_eq!(names, ["redis", "redis-2", "redis-3"]);
    let rules = sources
        .first()
        .and_then(|s| field(s, "allow")?.as_sequence());
    assert_eq!(rules.map(Vec::len), Some(2));
}

const CLUSTER: &str = r#"- type: redis-cluster-streams
  metadata:
    addresses: r-0.redis:6379, r-1.redis:6379
    stream: s
    consumerGroup: g
    pendingEntriesCount: "7"
    enableTLS: "true"
    username: reader
  authenticationRef: { name: tls }"#;

const SENTINEL: &str = r#"- type: redis-sentinel-streams
  metadata:
    hosts: s-0,s-1
    ports: "26379,26380"
    sentinelMaster: primary
    databaseIndex: "3"
    stream: s
    passwordFromEnv: WORD
    sentinelPassword: plain
    streamLength: "9""#;

const SECRETS: &str = "---
kind: TriggerAuthentication
metadata: { name: tls, namespace: shop }
spec: { secretTargetRef: [{ parameter: ca, name: certs, key: ca.crt }] }
---
kind: Deployment
metadata: { name: billing, namespace: shop }
spec:
  template:
    spec:
      containers:
        - env:
            - { name: WORD, valueFrom: { secretKeyRef: { name: n, key: k } } }
";

#[test]
fn clusters_sentinels_and_tls_become_what_the_config_calls_them() {
    let text = format!("{}---\n{}{SECRETS}", object(CLUSTER), object(SENTINEL));
    let migration = migrated(&text);
    assert_eq!(migration.problems, Vec::<String>::new());
    let config = config_of(&migration);
    let expected = r"
- name: r-0
  redis:
    urls: ['rediss://r-0.redis:6379', 'rediss://r-1.redis:6379']
    mode: cluster
    username: reader
    tls: { ca_file: /etc/streamgauge/tls/r-0/ca.crt }
  allow: [{ namespaces: [shop], streams: [s], consumer_groups: [g] }]
- name: primary
  redis:
    urls: ['redis://s-0:26379/3', 'redis://s-1:26380/3']
    mode: sentinel
    password: { env: PRIMARY_PASSWORD }
    sentinel: { master: primary, password: { env: PRIMARY_SENTINEL_PASSWORD } }
  allow: [{ namespaces: [shop], streams: [s], consumer_groups: ['*'] }]
";
    let expected: Value = serde_yaml::from_str(expected).expect("YAML");
    assert_eq!(field(&config, "sources"), Some(&expected));
    assert_eq!(migration.steps.len(), 3, "{:?}", migration.steps);
}

#[test]
fn variables_of_the_scaled_container_name_the_server() {
    let migration = migrated(
        "kind: ScaledJob\nmetadata: { name: batch }\nspec:\n  jobTargetRef: { template: { spec: { containers: [{ env: [{ name: REDIS, value: 'redis:6379' }] }] } } }\n  triggers:\n  - \
         type: redis-streams\n    metadata:\n      addressFromEnv: REDIS\n      stream: s\n      consumerGroup: g\n",
    );
    assert_eq!(migration.problems, Vec::<String>::new());
    let object = migration.objects.first().expect("one");
    // A ScaledJob supports no push.
    assert!(object.contains("- type: external\n"), "{object}");
    assert!(object.contains("pendingEntriesCount: '5'"), "{object}");
    assert!(!object.contains("addressFromEnv"), "{object}");
}

#[test]
fn what_cannot_be_moved_is_told_with_place_and_cure_and_the_trigger_stays() {
    let cases = [
        (
            "address: r:1\n    stream: s\n    consumerGroup: g\n    lagCuont: \"5\"",
            "lagCuont: unknown key: did you mean lagCount?",
        ),
        (
            "addressFromEnv: REDIS\n    stream: s",
            "address: it is variable REDIS of the container that is scaled",
        ),
        (
            "address: r:1\n    stream: \"s*\"",
            "stream: streamgauge would read *",
        ),
        (
            "address: r:1\n    stream: s\n    enableTLS: \"true\"\n    unsafeSsl: \"true\"",
            "unsafeSsl: streamgauge always verifies",
        ),
        ("address: r:1\n    consumerGroup: g", "stream"),
        ("stream: s\n    consumerGroup: g", "source: is missing"),
    ];
    for (metadata, told) in cases {
        let text = object(&format!(
            "- type: redis-streams\n  metadata:\n    {}",
            metadata
        ));
        let migration = migrated(&text);
        assert_eq!(migration.objects, [text], "{told}");
        let problems = migration.problems.join("\n");
        assert!(
            problems.contains("shop/billing, trigger 1 (redis-streams): "),
            "{problems}"
        );
        assert!(problems.contains(told), "{told}: {problems}");
        assert!(migration.config.is_none(), "{told}");
    }
}

#[test]
fn a_list_from_kubectl_is_moved_without_what_the_server_added() {
    let migration = migrated(
        "kind: List\nitems:\n- kind: ScaledObject\n  metadata: { name: a, namespace: n, uid: x, resourceVersion: '7' }\n  spec: { triggers: [{ type: redis-streams, metadata: { address: \
         'r:1', stream: s, consumerGroup: g } }] }\n  status: { health: {} }\n",
    );
    let object = migration.objects.first().expect("one");
    assert!(object.contains("external-push"), "{object}");
    assert!(
        !object.contains("uid") && !object.contains("status"),
        "{object}"
    );
}

#[test]
fn a_file_that_is_no_yaml_is_told_by_document() {
    let error = read("x.yaml", "kind: A\n---\nname: {{ .Values.name }}: x\n").expect_err("refused");
    let text = error.to_string();
    assert!(
        text.starts_with("x.yaml, document 2: not valid YAML: "),
        "{text}"
    );
    assert!(text.contains("helm template"), "{text}");
}
