//! Metadata and the exact texts that faulty ones are answered with.

use std::time::Duration;

use super::*;
use crate::model::identity::Assignment;
use crate::policy::forecast::Forecasting;
use crate::policy::spec::Mode;

fn parse(pairs: &[(&str, &str)]) -> Result<TriggerRequest, MetadataErrors> {
    let metadata = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    TriggerRequest::parse(&metadata)
}

mod keda;

const INLINE: [(&str, &str); 3] = [
    ("source", "main"),
    ("stream", "orders:*"),
    ("consumerGroup", "billing"),
];

/// The settings of a valid request for an inline group.
fn settings(pairs: &[(&str, &str)]) -> PolicySettings {
    let request = parse(&[&INLINE[..], pairs].concat());
    request
        .unwrap_or_else(|error| panic!("{pairs:?}: {error}"))
        .settings
}

/// The faults of `group: g` with these keys.
fn check(pairs: &[(&str, &str)], expect: &str) {
    let error = parse(&[&[("group", "g")], pairs].concat())
        .expect_err("faulty")
        .to_string();
    assert_eq!(error, format!("trigger metadata: {expect}"), "{pairs:?}");
}

#[test]
fn everything_that_can_be_set_is_read() {
    let found = settings(&[
        ("scalerAddress", "streamgauge:9090"),
        ("enableTLS", "true"),
        ("mode", "replicas"),
        ("targetDelay", "45"),
        ("capacityPerReplica", "12.5"),
        ("minReplicas", "1"),
        ("maxReplicas", "50"),
        ("activationBacklog", "7"),
        ("activationWindow", "2m"),
        ("scaleInHold", "90"),
        ("assignment", "exclusive"),
        ("consumersPerReplica", "2"),
        ("forecast", "on"),
    ]);
    let expect = PolicySettings {
        mode: Some(Mode::Replicas),
        target_delay: Some(Duration::from_secs(45)),
        capacity_per_replica: Some(12.5),
        min_replicas: Some(1),
        max_replicas: Some(50),
        activation_backlog: Some(7),
        activation_window: Some(Duration::from_secs(120)),
        scale_in_hold: Some(Duration::from_secs(90)),
        assignment: Some(Assignment::Exclusive),
        consumers_per_replica: Some(2),
        forecast: Some(Forecasting::On),
    };
    assert_eq!(found, expect);
    assert_eq!(settings(&[]), PolicySettings::default());
    assert_eq!(
        parse(&[("group", "g")]).map(|r| r.subject),
        Ok(TriggerSubject::Named("g".into()))
    );
}

#[test]
fn each_fault_has_its_text() {
    check(
        &[("targetDelay", "soon")],
        "targetDelay: must be a number of seconds or a duration, such as 30, 500ms or 1m30s",
    );
    check(
        &[("targetDelay", "0")],
        "targetDelay: must be longer than 0s and at most 24h",
    );
    check(
        &[("capacityPerReplica", "NaN")],
        "capacityPerReplica: must be greater than 0, in messages per second: remove it to have the capacity learned",
    );
    check(
        &[("minReplicas", "-1")],
        "minReplicas: must be a whole number of at least 0",
    );
    check(
        &[("minReplicas", "5"), ("maxReplicas", "2")],
        "maxReplicas: is 2, which is less than minReplicas (5): raise it, or lower minReplicas",
    );
    check(
        &[("maxReplicas", "0")],
        "maxReplicas: must be a whole number of at least 1",
    );
    check(
        &[("mode", "auto")],
        "mode: must be replicas, backlog or jobs",
    );
    check(
        &[("mode", "backlog")],
        "mode: backlog requires backlogThreshold, the messages per replica",
    );
    check(
        &[("assignment", "sticky")],
        "assignment: must be shared or exclusive",
    );
    check(
        &[("consumersPerReplica", "0")],
        "consumersPerReplica: must be a whole number between 1 and 1000",
    );
    check(
        &[("backlogThreshold", "0")],
        "backlogThreshold: must be a whole number of at least 1 (messages per replica)",
    );
    check(
        &[("mode", "replicas"), ("backlogThreshold", "5")],
        "backlogThreshold: does not apply to mode replicas: remove it, or set mode to backlog",
    );
    check(
        &[("mode", "replicas"), ("lagCount", "5")],
        "lagCount: does not apply to mode replicas: remove it, or set mode to backlog",
    );
    check(
        &[("lagCount", "5"), ("backlogThreshold", "5")],
        "lagCount: cannot be used together with backlogThreshold: remove one of them",
    );
    check(
        &[("lagCount", "-1")],
        "lagCount: must be a whole number of at least 0 (messages per replica)",
    );
    check(
        &[("activationLagCount", "5")],
        "activationLagCount: works only with lagCount, pendingEntriesCount or streamLength: use activationBacklog instead",
    );
    check(
        &[("source", "main")],
        "source: cannot be used together with group: set either group, or source, stream and consumerGroup",
    );
    check(
        &[("scaleInHold", "0")],
        "scaleInHold: must be longer than 0s and at most 1h",
    );
}

