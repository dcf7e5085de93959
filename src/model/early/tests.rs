//! What the first busy seconds show.

use super::*;

/// Messages processed, messages undelivered, consumers that the source sees, and those that are ready and asked for.
type Poll = (u64, u64, u32, (u32, u32));

/// What is known after `polls` intervals of `seconds`.
fn after(polls: u64, seconds: u64, at: impl Fn(u64) -> Poll) -> Early {
    let mut early = Early::default();
    for n in 1..=polls {
        let (processed, undelivered, seen, (ready, asked)) = at(n);
        let interval = Interval {
            end: Timestamp::from_millis(n * seconds * 1_000),
            covered: Duration::from_secs(seconds),
            processed: Some(processed),
            arrived: 400 * seconds,
            undelivered: Some(Quantity::Exact(undelivered)),
            seen: Some(seen),
            consumers: Some(seen.min(ready)),
        };
        let told = Told {
            is_shared: true,
            ready_consumers: Some(ready),
            asked_consumers: Some(asked),
            ..Told::default()
        };
        early.observe(&interval, told, 0.0);
    }
    early
}

/// As that, where source and replicas agree.
fn agreed(polls: u64, seconds: u64, at: impl Fn(u64) -> (u64, u64, u32)) -> Option<f64> {
    let early = after(polls, seconds, |n| {
        let (processed, undelivered, consumers) = at(n);
        (processed, undelivered, consumers, (consumers, consumers))
    });
    early.per_consumer()
}

#[test]
fn a_busy_consumer_shows_what_it_does_within_ten_seconds() {
    assert_eq!(agreed(3, 1, |n| (50, 400 * n, 1)), None);
    assert_eq!(agreed(6, 1, |n| (50, 400 * n, 1)), Some(50.0));
    assert_eq!(agreed(3, 5, |n| (250, 2_000 * n, 1)), Some(50.0));
    assert_eq!(agreed(3, 5, |n| (1_000, 2_000 * n, 4)), Some(50.0));
}

#[test]
fn what_a_consumer_does_is_proven_by_several_short_busy_spells_as_well() {
    // Behind at two polls of six: never idle for the five seconds between them.
    let spells = |polls| {
        after(polls, 5, |n| {
            let behind = n % 6 < 2;
            (250, if behind { 2_000 } else { 0 }, 1, (1, 1))
        })
    };
    assert_eq!(spells(10).per_consumer(), Some(50.0));
    assert!(!spells(10).is_proven());
    assert!(spells(24).is_proven());
    // Consumers were changed in between: what the old ones did proves nothing of the new ones.
    let changed = after(30, 5, |n| {
        let processed = if n < 18 { 1_000 } else { 250 };
        (processed, if n % 6 < 2 { 2_000 } else { 0 }, 1, (1, 1))
    });
    assert_eq!(
        (changed.per_consumer(), changed.is_proven()),
        (Some(50.0), false)
    );
    // An hour apart.
    let rare = after(4_000, 5, |n| {
        (250, if n % 720 < 2 { 2_000 } else { 0 }, 1, (1, 1))
    });
    assert!(!rare.is_proven());
}

#[test]
fn who_keeps_up_shows_only_that_it_can_do_so_much() {
    let early = after(60, 5, |_| (2_000, 30, 10, (10, 10)));
    assert_eq!(early.per_consumer(), None);
    assert_eq!(early.seen_per_consumer(), Some(40.0));
}

#[test]
fn a_configured_capacity_is_believed_once_most_of_it_was_seen() {
    let believed = |processed| {
        let told = Told {
            capacity_per_consumer: Some(50.0),
            ..Told::default()
        };
        after(20, 5, |_| (processed, 30, 10, (10, 10))).believed(told)
    };
    assert_eq!(believed(1_950), None);
    assert_eq!(believed(2_000), Some(50.0));
}

#[test]
fn acknowledgements_in_large_batches_even_out() {
    // 5 a second, a batch of 100 every 20 s.
    let rate = agreed(100, 5, |n| (if n % 4 == 0 { 100 } else { 0 }, 2_000 * n, 1));
    assert_eq!(rate, Some(5.0));
}

#[test]
fn consumers_that_join_unseen_do_not_count_for_those_that_were_there() {
    let early = after(14, 1, |n| {
        (if n < 13 { 50 } else { 700 }, 400 * n, 1, (1, 1))
    });
    assert_eq!(early.per_consumer(), Some(50.0));
    assert_eq!(early.seen_per_consumer(), Some(50.0));
}

#[test]
fn a_fleet_that_kubernetes_does_not_tell_of_yet_is_not_taken_for_one_consumer() {
    let early = after(60, 1, |_| (700, 50_000, 14, (1, 1)));
    assert_eq!(early.per_consumer(), Some(50.0));
}

#[test]
fn consumers_that_were_scaled_in_and_are_still_seen_for_a_minute_make_the_others_no_slower() {
    // Four keep up, then two of them go, and soon after these two fall behind.
    let scaled_in = |polls| {
        after(polls, 2, |n| match n {
            ..20 => (100, 0, 4, (4, 4)),
            20..35 => (100, 0, 4, (2, 2)),
            35..50 => (200, 400 * n, 4, (2, 2)),
            _ => (200, 400 * n, 2, (2, 2)),
        })
    };
    assert_eq!(scaled_in(49).per_consumer(), None);
    assert_eq!(scaled_in(60).per_consumer(), Some(50.0));
}

#[test]
fn replicas_of_which_the_source_sees_fewer_count_so_that_a_shared_name_is_no_fast_consumer() {
    let early = after(20, 5, |n| (2_000, 2_000 * n, 1, (8, 8)));
    assert_eq!(early.per_consumer(), Some(50.0));
}

#[test]
fn while_others_start_those_at_work_show_what_they_do_once_they_were_as_many_for_a_while() {
    let starting = |polls| after(polls, 1, |n| (50, 400 * n, 1, (1, 8))).per_consumer();
    assert_eq!(starting(10), None);
    assert_eq!(starting(20), Some(50.0));
}

#[test]
fn a_state_of_the_version_before_is_read_and_its_run_is_dropped() {
    let before = r#"{"count":null,"undelivered":5,"acknowledged":true,"latest":49.0,"proven":50.0,
        "run":{"covered":{"secs":5,"nanos":0},"processed":250,"most":250}}"#;
    let early: Early = serde_json::from_str(before).expect("what was written before is read");
    assert_eq!(early.learned().run, None);
    assert_eq!(early.learned().per_consumer(), Some(49.0));
}

#[test]
fn owners_of_partitions_show_what_they_did_together_for_as_long_as_all_are_behind() {
    let mut early = Early::default();
    let mut observe = |processed, owners, all_behind| {
        let poll = Duration::from_secs(5);
        early.observe_owned(poll, Some(processed), owners, all_behind);
        early.per_consumer()
    };
    assert_eq!(observe(0, 1, true), None);
    assert_eq!(observe(500, 1, true), Some(50.0));
    // More of them do more, and no spell begins with that.
    assert_eq!(observe(1_500, 6, true), Some(50.0));
    assert_eq!(observe(1_500, 6, false), None);
}
