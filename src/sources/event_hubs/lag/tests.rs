//! KEDA's own vectors and edge cases, each with what it answers and what we answer.

use proptest::prelude::*;

use super::*;

const MAX: i64 = i64::MAX;

fn partition(first: i64, last: i64) -> PartitionProperties {
    PartitionProperties {
        partition_id: "0".to_owned(),
        beginning_sequence_number: first,
        last_enqueued_sequence_number: last,
        last_enqueued_offset: String::new(),
        last_enqueued_at: None,
        is_empty: last < first || last < 0,
        epoch: None,
    }
}

fn unprocessed(
    partition: &PartitionProperties,
    checkpoint: Option<&Checkpoint>,
    created_at: Option<Timestamp>,
) -> Unprocessed {
    super::unprocessed(partition, checkpoint, created_at, CheckpointPast::default())
}

fn checkpoint(sequence_number: i64) -> Checkpoint {
    Checkpoint {
        sequence_number,
        offset: "1".to_owned(),
        written_at: None,
    }
}

/// KEDA's `calculateUnprocessedEvents` (the data set of its test, in its order): checkpoint, log end, KEDA's answer, ours.
#[test]
fn kedas_vectors_give_kedas_answers_except_where_those_are_its_faults() {
    let check = |committed: i64, last: i64, keda: u64, ours: Option<u64>| {
        let found = unprocessed(&partition(0, last), Some(&checkpoint(committed)), None);
        assert_eq!(found.events, ours, "{committed} {last}, KEDA {keda}");
        if ours != Some(keda) {
            assert!(found.remark.is_some(), "{committed} {last}: says why");
        }
    };
    check(5, 10, 5, Some(5));
    check(
        4_611_686_018_427_387_903,
        4_611_686_018_427_387_905,
        2,
        Some(2),
    );
    check(
        4_611_686_018_427_387_900,
        4_611_686_018_427_387_905,
        5,
        Some(5),
    );
    // Far beyond the end: KEDA scales for nine quintillion events, we for what the log holds.
    check(
        4_000_000_000_000_200_000,
        4_000_000_000_000_000_000,
        9_223_372_036_854_575_807,
        Some(4_000_000_000_000_000_001),
    );
    check(0, 2, 2, Some(2));
    // A little beyond the end, or a log end of long ago: KEDA calls that 0, and inactive. It is unknown.
    check(15, 10, 0, None);
    check(
        4_611_686_018_427_387_910,
        4_611_686_018_427_387_905,
        0,
        None,
    );
    check(5, MAX - 10, 0, None);
    check(MAX - 10, 5, 15, Some(15));
}

#[test]
fn without_a_checkpoint_what_is_kept_counts_and_an_empty_partition_holds_nothing() {
    let check = |first: i64, last: i64, empty: bool, expect: u64| {
        let partition = PartitionProperties {
            is_empty: empty,
            ..partition(first, last)
        };
        let found = unprocessed(&partition, None, None);
        assert_eq!(
            (found.events, found.committed),
            (Some(expect), None),
            "{first} {last}"
        );
        assert_eq!(found.remark.is_some(), expect > 0);
    };
    check(0, -1, true, 0);
    check(-1, -1, true, 0);
    check(0, 0, false, 1);
    check(0, 9, false, 10);
    check(100, 149, false, 50);
    // KEDA's three cases without a checkpoint are 0–0, 0–1 and 255–255. The last it takes for an empty partition; the broker
    // says itself whether it is one.
    check(0, 1, false, 2);
    check(255, 255, true, 0);
    check(51, 50, true, 0);
    // One event left: KEDA's guess hides it.
    check(255, 255, false, 1);
}

#[test]
fn number_0_without_an_offset_is_the_first_event_done() {
    // .NET writes no offset; a lease that says 0 and nothing else is told apart where it is read.
    let first = Checkpoint {
        offset: String::new(),
        ..checkpoint(0)
    };
    let found = unprocessed(&partition(0, 0), Some(&first), None);
    assert_eq!((found.events, found.committed), (Some(0), Some(0)));
    let none = unprocessed(&partition(0, 0), Some(&checkpoint(-1)), None);
    assert_eq!((none.events, none.committed), (Some(1), None));
}

#[test]
fn events_that_retention_removed_are_not_waited_for() {
    let found = unprocessed(&partition(100, 149), Some(&checkpoint(79)), None);
    assert_eq!(found.events, Some(50));
    assert_eq!(
        found.remark.as_deref(),
        Some("20 events left the log before they were checkpointed")
    );
    let emptied = unprocessed(&partition(150, 149), Some(&checkpoint(79)), None);
    assert_eq!(emptied.events, Some(0));
}

#[test]
fn a_checkpoint_of_an_event_hub_that_was_created_anew_says_nothing() {
    let mut old = checkpoint(500);
    old.written_at = Some(Timestamp::from_millis(10_000));
    let created = Some(Timestamp::from_millis(20_000));
    for last in [3, 500, 700] {
        let found = unprocessed(&partition(0, last), Some(&old), created);
        assert_eq!(
            found.events,
            Some(last.unsigned_abs() + 1),
            "log end {last}"
        );
        assert!(found.remark.unwrap().contains("recreated"));
    }
    old.written_at = Some(Timestamp::from_millis(19_000));
    let found = unprocessed(&partition(0, 700), Some(&old), created);
    assert_eq!((found.events, found.remark), (Some(200), None));
}

const SECOND: u64 = 1_000;

/// A partition whose newest event came in that second, and a checkpoint written in another.
fn at_times(
    last: i64,
    enqueued: u64,
    committed: i64,
    written: u64,
) -> (PartitionProperties, Checkpoint) {
    let partition = PartitionProperties {
        last_enqueued_at: Some(Timestamp::from_millis(enqueued * SECOND)),
        ..partition(0, last)
    };
    let checkpoint = Checkpoint {
        written_at: Some(Timestamp::from_millis(written * SECOND)),
        ..checkpoint(committed)
    };
    (partition, checkpoint)
}

