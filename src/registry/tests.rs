//! The registry's rules, on a config as users write it.

mod faults;
mod limits;
mod meanwhile;

use super::*;
use crate::config::metadata::fingerprint;
use crate::group::event::{Event, What};
use crate::model::sample::Sample;
use crate::model::signal::{Signal, SignalReading};
use crate::publish::NoAnswer;
use crate::scaled_object::ReplicasObserved;

const CONFIG: &str = r#"
sources:
  - name: main
    redis: { url: "redis://127.0.0.1:6379/0" }
    allow: [ { namespaces: ["*"], streams: ["orders:*"], consumer_groups: ["*"] } ]
groups:
  - { name: billing, source: main, stream: "orders:*", consumer_group: billing }
"#;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn registry() -> Registry {
    let config = Config::parse(CONFIG, "test.yaml").expect("a valid config");
    Registry::new(config, CapacityRules::default(), NOW).0
}

fn trigger(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn inline(group: &str) -> HashMap<String, String> {
    trigger(&[
        ("source", "main"),
        ("stream", "orders:*"),
        ("consumerGroup", group),
    ])
}

#[test]
fn the_same_triple_is_the_same_group_however_it_is_named() {
    let registry = registry();
    let named = registry
        .resolve("shop", "a", &trigger(&[("group", "billing")]), NOW)
        .unwrap();
    let same = registry
        .resolve("shop", "b", &inline("billing"), NOW)
        .unwrap();
    let other = registry.resolve("shop", "b", &inline("mail"), NOW).unwrap();
    assert!(Arc::ptr_eq(&named.group, &same.group));
    assert_eq!(other.group.definition().name, "main/orders:*/mail");
    assert_eq!(registry.groups().len(), 2);
}

#[test]
fn an_inline_group_cannot_be_named_past_the_allow_rules() {
    let registry = registry();
    registry.resolve("shop", "a", &inline("mail"), NOW).unwrap();
    let by_name = trigger(&[("group", "main/orders:*/mail")]);
    assert!(matches!(
        registry.resolve("evil", "a", &by_name, NOW),
        Err(Refusal::Invalid(_))
    ));
    let all = trigger(&[
        ("source", "main"),
        ("stream", "*"),
        ("consumerGroup", "mail"),
    ]);
    assert!(matches!(
        registry.resolve("shop", "a", &all, NOW),
        Err(Refusal::NotAllowed(_))
    ));
}

#[test]
fn targets_go_an_hour_after_the_last_call_and_inline_groups_with_them() {
    let registry = registry();
    let kept = registry
        .resolve("shop", "kept", &trigger(&[("group", "billing")]), NOW)
        .unwrap();
    let gone = registry
        .resolve("shop", "gone", &inline("mail"), NOW)
        .unwrap();
    let later = NOW.plus(EXPIRES_AFTER);
    registry
        .resolve("shop", "kept", &trigger(&[("group", "billing")]), later)
        .unwrap();
    registry.expire(later);
    assert!(gone.group.is_retired());
    assert!(!kept.group.is_retired());
    assert_eq!(registry.groups().len(), 1);
    assert_eq!(registry.labels().len(), 1);
    assert!(matches!(
        gone.group.answer(&gone.key, later),
        Err(NoAnswer::NotNow(_))
    ));
}

/// After so many seconds.
fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn billing(more: &[(&str, &str)]) -> HashMap<String, String> {
    let mut metadata = trigger(more);
    metadata.insert("group".to_owned(), "billing".to_owned());
    metadata
}

/// As KEDA calls: in bursts.
fn call(registry: &Registry, metadata: &HashMap<String, String>, now: Timestamp) -> Arc<Target> {
    for _ in 0..2 {
        registry.resolve("shop", "a", metadata, now).unwrap();
    }
    registry.resolve("shop", "a", metadata, now).unwrap()
}

fn sorted_labels(registry: &Registry) -> Vec<String> {
    let mut labels: Vec<String> = registry.labels().into_values().collect();
    labels.sort();
    labels
}

fn replicas_seen(target: &Target) -> bool {
    let snapshot = target.group.snapshot();
    snapshot.targets[&target.key].kubernetes.is_some()
}

/// Something by which a target's memory is recognised.
fn remember(target: &Target, now: Timestamp) {
    let reading = Box::new(Ok(ReplicasObserved::default()));
    target.group.apply(&Event {
        at: now,
        what: What::ReplicasObserved(target.key.clone(), reading),
    });
}

#[test]
fn several_triggers_of_one_object_are_numbered() {
    let registry = registry();
    let first = call(&registry, &inline("mail"), NOW);
    assert_eq!(registry.labels()[&first.key], "shop/a");
    let second = call(&registry, &inline("audit"), NOW);
    let labels = registry.labels();
    assert_eq!(labels[&first.key], "shop/a#0");
    assert_eq!(labels[&second.key], "shop/a#1");
    // A trigger that was taken away makes room after some of its own call intervals.
    for seconds in [10, 20] {
        call(&registry, &inline("mail"), at(seconds));
        call(&registry, &inline("audit"), at(seconds));
    }
    call(&registry, &inline("audit"), at(55));
    registry.expire(at(55));
    assert_eq!(registry.labels().len(), 2, "that may be chance");
    call(&registry, &inline("audit"), at(65));
    registry.expire(at(65));
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
}

#[test]
fn an_edited_trigger_takes_the_place_of_the_old_one_with_its_memory() {
    let registry = registry();
    let old = call(&registry, &billing(&[]), NOW);
    remember(&old, NOW);
    call(&registry, &billing(&[]), at(15));
    let new = call(&registry, &billing(&[("maxReplicas", "7")]), at(20));
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
    assert!(old.is_gone() && !new.is_gone());
    assert!(replicas_seen(&new), "it knows what was known");
    assert_eq!(new.spec.max_replicas, 7);
    assert_eq!(new.group.snapshot().targets.len(), 1);
    // Taken for edited although both are alive: the next call sets it right, for good.
    let back = call(&registry, &billing(&[]), at(30));
    assert!(replicas_seen(&back));
    for seconds in [30, 45, 60] {
        call(&registry, &billing(&[]), at(seconds));
        call(&registry, &billing(&[("maxReplicas", "7")]), at(seconds));
        registry.expire(at(seconds));
    }
    assert_eq!(sorted_labels(&registry), ["shop/a#0", "shop/a#1"]);
}

#[test]
fn two_triggers_that_come_together_are_no_edit_and_a_mode_inherits_nothing_of_another() {
    let registry = registry();
    call(&registry, &billing(&[]), NOW);
    call(&registry, &billing(&[("maxReplicas", "7")]), NOW);
    assert_eq!(registry.labels().len(), 2);
    let other = self::registry();
    let old = call(&other, &billing(&[]), NOW);
    remember(&old, NOW);
    call(&other, &billing(&[]), at(15));
    let new = call(&other, &billing(&[("backlogThreshold", "7")]), at(20));
    assert!(!replicas_seen(&new));
}

#[test]
fn the_spec_of_the_object_says_which_triggers_there_are_and_in_which_order() {
    let registry = registry();
    let (one, two) = (billing(&[]), billing(&[("maxReplicas", "7")]));
    let three = inline("mail");
    let of = |all: &[&HashMap<String, String>]| all.iter().map(|m| fingerprint(m)).collect();
    let note = |all: &[&HashMap<String, String>], now| {
        let order: Vec<u64> = of(all);
        registry.note_triggers("shop", "a", &order, now);
    };
    let first = call(&registry, &one, NOW);
    remember(&first, NOW);
    note(&[&one], at(1));
    // The edit is seen first, then asked with: also when the trigger moved to another group.
    note(&[&two], at(10));
    assert_eq!(
        sorted_labels(&registry),
        ["shop/a"],
        "it waits for its successor"
    );
    let second = call(&registry, &two, at(11));
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
    assert!(first.is_gone() && replicas_seen(&second));
    note(&[&three], at(20));
    let third = call(&registry, &three, at(21));
    assert!(second.is_gone() && !third.is_gone());
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
    // Asked with before the watch shows it.
    let fourth = call(&registry, &one, at(30));
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
    note(&[&one], at(31));
    assert!(!fourth.is_gone());
    // A second one, put before the first: numbers go by the spec.
    note(&[&two, &one], at(40));
    let second = call(&registry, &two, at(41));
    let labels = registry.labels();
    assert_eq!(labels[&second.key], "shop/a#0");
    assert_eq!(labels[&fourth.key], "shop/a#1");
    // And taken away again.
    call(&registry, &one, at(70));
    note(&[&one], at(70));
    assert_eq!(registry.labels().len(), 2, "that may be chance");
    note(&[&one], at(72));
    assert_eq!(sorted_labels(&registry), ["shop/a"]);
    assert!(second.is_gone());
}

#[test]
fn a_deleted_object_takes_its_targets_and_inline_groups_along() {
    let registry = registry();
    let gone = call(&registry, &inline("mail"), NOW);
    call(&registry, &billing(&[]), NOW);
    let other = registry.resolve("shop", "b", &billing(&[]), NOW).unwrap();
    assert!(registry.remove_object("shop", "a", at(1)));
    assert!(!registry.remove_object("shop", "a", at(1)));
    assert!(gone.is_gone() && gone.group.is_retired());
    assert_eq!(registry.targets().len(), 1);
    assert_eq!(registry.labels()[&other.key], "shop/b");
    assert_eq!(other.group.snapshot().targets.len(), 1);
}

#[test]
fn a_group_is_decided_without_a_scaled_object_until_one_asks() {
    let registry = registry();
    let group = registry.groups().remove(0);
    assert!(group.snapshot().targets.keys().all(TargetKey::is_unnamed));
    let target = registry
        .resolve("shop", "a", &trigger(&[("group", "billing")]), NOW)
        .unwrap();
    assert_eq!(
        group.snapshot().targets.keys().collect::<Vec<_>>(),
        [&target.key]
    );
}

#[test]
fn a_signal_from_elsewhere_than_before_is_learned_anew_and_the_others_stay() {
    let config = |error_rate: &str| {
        let signals = format!(
            "signals: {{ error_rate: {{ {error_rate} }}, resource_utilization: {{ promql: cpu }} }}"
        );
        let text = CONFIG.replace(
            "consumer_group: billing }",
            &format!("consumer_group: billing, {signals} }}"),
        );
        let text = format!("prometheus: {{ url: \"http://p\" }}\n{text}");
        Config::parse(&text, "test.yaml").expect("a valid config")
    };
    let (registry, _started) =
        Registry::new(config("promql: errors"), CapacityRules::default(), NOW);
    let group = || registry.groups().remove(0);
    for signal in [Signal::ErrorRate, Signal::ResourceUtilization] {
        let reading = SignalReading {
            at: NOW,
            value: Some(0.5),
            problem: None,
        };
        let what = What::SignalObserved(signal, reading);
        group().apply(&Event { at: NOW, what });
    }
    let known = || {
        let at = NOW.plus(std::time::Duration::from_secs(5));
        let what = What::Observed(Ok(Sample::default()));
        group().apply(&Event { at, what });
        group()
            .snapshot()
            .facts
            .signals
            .keys()
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(known(), [Signal::ErrorRate, Signal::ResourceUtilization]);
    registry.reconfigure(config("promql: errors"), &BTreeSet::new(), NOW);
    assert_eq!(known(), [Signal::ErrorRate, Signal::ResourceUtilization]);
    registry.reconfigure(config("redeliveries: true"), &BTreeSet::new(), NOW);
    assert_eq!(known(), [Signal::ResourceUtilization]);
    assert!(
        !group()
            .snapshot()
            .facts
            .normal
            .contains_key(&Signal::ErrorRate)
    );
}
