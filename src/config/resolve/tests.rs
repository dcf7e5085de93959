//! From requests to what they rest on, event hubs included.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::model::identity::Assignment;
use crate::policy::spec::Mode;

const INLINE: [(&str, &str); 3] = [
    ("source", "main"),
    ("stream", "orders:*"),
    ("consumerGroup", "billing"),
];

fn parse(pairs: &[(&str, &str)]) -> Result<TriggerRequest, MetadataErrors> {
    let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    TriggerRequest::parse(&pairs.iter().map(pair).collect::<HashMap<_, _>>())
}

const CONFIG: &str = "
sources:
  - name: main
    redis: { url: redis://r }
    allow:
      - { namespaces: [shop], streams: ['orders:*'], consumer_groups: [billing] }
      - { namespaces: [shop], streams: [counted], consumer_groups: ['*'] }
  - name: telemetry
    event_hubs:
      namespace: ns.servicebus.windows.net
      event_hub: clicks
      connection_string: { env: EH }
      checkpoints: { container: marks, strategy: blob_metadata, connection_string: { env: STORE } }
    allow: [{ namespaces: [shop], streams: [clicks], consumer_groups: ['*'] }]
  - name: functions
    event_hubs:
      namespace: ns.servicebus.windows.net
      event_hub: clicks
      connection_string: { env: EH }
      checkpoints: { connection_string: { env: STORE } }
    allow: [{ namespaces: [shop], streams: [clicks], consumer_groups: ['*'] }]
groups:
  - { name: mails, source: main, stream: mails, consumer_group: send, poll_interval: 1s, policy: { min_replicas: 5, max_replicas: 200 } }
";

fn resolve(namespace: &str, pairs: &[(&str, &str)]) -> Result<ResolvedTarget, String> {
    let config = Config::parse(CONFIG, "c.yaml").expect("valid");
    let request = parse(pairs).expect("valid");
    config
        .resolve(&request, namespace)
        .map_err(|error| error.to_string())
}

#[test]
fn a_request_resolves_to_a_group_of_the_config_or_to_what_the_rules_allow() {
    let mails = resolve("anyone", &[("group", "mails"), ("minReplicas", "150")]).expect("a group");
    assert_eq!(
        (mails.group.as_str(), mails.poll_interval),
        ("mails", Duration::from_secs(1))
    );
    assert_eq!(
        (mails.settings.min_replicas, mails.settings.max_replicas),
        (Some(150), Some(200))
    );
    let same = resolve(
        "anyone",
        &[
            ("source", "main"),
            ("stream", "mails"),
            ("consumerGroup", "send"),
        ],
    )
    .expect("the group");
    assert_eq!(same.group, "mails");
    let inline = resolve("shop", &INLINE).expect("allowed");
    assert_eq!(inline.group, "main/orders:*/billing");
    assert_eq!(inline.poll_interval, Duration::from_secs(5));
}

#[test]
fn a_trigger_of_keda_s_for_a_cluster_or_sentinels_is_for_the_source_that_shares_an_address() {
    let config = "sources:
  - { name: plain, redis: { url: 'redis://p' }, allow: &all [{ namespaces: ['*'], streams: ['*'], consumer_groups: ['*'] }] }
  - { name: cluster, redis: { mode: cluster, urls: ['redis://a:1', 'redis://b:2'] }, allow: *all }
  - { name: set, redis: { mode: sentinel, urls: ['redis://s', 'redis://t'], sentinel: { master: m } }, allow: *all }
  - { name: other, redis: { mode: sentinel, urls: ['redis://s', 'redis://t'], sentinel: { master: n } }, allow: *all }";
    let config = Config::parse(config, "c.yaml").expect("valid");
    let group_of = |pairs: &[(&str, &str)]| {
        let all = [pairs, &[("stream", "x"), ("consumerGroup", "g")]].concat();
        let all = all
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let metadata: HashMap<_, _> = all.collect();
        let request = TriggerRequest::parse(&metadata).expect("valid");
        config
            .resolve(&request, "shop")
            .ok()
            .map(|target| target.group)
    };
    let check = |pairs: &[(&str, &str)], expect: Option<&str>| {
        assert_eq!(group_of(pairs).as_deref(), expect, "{pairs:?}");
    };
    check(&[("addresses", "c:3,b:2")], Some("cluster/x/g"));
    check(&[("addresses", "c:3")], None);
    check(
        &[("addresses", "s:26379,u:26379"), ("sentinelMaster", "n")],
        Some("other/x/g"),
    );
    check(
        &[
            ("hosts", "s,t"),
            ("ports", "26379,26379"),
            ("sentinelMaster", "m"),
        ],
        Some("set/x/g"),
    );
    check(&[("addresses", "s:26379"), ("sentinelMaster", "x")], None);
    check(&[("address", "p:6379")], Some("plain/x/g"));
}

#[test]
fn a_trigger_of_keda_s_is_for_the_source_on_its_server_and_for_what_keda_counts() {
    let of_server = |pairs: &[(&'static str, &'static str)]| {
        let stream = [("stream", "mails")];
        resolve("anyone", &[&stream[..], pairs].concat())
    };
    let group = ("consumerGroup", "send");
    let mails = of_server(&[group, ("address", "R:6379")]).expect("the group");
    assert_eq!(mails.group, "mails");
    let counts = |measure, threshold| Some(Mode::Backlog { threshold, measure });
    assert_eq!(mails.settings.mode, counts(Measure::Pending, 5));
    assert_eq!(mails.settings.max_replicas, Some(200));
    for other in ["r:6380", "elsewhere:6379"] {
        let error = of_server(&[group, ("address", other)]).expect_err("no source");
        assert!(
            error.contains("address: no source in streamgauge's config uses this server"),
            "{error}"
        );
    }
    let database = of_server(&[group, ("host", "r"), ("databaseIndex", "1")]);
    assert!(database.is_err(), "{database:?}");
    // Several servers are no single one.
    assert!(of_server(&[group, ("addresses", "r:6379,r:6380")]).is_err());
    assert!(of_server(&[group, ("address", "r:6379"), ("sentinelMaster", "m")]).is_err());
    let inline = [
        ("address", "r:6379"),
        ("stream", "orders:1"),
        ("consumerGroup", "billing"),
    ];
    assert_eq!(
        resolve("shop", &inline).expect("allowed").group,
        "main/orders:1/billing"
    );
    assert!(resolve("bank", &inline).is_err());

    // Without a consumer group KEDA counts the length, whatever else it is told.
    for pair in [
        ("lagCount", "7"),
        ("pendingEntriesCount", "7"),
        ("activationLagCount", "7"),
    ] {
        for named in [("source", "main"), ("address", "r:6379")] {
            let target = resolve("shop", &[named, ("stream", "counted"), pair]);
            let mode = target.map(|target| target.settings.mode);
            assert_eq!(
                mode,
                Ok(counts(Measure::StreamLength, 5)),
                "{named:?} {pair:?}"
            );
        }
    }
}

#[test]
fn what_cannot_be_resolved_says_why() {
    let check = |namespace, pairs: &[(&str, &str)], expect: &str| {
        assert_eq!(resolve(namespace, pairs).expect_err("refused"), expect);
    };
    let denied = "namespace other may not use this stream and consumer group of the source: ask for a rule under the \
                  source's allow in streamgauge's config, or use a group of the config";
    check("other", &INLINE, denied);
    check(
        "shop",
        &[("source", "main"), ("consumerGroup", "g")],
        "trigger metadata: stream: is missing: set it to a key, a pattern such as orders:*, or a template such as orders:{0..15}",
    );
    check(
        "shop",
        &[("source", "main"), ("stream", "s"), ("targetDelay", "9")],
        "trigger metadata: consumerGroup: is missing: only streamLength works without a consumer group",
    );
    let none = |kind: &str| {
        format!(
            "trigger metadata: {kind}: streamgauge's config has no {kind} of that name: check the spelling, or add it"
        )
    };
    check("shop", &[("group", "nope")], &none("group"));
    let source = [("source", "nope"), INLINE[1], INLINE[2]];
    check("shop", &source, &none("source"));
    check(
        "shop",
        &[("group", "mails"), ("maxReplicas", "2")],
        "trigger metadata: maxReplicas: is 2, which is less than minReplicas (5): raise it, or lower minReplicas",
    );
    check(
        "shop",
        &[INLINE[0], INLINE[1], INLINE[2], ("minReplicas", "101")],
        "trigger metadata: minReplicas: is greater than the default maxReplicas (100): set maxReplicas too",
    );
}

#[test]
fn names_of_event_hubs_count_without_regard_to_case_and_form() {
    let text = format!(
        "{CONFIG}  - {{ name: audit, source: telemetry, consumer_group: Audit }}\n  - {{ name: all, source: telemetry, \
         consumer_group: '%24default' }}\n"
    );
    let text = text.replace(
        "streams: [clicks], consumer_groups: ['*']",
        "streams: [CLICKS], consumer_groups: ['$default', Other]",
    );
    let config = Config::parse(&text, "c.yaml").expect("valid");
    let group = |stream: &str, group: &str| {
        let pairs = [
            ("source", "telemetry"),
            ("stream", stream),
            ("consumerGroup", group),
        ];
        let metadata: HashMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let request = TriggerRequest::parse(&metadata).expect("valid");
        config.resolve(&request, "shop").map(|target| target.group)
    };
    for name in ["$Default", "$default", "%24Default", "$DEFAULT"] {
        assert_eq!(group("Clicks", name).expect("the group"), "all", "{name}");
    }
    for name in ["audit", "AUDIT", "Audit"] {
        assert_eq!(group("clicks", name).expect("the group"), "audit", "{name}");
    }
    assert_eq!(
        group("CLICKS", "OTHER").expect("allowed"),
        "telemetry/clicks/OTHER"
    );
    assert!(group("clicks", "others").is_err(), "no rule");
    let twice = format!("{text}  - {{ name: again, source: telemetry, consumer_group: aUDIT }}\n");
    let error = Config::parse(&twice, "c.yaml")
        .expect_err("twice")
        .to_string();
    assert!(
        error.contains("same source, stream and consumer_group"),
        "{error}"
    );
}

#[test]
fn a_stream_without_group_and_key_counts_its_length_as_keda_does() {
    let text = CONFIG.replace("consumer_groups: [billing]", "consumer_groups: ['*']");
    let config = Config::parse(&text, "c.yaml").expect("valid");
    let pairs = [("source", "main"), ("stream", "orders:1")];
    let request = parse(&pairs).expect("valid");
    let found = config.resolve(&request, "shop").expect("allowed");
    let length = Mode::Backlog {
        threshold: 5,
        measure: Measure::StreamLength,
    };
    assert_eq!(
        (found.key.consumer_group.as_str(), found.settings.mode),
        ("", Some(length))
    );
    let metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(
        config.mode_of_group(&metadata.into()),
        Some(length),
        "while it is refused, too"
    );
    let hub = HashMap::from([("source".to_owned(), "telemetry".to_owned())]);
    assert_eq!(config.mode_of_group(&hub), None);
}

#[test]
fn an_event_hub_needs_neither_stream_nor_consumer_group_and_its_partitions_have_one_consumer_each()
{
    let hub = resolve("shop", &[("source", "telemetry")]).expect("allowed");
    assert_eq!(hub.group, "telemetry/clicks/$Default");
    assert_eq!(hub.selector, StreamSelector::Whole);
    assert_eq!(hub.poll_interval, Duration::from_secs(15));
    assert_eq!(hub.settings.assignment, Some(Assignment::Exclusive));
    let named = [
        ("source", "telemetry"),
        ("stream", "clicks"),
        ("consumerGroup", "audit"),
        ("assignment", "shared"),
    ];
    let named = resolve("shop", &named).expect("allowed");
    assert_eq!(named.key.consumer_group, "audit");
    assert_eq!(named.settings.assignment, Some(Assignment::Shared));
    let denied = resolve("other", &[("source", "telemetry")]).expect_err("no rule");
    assert!(denied.starts_with("namespace other may not"), "{denied}");
}

#[test]
fn keda_s_azure_eventhub_keys_are_a_drop_in_where_they_agree_with_the_source() {
    let hub =
        |pairs: &[(&str, &str)]| resolve("shop", &[&[("source", "telemetry")], pairs].concat());
    let found = hub(&[
        ("unprocessedEventThreshold", "64"),
        ("activationUnprocessedEventThreshold", "10"),
        ("blobContainer", "marks"),
        ("checkpointStrategy", "blobMetadata"),
        ("consumerGroup", "$Default"),
    ])
    .expect("a drop-in");
    let mode = Mode::Backlog {
        threshold: 64,
        measure: Measure::UnprocessedEvents,
    };
    assert_eq!(found.settings.mode, Some(mode));
    assert_eq!(found.settings.activation_backlog, Some(10));
    let by_default = [
        ("source", "functions"),
        ("blobContainer", "azure-webjobs-eventhub"),
        ("checkpointStrategy", "azureFunction"),
    ];
    resolve("shop", &by_default).expect("the container of whoever names none, and any layout");
    let check = |pairs: &[(&str, &str)], expect: &str| {
        let error = hub(pairs).expect_err("refused");
        assert_eq!(error, format!("trigger metadata: {expect}"));
    };
    let not_the_sources =
        "differs from the source in streamgauge's config: remove it, or use another source";
    check(
        &[("blobContainer", "other")],
        &format!("blobContainer: {not_the_sources}"),
    );
    check(
        &[("checkpointStrategy", "goSdk")],
        &format!("checkpointStrategy: {not_the_sources}"),
    );
    check(
        &[("lagCount", "5")],
        "lagCount: is for Redis streams, but the source is an event hub: use unprocessedEventThreshold or backlogThreshold",
    );
    check(
        &[("stream", "other")],
        "stream: is not the event hub of the source: remove it, or add a source for that event hub",
    );
    let redis = |pair: (&'static str, &'static str), expect: &str| {
        let error = resolve("shop", &[&INLINE[..], &[pair]].concat()).expect_err("refused");
        assert_eq!(error, format!("trigger metadata: {expect}"));
    };
    redis(
        ("unprocessedEventThreshold", "5"),
        "unprocessedEventThreshold: is for event hubs, but the source is Redis: use lagCount or backlogThreshold",
    );
    redis(
        ("blobContainer", "marks"),
        "blobContainer: is for event hubs, but the source is Redis: remove it",
    );
}
