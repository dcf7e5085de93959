//! What is asked for while rates or what one consumer does are not known yet.

use super::*;

#[test]
fn an_instance_that_starts_beside_another_asks_for_no_less_than_what_runs() {
    let mut world = World::new(PolicySettings::default());
    world.added = 1_000;
    world.delivered = 1_000;
    world.acknowledged = 1_000;
    world.run(14);
    for _ in 0..200 {
        world.pass(1, 400);
        let desired = world.decision().desired;
        assert!(desired.is_none_or(|n| n >= 14), "{}", world.second);
    }
}

#[test]
fn an_instance_that_starts_beside_another_asks_for_no_more_either_where_what_runs_is_enough() {
    let mut world = World::new(configured());
    world.run(9);
    // 400 ÷ 50 at 85 % would be 10; nine do it at 89 %.
    world.pass(100, 400);
    assert_eq!(world.desired(), 9, "{}", world.decision().text);
}

#[test]
fn an_instance_that_starts_beside_another_does_not_rise_before_its_rates_rest_on_a_whole_window() {
    let mut world = World::new(configured());
    world.run(9);
    // What came before it looked is a rate to it for a moment.
    world.pass(1, 400);
    for second in 0..14 {
        world.pass(1, 600);
        assert_eq!(world.desired(), 9, "after {second} s");
    }
    assert!(world.decision().text.contains("No more than are running"));
    world.pass(20, 600);
    assert!(world.desired() > 9, "{}", world.decision().text);
    // A backlog is no rate.
    let mut world = World::new(configured());
    world.run(9);
    world.added = 36_000;
    world.pass(1, 400);
    assert_eq!(world.desired(), 24, "{}", world.decision().text);
}

#[test]
fn a_fleet_that_never_catches_up_grows_even_if_nobody_can_tell_what_one_consumer_does() {
    let mut world = World::new(PolicySettings::default());
    world.pass(20, 0);
    world.added = 16_000;
    world.run(12);
    // Twelve do what arrives, so those that wait are never done; the source sees another consumer at every other poll.
    for second in 0..180 {
        world.consumers = 12 + second % 2;
        world.rate = 400 / u64::from(world.consumers);
        world.pass(1, 400);
    }
    assert!(world.desired() >= 24, "{}", world.decision().text);
}

#[test]
fn no_count_is_given_before_the_cluster_has_told_what_it_is_for_or_kept_silent() {
    // The configured group is known for long; then KEDA asks for the first time.
    let asked = || {
        let mut world = World::new(configured());
        world.pods = None;
        world.consumers = 20;
        world.pass(50, 100);
        world.state.apply(&Event {
            at: Timestamp::from_millis(START + world.second * 1_000),
            what: What::TargetExpired(key()),
        });
        let settings = PolicySettings {
            max_replicas: Some(30),
            ..configured()
        };
        world.state.apply(&Event {
            at: Timestamp::from_millis(START + world.second * 1_000 + 300),
            what: What::TargetAwaited(key(), Box::new(settings.resolve())),
        });
        let decision = world.decision();
        assert_eq!((decision.metric, decision.active), (None, Some(true)));
        assert!(
            decision.text.contains("Kubernetes API"),
            "{}",
            decision.text
        );
        world
    };
    let told = |mut world: World, triggers| {
        world.object.triggers = triggers;
        let reading = ReplicasObserved {
            current: Some(20),
            object: world.object.clone(),
            ..ReplicasObserved::default()
        };
        let at = Timestamp::from_millis(START + world.second * 1_000 + 400);
        let what = What::ReplicasObserved(key(), Box::new(Ok(reading)));
        world.state.apply(&Event { at, what });
        world.desired()
    };
    assert_eq!(told(asked(), 1), 20, "at once; not below what runs");
    assert_eq!(told(asked(), 2), 3, "at once; what runs is not looked at");
    let mut silent = asked();
    silent.pass(4, 100);
    assert_eq!(silent.decision().metric, None);
    silent.pass(2, 100);
    assert_eq!(silent.desired(), 20, "by the consumers");
}

#[test]
fn a_count_that_was_too_few_is_not_tried_again() {
    let mut world = World::new(PolicySettings::default());
    world.pass(50, 0);
    world.pass(2, 100);
    let mut falls = 0;
    // As long as those that are gone are seen, what one of the others does is not certain.
    for _ in 0..100 {
        world.pass(1, 100);
        let desired = world.desired();
        if desired < world.consumers {
            falls += 1;
            world.gone = world.consumers - desired;
        }
        world.run(desired);
    }
    assert!(
        falls <= 2,
        "{falls} falls: one is too few, two are just not enough"
    );
}