#[test]
fn unknown_keys_get_a_suggestion_and_all_faults_are_told_at_once() {
    check(
        &[("target_delay", "5"), ("mode", "x")],
        "mode: must be replicas, backlog or jobs; target_delay: unknown key: did you mean targetDelay?",
    );
}

#[test]
fn of_thousands_of_unknown_keys_only_those_that_are_told_get_a_suggestion() {
    let keys: Vec<String> = (0..10_000).map(|n| format!("mod{n:04}")).collect();
    let metadata = keys.iter().map(|key| (key.clone(), String::new()));
    let errors = TriggerRequest::parse(&metadata.collect()).expect_err("faulty");
    let unknown = errors.problems.iter().filter(|p| p.key.starts_with("mod"));
    let plain = unknown.filter(|problem| problem.text == "unknown key: remove it");
    assert_eq!(plain.count(), 10_000 - 24);
    let text = errors.to_string();
    assert!(!text.contains("remove it;"), "{text}");
    assert!(text.contains(" more"), "{text}");
}

#[test]
fn inline_requests_are_checked_part_by_part() {
    let check = |pairs: &[(&str, &str)], expect: &str| {
        let error = parse(pairs).expect_err("faulty").to_string();
        assert_eq!(error, format!("trigger metadata: {expect}"), "{pairs:?}");
    };
    check(
        &[],
        "group: is missing: set it to a group of the config, or set source, stream and consumerGroup",
    );
    let stream = |stream, expect: &str| {
        check(
            &[
                ("source", "main"),
                ("stream", stream),
                ("consumerGroup", "g"),
            ],
            &format!("stream: {expect}"),
        );
    };
    let simple = "may use only the wildcard *: for a pattern with ?, [ or \\, add a group to streamgauge's config";
    stream("a?", simple);
    stream("a[bc]", simple);
    stream("a\\*", simple);
    stream(
        "a{9..1}",
        "has a template that ends before it starts: write the smaller number first",
    );
    stream(
        "a{0..10000}",
        "has more than 10,000 partitions, which is the limit: split it into several triggers",
    );
    stream(
        "a{0..1}*",
        "combines a template with a pattern: use only one of them",
    );
    stream(
        "a\tb",
        "contains a control character, which a metric label must not have: remove it",
    );
    check(
        &[
            ("source", "redis://x"),
            ("stream", "s"),
            ("consumerGroup", "g"),
        ],
        "source: must be the name of a source in streamgauge's config, not an address",
    );
}

#[test]
fn the_mode_is_found_whatever_else_is_wrong() {
    let check = |pairs: &[(&str, &str)], expect| {
        let metadata: HashMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(likely_mode(&metadata), expect, "{pairs:?}");
    };
    let backlog = |threshold| {
        Some(Mode::Backlog {
            threshold,
            measure: Measure::Backlog,
        })
    };
    check(&[], None);
    check(&[("maxReplica", "5")], None);
    check(&[("mode", "replcas")], None);
    check(
        &[("mode", "replicas"), ("lagCount", "5")],
        Some(Mode::Replicas),
    );
    check(&[("mode", "jobs"), ("x", "y")], Some(Mode::Jobs));
    check(&[("backlogThreshold", "7"), ("x", "y")], backlog(7));
    check(
        &[
            ("mode", "backlog"),
            ("backlogThreshold", "7"),
            ("minReplicas", "x"),
        ],
        backlog(7),
    );
    check(&[("mode", "backlog"), ("backlogThreshold", "many")], None);
    check(
        &[("consumerGroup", "g"), ("lagCount", "5"), ("x", "y")],
        Some(Mode::Backlog {
            threshold: 5,
            measure: Measure::Lag,
        }),
    );
}

#[test]
fn many_faults_are_told_as_the_first_and_how_many_more() {
    let metadata = (0..30).map(|n| (format!("key{n:02}"), "x".to_owned()));
    let error = TriggerRequest::parse(&metadata.collect()).expect_err("faulty");
    let text = error.to_string();
    assert!(text.contains("key00: unknown key"), "{text}");
    assert!(text.ends_with("; and 29 more"), "{text}");
    assert!(
        text.len() < 1_024,
        "{}: an event of Kubernetes holds no more",
        text.len()
    );
}
