//! How long replicas are kept after a load is over: by how soon they would be back.

use super::*;

/// Until the count has fallen, after a load that took starts of `start` seconds; at most 400 s.
fn kept_for(start: u64, settings: PolicySettings) -> u64 {
    let mut world = World::new(settings);
    world.run(1);
    world.pass(60, 40);
    world.pass(10, 400);
    let asked = world.desired();
    assert!(asked > 1);
    world.pods = Some((asked, 1));
    world.pass(start, 400);
    world.run(asked);
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
fn replicas_that_would_be_back_before_a_message_is_late_are_kept_for_a_minute() {
    for (start, at_least, at_most) in [(3, 60, 90), (9, 60, 90), (12, 300, 330), (60, 300, 330)] {
        let kept = kept_for(start, configured());
        assert!(
            (at_least..=at_most).contains(&kept),
            "{kept} s with starts of {start} s"
        );
    }
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
