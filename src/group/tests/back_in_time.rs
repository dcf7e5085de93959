//! How long replicas are kept after a load is over: by how soon they would be back, and what a start costs.

use super::*;

/// More replicas are asked for, and ready after so many seconds.
fn start(world: &mut World, seconds: u64) {
    world.pass(10, 400);
    let asked = world.desired();
    assert!(asked > 1);
    world.pods = Some((asked, 1));
    world.pass(seconds, 400);
    world.run(asked);
}

/// Until the count has fallen, after a load that took starts of so many `seconds`; at most 400 s.
fn kept_for(seconds: u64, settings: PolicySettings) -> u64 {
    let mut world = World::new(settings);
    world.run(1);
    world.pass(60, 40);
    start(&mut world, seconds);
    world.follow(300, 400);
    let at_work = world.desired();
    for second in 0..400 {
        if world.desired() < at_work / 2 {
            return second;
        }
        world.pass(1, 40);
    }
    400
}

#[test]
fn replicas_that_would_be_back_before_a_message_is_late_are_kept_for_as_long_as_a_start_takes() {
    for (start, at_least, at_most) in [(3, 15, 45), (9, 15, 45), (12, 300, 330), (60, 300, 330)] {
        let kept = kept_for(start, configured());
        assert!(
            (at_least..=at_most).contains(&kept),
            "{kept} s with starts of {start} s"
        );
    }
}

#[test]
fn a_load_that_comes_and_goes_teaches_to_keep_them() {
    let mut world = World::new(configured());
    world.run(1);
    world.pass(60, 40);
    start(&mut world, 3);
    let mut falls = 0;
    for _ in 0..20 {
        let before = world.follow(60, 400);
        let mut least = before;
        for _ in 0..60 {
            least = least.min(world.follow(1, 100));
        }
        falls += u32::from(least < before);
    }
    assert!((1..=4).contains(&falls), "{falls} falls in 20 minutes");
}

#[test]
fn a_longer_target_delay_leaves_time_for_longer_starts_and_a_configured_hold_is_kept() {
    let patient = PolicySettings {
        target_delay: Some(Duration::from_secs(120)),
        ..configured()
    };
    assert!((60..=90).contains(&kept_for(60, patient)));
    let configured = PolicySettings {
        scale_in_hold: Some(Duration::from_secs(300)),
        ..configured()
    };
    assert!((300..=330).contains(&kept_for(3, configured)));
}