#[test]
fn a_checkpoint_ahead_of_an_event_that_came_later_is_of_another_log() {
    let (partition, checkpoint) = at_times(40, 1_000, 499, 900);
    let found = unprocessed(&partition, Some(&checkpoint), None);
    assert_eq!((found.events, found.is_of_another_log), (Some(41), true));
    assert!(
        found
            .remark
            .expect("a remark")
            .contains("belongs to another log")
    );
    // The log has grown past it: it still says nothing, and 0 would be a lie.
    let (partition, checkpoint) = at_times(499, 2_000, 499, 900);
    let past = CheckpointPast {
        is_void: true,
        ..CheckpointPast::default()
    };
    let found = super::unprocessed(&partition, Some(&checkpoint), None, past);
    assert_eq!((found.events, found.is_of_another_log), (Some(500), true));
    // The broker's figure may be old.
    let (partition, checkpoint) = at_times(480, 890, 499, 900);
    let found = unprocessed(&partition, Some(&checkpoint), None);
    assert_eq!((found.events, found.is_of_another_log), (None, false));
}

#[test]
fn after_a_failover_an_older_checkpoint_gives_a_lower_bound_and_never_a_zero() {
    let check =
        |last, committed, offset: &str, epoch, past: CheckpointPast, expect: (u64, bool)| {
            let (mut partition, mut checkpoint) = at_times(last, 1_000, committed, 900);
            partition.epoch = epoch;
            checkpoint.offset = offset.to_owned();
            let found = super::unprocessed(&partition, Some(&checkpoint), None, past);
            assert_eq!((found.events, found.is_bound), (Some(expect.0), expect.1));
        };
    let seen = |epoch, first_after| CheckpointPast {
        epoch,
        first_after,
        is_void: false,
    };
    check(
        499,
        499,
        "0:512:1",
        Some(1),
        CheckpointPast::default(),
        (1, true),
    );
    check(
        499,
        499,
        "1:512:1",
        Some(1),
        CheckpointPast::default(),
        (0, false),
    );
    check(
        499,
        499,
        "512",
        Some(1),
        CheckpointPast::default(),
        (0, false),
    );
    check(499, 499, "512", Some(1), seen(Some(0), None), (1, true));
    check(
        499,
        479,
        "0:512:1",
        Some(1),
        CheckpointPast::default(),
        (20, true),
    );
    check(
        420,
        499,
        "0:512:1",
        Some(1),
        seen(None, Some(411)),
        (10, true),
    );
    check(499, 479, "0:512:1", None, seen(Some(0), None), (20, false));
}

#[test]
fn an_offset_tells_a_partition_that_is_done_from_one_that_waits() {
    let check = |last: i64, newest: &str, offset: &str, expect| {
        let partition = PartitionProperties {
            last_enqueued_offset: newest.to_owned(),
            ..partition(0, last)
        };
        let found = after_offset(&partition, offset, None, None);
        assert_eq!(found.quantity(), Some(expect), "{newest} {offset}");
    };
    check(9, "4096", "4096", Quantity::Exact(0));
    check(9, "0:4096:3", "0:4096:3", Quantity::Exact(0));
    check(9, "4096", "512", Quantity::AtLeast(1));
    check(9, "1:4096:3", "0:4096:3", Quantity::AtLeast(1));
    check(-1, "-1", "512", Quantity::Exact(0));
}

proptest! {
    /// Whatever is known besides: 0 only where nothing is kept after the checkpoint, or the checkpoint is the newest event.
    #[test]
    fn no_evidence_of_another_log_ever_makes_fewer_events_of_a_checkpoint(
        last in 0_i64..200, committed in 0_i64..300, epoch in prop::option::of(0_i64..3), seen in prop::option::of(0_i64..3),
        first_after in prop::option::of(0_i64..200), is_void in any::<bool>(), enqueued in 1_u64..2_000, written in 1_u64..2_000,
    ) {
        let (mut partition, checkpoint) = at_times(last, enqueued, committed, written);
        partition.epoch = epoch;
        let past = CheckpointPast { is_void, epoch: seen, first_after };
        let found = super::unprocessed(&partition, Some(&checkpoint), None, past);
        let plain = unprocessed(&partition, Some(&checkpoint), None);
        if let (Some(found), Some(plain)) = (found.events, plain.events) {
            prop_assert!(found >= plain || committed > last);
        }
        if found.events == Some(0) {
            prop_assert!(committed == last && !is_void && seen.zip(epoch).is_none_or(|(seen, now)| seen >= now));
        }
    }

    /// The rule that matters: 0 only where nothing is kept after the checkpoint.
    #[test]
    fn zero_means_that_nothing_is_kept_after_the_checkpoint(first in -1_i64..100, kept in 0_i64..100, committed in -1_i64..300) {
        let last = first.max(0) + kept - 1;
        let partition = partition(first, last);
        let found = unprocessed(&partition, Some(&checkpoint(committed)), None);
        if found.events == Some(0) {
            prop_assert!(committed == last || super::kept(&partition) == 0);
        }
        if let Some(events) = found.events {
            prop_assert!(events <= super::kept(&partition));
        }
    }

    #[test]
    fn no_numbers_make_it_panic(first in any::<i64>(), last in any::<i64>(), committed in any::<i64>(), empty in any::<bool>()) {
        let partition = PartitionProperties { is_empty: empty, ..partition(first, last) };
        let _ = unprocessed(&partition, Some(&checkpoint(committed)), None);
        let _ = unprocessed(&partition, None, None);
    }
}
