//! Properties of config and metadata over random input: nothing panics, nothing secret shows, rules contain patterns.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use streamgauge::config::allow::allowed;
use streamgauge::config::metadata::{TriggerRequest, TriggerSubject};
use streamgauge::config::types::{AllowRule, Config};

const KEYS: [&str; 24] = [
    "group",
    "source",
    "stream",
    "consumerGroup",
    "mode",
    "targetDelay",
    "capacityPerReplica",
    "minReplicas",
    "maxReplicas",
    "activationBacklog",
    "activationWindow",
    "assignment",
    "consumersPerReplica",
    "backlogThreshold",
    "lagCount",
    "pendingEntriesCount",
    "streamLength",
    "activationLagCount",
    "scalerAddress",
    "password",
    "groupFromEnv",
    "address",
    "blobContainer",
    "colour",
];

const CONFIG: &str = r#"
server: { grpc: "127.0.0.1:1", http: "[::1]:2", reflection: true }
poll_interval: 2s
sources:
  - name: main
    redis: { url: "redis://[::1]:6380/3", mode: standalone, username: gauge, password: { env: REDIS }, stuck_after: 10m }
    allow: [ { namespaces: [shop], streams: ["orders:*"], consumer_groups: ["*"] } ]
groups:
  - name: billing
    source: main
    stream: "orders:{0..2}"
    consumer_group: billing
    policy: { target_delay: 30s, capacity_per_replica: 12.5, min_replicas: 1, mode: backlog, backlog_threshold: 3 }
"#;

fn rules(stream: &str) -> Vec<AllowRule> {
    let any = || vec!["*".to_owned()];
    vec![AllowRule {
        namespaces: any(),
        streams: vec![stream.to_owned()],
        consumer_groups: any(),
    }]
}

proptest! {
    #[test]
    fn metadata_errors_never_repeat_a_value(
        keys in prop::collection::hash_set(select(&KEYS[..]), 0..8),
        values in prop::collection::vec("[x-z]{9}|[x-z]{5}[{*?\\[][x-z]{5}|redis://:[x-z]{9}@[x-z]{5}", 8),
    ) {
        let metadata: HashMap<String, String> =
            keys.iter().zip(&values).map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        if let Err(errors) = TriggerRequest::parse(&metadata) {
            let text = errors.to_string();
            for value in metadata.values() {
                prop_assert!(!text.contains(value.as_str()), "{text}");
            }
        }
    }

    #[test]
    fn any_metadata_is_answered_without_a_panic(pairs in prop::collection::hash_map(".{0,20}", ".{0,20}", 0..6)) {
        let _ = TriggerRequest::parse(&pairs);
    }

    #[test]
    fn what_is_accepted_inline_has_valid_labels(stream in ".{1,140}", group in ".{1,140}") {
        let pairs = [("source", "main"), ("stream", &stream), ("consumerGroup", &group)];
        let metadata = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        if let Ok(TriggerRequest { subject: TriggerSubject::Inline { stream, consumer_group, .. }, .. }) =
            TriggerRequest::parse(&metadata)
        {
            let stream = stream.map(|named| named.text);
            for label in [stream, consumer_group].into_iter().flatten() {
                prop_assert!(label.len() <= 128 && !label.chars().any(char::is_control), "{label:?}");
            }
        }
    }

    #[test]
    fn a_damaged_config_is_refused_or_accepted_but_never_panics(
        at in any::<Index>(), length in 0_usize..12, patch in "[ -~\n]{0,6}",
    ) {
        let start = at.index(CONFIG.len());
        let end = (start + length).min(CONFIG.len());
        let text = format!("{}{patch}{}", &CONFIG[..start], &CONFIG[end..]);
        if let Err(errors) = Config::parse(&text, "c.yaml") {
            prop_assert!(errors.to_string().starts_with("c.yaml:"), "{errors}");
        }
    }

    /// A rule made from a pattern by widening part of it allows the pattern and every key that the pattern can match.
    #[test]
    fn a_wider_rule_allows_the_pattern_and_all_its_keys(
        parts in prop::collection::vec("[ab:]{1,3}", 1..5), from in any::<Index>(), to in any::<Index>(),
        fill in "[ab:]{0,4}",
    ) {
        let pattern = parts.join("*");
        let (from, to) = (from.index(pattern.len()), to.index(pattern.len()));
        let (from, to) = (from.min(to), from.max(to));
        let rule = format!("{}*{}", &pattern[..from], &pattern[to..]);
        let key = pattern.replace('*', &fill);
        prop_assert!(allowed(&rules(&rule), "n", &pattern, "g"), "{rule} {pattern}");
        prop_assert!(allowed(&rules(&rule), "n", &key, "g"), "{rule} {key}");
    }
}

#[test]
fn the_undamaged_config_is_accepted() {
    Config::parse(CONFIG, "c.yaml").expect("valid");
}
