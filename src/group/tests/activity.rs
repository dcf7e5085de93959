//! When there is nothing to run for.

use super::*;

#[test]
fn the_more_regularly_messages_came_the_sooner_their_end_is_believed() {
    // A message every so many seconds for ten minutes; then none, and inactive after so many.
    for (pause, inactive) in [(1, 15), (10, 20), (20, 40), (30, 45), (44, 45)] {
        let mut world = World::new(configured());
        world.run(1);
        for _ in 0..600 / pause {
            world.pass(1, 1);
            world.pass(pause - 1, 0);
            assert_eq!(world.decision().active, Some(true), "every {pause} s");
        }
        // Arrivals are noted by the five seconds: as coarse is the end of the window.
        world.pass((inactive - 5_u64).saturating_sub(pause), 0);
        assert_eq!(world.decision().active, Some(true), "every {pause} s");
        world.pass(10, 0);
        assert_eq!(world.decision().active, Some(false), "every {pause} s");
    }
}

#[test]
fn a_threshold_of_activity_counts_as_many_messages_however_regularly_they_come() {
    let mut world = World::new(PolicySettings {
        activation_backlog: Some(10),
        ..configured()
    });
    world.run(1);
    for _ in 0..300 {
        world.pass(1, 1);
        world.pass(1, 0);
    }
    assert_eq!(world.decision().active, Some(true), "22 in 45 s");
}

#[test]
fn an_idle_fleet_is_inactive_after_the_window_and_held_no_longer_than_it_runs() {
    let mut world = World::new(configured());
    world.pass(50, 0);
    world.follow(200, 400);
    let held = world.desired();
    world.follow(46, 0);
    let decision = world.decision();
    assert_eq!(
        (decision.desired, decision.active),
        (Some(held), Some(false))
    );
    // KEDA took it to zero. A single message is no reason for the old count.
    world.run(0);
    world.pass(5, 0);
    assert_eq!(world.desired(), 0);
    world.pass(1, 1);
    let decision = world.decision();
    assert_eq!((decision.desired, decision.active), (Some(1), Some(true)));
}

#[test]
fn who_works_on_a_message_for_hours_is_not_taken_to_zero() {
    let mut world = World::new(configured());
    world.run(1);
    world.long_work = 1;
    world.pass(600, 0);
    let decision = world.decision();
    assert_eq!((decision.desired, decision.active), (Some(1), Some(true)));
    assert!(
        decision.text.contains("hold 1 messages"),
        "{}",
        decision.text
    );
    world.long_work = 0;
    world.pass(600, 0);
    assert_eq!(world.decision().active, Some(false));
}
