//! What is beyond a limit, and what a limit must not touch.

use super::*;

fn limited(limits: &str) -> Registry {
    let config = format!("limits: {limits}\n{CONFIG}");
    let config = Config::parse(&config, "test.yaml").expect("a valid config");
    Registry::new(config, CapacityRules::default(), NOW).0
}

#[test]
fn a_full_registry_refuses_newcomers_and_goes_on_serving_the_others() {
    let registry = limited("{ scaled_objects: 120, scaled_objects_per_namespace: 50 }");
    let name = |n: usize| format!("worker-{n}");
    for n in 0..50 {
        registry
            .resolve("shop", &name(n), &inline("mail"), NOW)
            .unwrap();
    }
    let full = registry.resolve("shop", "one-more", &inline("mail"), NOW);
    assert!(matches!(full, Err(Refusal::Full(text)) if text.contains("namespace shop has 50")));
    let served = registry.resolve("shop", &name(7), &inline("mail"), NOW);
    served.expect("is served already");
    for n in 50..120 {
        registry
            .resolve(&format!("ns-{}", n / 50), &name(n), &inline("mail"), NOW)
            .unwrap();
    }
    let full = registry.resolve("another", "one-more", &inline("mail"), NOW);
    assert!(matches!(full, Err(Refusal::Full(text)) if text.starts_with("120 ScaledObjects")));
}

#[test]
fn every_object_of_a_full_namespace_can_be_edited_at_once_and_again() {
    let registry = limited("{ scaled_objects_per_namespace: 40 }");
    let name = |n: usize| format!("worker-{n}");
    for edition in 0..20_u64 {
        for n in 0..40 {
            let group = format!("edition-{edition}");
            let at = NOW.plus(Duration::from_secs(edition));
            let edited = registry.resolve("shop", &name(n), &inline(&group), at);
            edited.unwrap_or_else(|refusal| panic!("edition {edition}: {refusal}"));
        }
    }
}

/// A list of so many streams.
fn streams(from: usize, count: usize) -> HashMap<String, String> {
    let template = format!("orders:{{{from}..{}}}", from + count - 1);
    trigger(&[
        ("source", "main"),
        ("stream", &template),
        ("consumerGroup", "mail"),
    ])
}

#[test]
fn the_budget_of_partitions_of_a_namespace_does_not_touch_another_and_grows_again() {
    let registry = limited("{ partitions: 150, partitions_per_namespace: 100 }");
    let first = registry.resolve("shop", "a", &streams(0, 60), NOW).unwrap();
    let same = registry.resolve("shop", "b", &streams(0, 60), NOW);
    same.expect("counted once");
    let full = registry.resolve("shop", "c", &streams(1, 60), NOW);
    let text = full.expect_err("too many").to_string();
    assert!(
        text.contains("60 more partitions in namespace shop: 60 of 100"),
        "{text}"
    );
    registry
        .resolve("mail", "a", &streams(200, 90), NOW)
        .expect("another namespace");
    let full = registry.resolve("news", "a", &streams(300, 1), NOW);
    let text = full.expect_err("too many in all").to_string();
    assert!(text.contains("150 of 150"), "{text}");
    let configured = registry.resolve("news", "a", &trigger(&[("group", "billing")]), NOW);
    configured.expect("groups of the config are not counted");
    registry.remove_object("shop", "a", NOW);
    registry.remove_object("shop", "b", NOW);
    assert!(first.group.is_retired());
    registry
        .resolve("shop", "c", &streams(1, 60), NOW)
        .expect("room again");
    let used = |limit: &str, namespace: &str| {
        let usage = registry.usage();
        let usage = usage.iter().find(|usage| usage.limit == limit).unwrap();
        usage.used.get(namespace).copied()
    };
    assert_eq!(used("partitions", ""), Some(150));
    assert_eq!(used("partitions_per_namespace", "shop"), Some(60));
    assert_eq!(used("scaled_objects", ""), Some(3));
}

