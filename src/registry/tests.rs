//! The registry's rules, on a config as users write it.

use super::*;
use crate::model::sample::Sample;
use crate::model::signal::{Signal, SignalReading};
use crate::publish::NoAnswer;

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
fn a_full_registry_refuses_newcomers_and_goes_on_serving_the_others() {
    let registry = registry();
    let name = |n: usize| format!("worker-{n}");
    for n in 0..MOST_TARGETS_PER_NAMESPACE {
        registry
            .resolve("shop", &name(n), &inline("mail"), NOW)
            .unwrap();
    }
    let full = registry.resolve("shop", "one-more", &inline("mail"), NOW);
    assert!(matches!(full, Err(Refusal::Full(text)) if text.contains("namespace shop")));
    assert!(
        registry
            .resolve("shop", &name(7), &inline("mail"), NOW)
            .is_ok()
    );
    for n in MOST_TARGETS_PER_NAMESPACE..MOST_TARGETS {
        registry
            .resolve(&format!("ns-{}", n / 50), &name(n), &inline("mail"), NOW)
            .unwrap();
    }
    let full = registry.resolve("another", "one-more", &inline("mail"), NOW);
    assert!(matches!(full, Err(Refusal::Full(text)) if text.starts_with("2000 triggers")));
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

#[test]
fn several_triggers_of_one_object_are_numbered_and_an_edited_one_makes_room_soon() {
    let registry = registry();
    let first = registry.resolve("shop", "a", &inline("mail"), NOW).unwrap();
    assert_eq!(registry.labels()[&first.key], "shop/a");
    let second = registry
        .resolve("shop", "a", &inline("audit"), NOW)
        .unwrap();
    assert_eq!(
        (
            &*registry.labels()[&first.key],
            &*registry.labels()[&second.key]
        ),
        ("shop/a#0", "shop/a#1")
    );
    let later = NOW.plus(std::time::Duration::from_secs(600));
    second.touch(later);
    registry.expire(later);
    assert_eq!(registry.labels()[&second.key], "shop/a");
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