#[test]
fn an_edited_trigger_takes_the_room_of_its_former_wording_at_once() {
    let registry = limited("{ partitions_per_namespace: 100 }");
    for seconds in [0, 30] {
        registry
            .resolve("shop", "a", &streams(0, 100), at(seconds))
            .unwrap();
    }
    let edited = registry.resolve("shop", "a", &streams(50, 100), at(40));
    edited.expect("an edit is no second trigger");
    let other = registry.resolve("shop", "b", &streams(0, 1), at(41));
    other.expect_err("another object gets nothing of it");
}

#[test]
fn of_two_triggers_without_room_for_both_the_first_stays() {
    let registry = limited("{ partitions_per_namespace: 100 }");
    let (first, second) = (streams(0, 80), streams(100, 80));
    for seconds in [0, 30] {
        registry.resolve("shop", "a", &first, at(seconds)).unwrap();
    }
    let taken = registry.resolve("shop", "a", &second, at(35));
    taken.expect("it looks like an edit");
    let back = registry.resolve("shop", "a", &first, at(60));
    back.expect("it was here first");
    for round in 1..5 {
        let refused = registry.resolve("shop", "a", &second, at(35 + 30 * round));
        refused.expect_err("there is no room");
        let served = registry.resolve("shop", "a", &first, at(60 + 30 * round));
        served.expect("stays");
    }
}

#[test]
fn patterns_of_a_namespace_are_limited() {
    let registry = limited("{ patterns_per_namespace: 2 }");
    let pattern = |n: u32| {
        let stream = format!("orders:{n}:*");
        trigger(&[
            ("source", "main"),
            ("stream", &stream),
            ("consumerGroup", "mail"),
        ])
    };
    for n in 0..2 {
        registry.resolve("shop", "a", &pattern(n), NOW).unwrap();
    }
    let again = registry.resolve("shop", "b", &pattern(1), NOW);
    again.expect("known already");
    let full = registry.resolve("shop", "b", &pattern(2), NOW);
    let text = full.expect_err("a third").to_string();
    assert!(text.contains("has 2 patterns"), "{text}");
    registry
        .resolve("mail", "b", &pattern(2), NOW)
        .expect("another namespace");
}

#[test]
fn what_is_served_can_be_edited_although_the_limit_was_lowered() {
    let registry = limited("{ scaled_objects: 3 }");
    for (seconds, name) in [(0, "a"), (0, "b"), (0, "c"), (30, "a"), (30, "b")] {
        registry
            .resolve("shop", name, &inline("mail"), at(seconds))
            .unwrap();
    }
    let lower =
        format!("limits: {{ scaled_objects: 1, scaled_objects_per_namespace: 1 }}\n{CONFIG}");
    let lower = Config::parse(&lower, "test.yaml").expect("a valid config");
    registry.reconfigure(lower, &BTreeSet::new(), NOW);
    for (seconds, name) in [(60, "a"), (90, "b")] {
        let mut edited = inline("mail");
        edited.insert("targetDelay".to_owned(), format!("{seconds}s"));
        let served = registry.resolve("shop", name, &edited, at(seconds));
        served.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
    let refused = registry.resolve("shop", "d", &inline("mail"), at(100));
    refused.expect_err("a new one");
}

#[test]
fn a_group_of_the_config_gives_no_room_when_its_trigger_goes() {
    let config = format!(
        "limits: {{ partitions: 110 }}\n{CONFIG}  - {{ name: many, source: main, stream: \"many:{{0..99}}\", consumer_group: g }}\n"
    );
    let config = Config::parse(&config, "test.yaml").expect("a valid config");
    let registry = Registry::new(config, CapacityRules::default(), NOW).0;
    for seconds in [0, 30] {
        let named = trigger(&[("group", "many")]);
        registry.resolve("shop", "a", &named, at(seconds)).unwrap();
    }
    let refused = registry.resolve("shop", "a", &streams(0, 50), at(40));
    let text = refused.expect_err("100 are in use").to_string();
    assert!(text.contains("100 of 110"), "{text}");
}
