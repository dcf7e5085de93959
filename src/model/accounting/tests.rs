//! Against a stream and a group of known history, with every kind of count that servers keep.

use proptest::prelude::*;

use super::*;
use crate::model::sample::Position;

fn sample(added: u64, delivered: u64, lag: u64, pending: u64) -> PartitionSample {
    PartitionSample {
        log_end: Some(added),
        length: added,
        lag: Some(Quantity::Exact(lag)),
        pending,
        delivered: Some(at(delivered)),
        delivered_count: Some(delivered),
        counting: Counting::Reads,
        ..PartitionSample::default()
    }
}

const fn at(major: u64) -> Position {
    Position { major, minor: 0 }
}

/// `n` were deleted, the newest of them `newest_removed`.
fn removed(mut sample: PartitionSample, n: u64, newest_removed: u64) -> PartitionSample {
    sample.length -= n;
    sample.newest_removed = Some(at(newest_removed));
    sample
}

#[test]
fn with_too_many_to_be_counted_what_was_read_is_known_where_nothing_left_the_log() {
    let deep = |added, delivered, pending| PartitionSample {
        lag: Some(Quantity::AtLeast(10_000)),
        ..sample(added, delivered, 0, pending)
    };
    let processed = |then: &PartitionSample, now: &PartitionSample| {
        let arrived = now.log_end.unwrap() - then.log_end.unwrap();
        settle(then, now, arrived).map(|settled| settled.processed)
    };
    let then = deep(50_000, 1_000, 40);
    assert_eq!(processed(&then, &deep(52_000, 2_500, 30)), Some(1_510));
    // One of the two could be counted after all.
    assert_eq!(
        processed(&then, &sample(52_000, 49_000, 3_000, 30)),
        Some(48_010)
    );
    // Something left: how much of it unread is not told.
    let trimmed = removed(deep(52_000, 2_500, 30), 3, 2);
    assert_eq!(processed(&then, &trimmed), None);
    let uncounted = PartitionSample {
        delivered_count: None,
        ..deep(52_000, 2_500, 30)
    };
    assert_eq!(processed(&then, &uncounted), None);
    // A place jumps over what was trimmed before the group came there.
    let place = |delivered, added, kept| PartitionSample {
        counting: Counting::Place,
        length: kept,
        ..deep(added, delivered, 0)
    };
    let (then, now) = (place(1_000, 50_000, 20_000), place(31_000, 50_000, 20_000));
    assert_eq!(processed(&then, &now), Some(1_000));
}

#[test]
fn what_leaves_the_backlog_is_processed_unless_it_was_removed_unread() {
    let check = |then: PartitionSample, now: PartitionSample, processed, lost| {
        let arrived = now.log_end.unwrap() - then.log_end.unwrap();
        let open = 0;
        assert_eq!(
            settle(&then, &now, arrived),
            Some(Settled {
                processed,
                lost,
                open
            })
        );
    };
    // Read 5 more, acknowledged 7 of them all.
    check(sample(10, 3, 7, 3), sample(14, 8, 6, 1), 7, 0);
    // Deleted ahead of the group, which stood still: 4 lost.
    check(
        sample(10, 3, 7, 0),
        removed(sample(10, 3, 3, 0), 4, 7),
        0,
        4,
    );
    // Deleted ahead of the group while it read 2.
    check(
        sample(10, 3, 7, 0),
        removed(sample(10, 5, 1, 0), 4, 9),
        2,
        4,
    );
    // Deleting what was read already is no loss.
    check(
        sample(10, 3, 7, 0),
        removed(sample(10, 9, 1, 0), 8, 8),
        6,
        0,
    );
}

#[test]
fn what_was_deleted_before_the_group_passed_it_is_possibly_lost_where_the_count_tells() {
    let check = |counting, counted, processed, open| {
        // 5 and 6 were deleted, then 4, 7 and 8 read.
        let mut now = removed(sample(10, 8, 2, 0), 2, 6);
        (now.counting, now.delivered_count) = (counting, counted);
        let mut then = sample(10, 3, 7, 0);
        then.counting = counting;
        let settled = settle(&then, &now, 0).map(|s| (s.processed, s.lost, s.open));
        assert_eq!(
            settled,
            Some((processed, 0, open)),
            "{counting:?} {counted:?}"
        );
    };
    check(Counting::Reads, None, 3, 2);
    // There it is given up as well when consumers delete what they have done.
    check(Counting::Place, None, 5, 0);
    check(Counting::Untold, None, 5, 0);
}

/// A stream whose entries are numbered from 1, and a group on it.
struct Log {
    counting: Counting,
    added: u64,
    kept: std::collections::BTreeSet<u64>,
    delivered: u64,
    count: u64,
    pending: std::collections::BTreeSet<u64>,
    newest_deleted: u64,
    /// The truth.
    processed: u64,
    lost: u64,
}

impl Log {
    fn new(counting: Counting) -> Self {
        Self {
            counting,
            added: 0,
            kept: [].into(),
            delivered: 0,
            count: 0,
            pending: [].into(),
            newest_deleted: 0,
            processed: 0,
            lost: 0,
        }
    }

    fn add(&mut self, n: u64, max_length: usize) {
        for _ in 0..n {
            self.added += 1;
            self.kept.insert(self.added);
            while self.kept.len() > max_length {
                let first = self.kept.pop_first().expect("kept");
                self.lost += u64::from(first > self.delivered);
            }
        }
    }

    fn read(&mut self, n: usize) {
        let next: Vec<u64> = self
            .kept
            .range(self.delivered + 1..)
            .take(n)
            .copied()
            .collect();
        for id in next {
            self.delivered = id;
            self.count = match self.counting {
                Counting::Reads => self.count + 1,
                _ => id,
            };
            self.pending.insert(id);
        }
    }

    /// Trims what is done, and nothing else.
    fn tidy(&mut self) {
        let done = self.pending.first().map_or(self.delivered, |id| id - 1);
        self.kept = self.kept.split_off(&(done + 1));
    }

    fn acknowledge(&mut self, n: usize, deletes: bool) {
        for _ in 0..n {
            let Some(id) = self.pending.pop_first() else {
                return;
            };
            self.processed += 1;
            if deletes && self.kept.remove(&id) {
                self.newest_deleted = self.newest_deleted.max(id);
            }
        }
    }

    fn sample(&self) -> PartitionSample {
        let told = self.counting != Counting::Nothing;
        let lag = self.kept.range(self.delivered + 1..).count() as u64;
        PartitionSample {
            log_end: Some(self.added),
            length: self.kept.len() as u64,
            lag: Some(Quantity::Exact(lag)),
            pending: self.pending.len() as u64,
            delivered: Some(at(self.delivered)),
            delivered_count: told.then_some(self.count),
            counting: self.counting,
            oldest_kept: self.kept.first().copied().map(at),
            newest_removed: (told && self.newest_deleted > 0).then_some(at(self.newest_deleted)),
            ..PartitionSample::default()
        }
    }
}

fn counting() -> impl Strategy<Value = Counting> {
    prop_oneof![
        Just(Counting::Reads),
        Just(Counting::Place),
        Just(Counting::Untold),
        Just(Counting::Nothing),
    ]
}

#[test]
fn a_group_that_is_overrun_is_likely_to_lose_at_any_phase_of_the_poll() {
    for counting in [Counting::Place, Counting::Untold, Counting::Nothing] {
        let mut log = Log::new(counting);
        log.add(50, 50);
        let mut samples = [None, None];
        for _ in 0..9 {
            log.add(200, 50);
            check_likely(&mut samples[0], &log);
            log.read(9);
            log.acknowledge(9, false);
            check_likely(&mut samples[1], &log);
        }
    }
}

fn check_likely(then: &mut Option<PartitionSample>, log: &Log) {
    let now = log.sample();
    if let Some(then) = then.replace(now.clone()) {
        assert!(is_likely_loss(&then, &now), "{then:?} {now:?}");
    }
}

proptest! {
    #[test]
    fn trimming_what_is_done_looks_like_no_loss(
        counting in prop_oneof![Just(Counting::Place), Just(Counting::Untold)],
        polls in prop::collection::vec((1_u64..40, 0_usize..40, any::<bool>()), 1..30),
    ) {
        let mut log = Log::new(counting);
        let mut then = log.sample();
        for (add, read, tidies) in polls {
            log.add(add, usize::MAX);
            log.read(read);
            log.acknowledge(usize::MAX, false);
            if tidies {
                log.tidy();
            }
            let now = log.sample();
            let is_seen = gap(&then).max(gap(&now)).is_some();
            prop_assert!(!is_seen && is_steady(&then, &now) || !is_likely_loss(&then, &now), "{then:?} {now:?}");
            then = now;
        }
    }

    #[test]
    fn the_truth_lies_within_what_is_told_however_the_log_is_trimmed_and_polled(
        counting in counting(), max_length in 5_usize..60, polls in prop::collection::vec(
            prop::collection::vec((0_u64..40, 0_usize..40, 0_usize..40), 1..6), 1..30),
    ) {
        let mut log = Log::new(counting);
        log.add(max_length as u64, max_length);
        let mut then = log.sample();
        for steps in polls {
            let (processed, lost) = (log.processed, log.lost);
            for (add, read, acknowledge) in steps {
                log.add(add, max_length);
                log.read(read);
                log.acknowledge(acknowledge, false);
            }
            let now = log.sample();
            let arrived = now.log_end.unwrap() - then.log_end.unwrap();
            let told = settle(&then, &now, arrived).expect("told");
            let (processed, lost) = (log.processed - processed, log.lost - lost);
            prop_assert!(told.lost <= lost && lost <= told.lost + told.open, "lost {lost}: {told:?} {then:?} {now:?}");
            prop_assert!(told.processed <= processed && processed <= told.processed + told.open + then.pending, "processed {processed}: {told:?} {then:?} {now:?}");
            if counting == Counting::Reads {
                prop_assert_eq!((told.processed, told.lost), (processed, lost));
            }
            then = now;
        }
    }

    #[test]
    fn consumers_that_delete_what_they_have_done_lose_nothing(
        counting in counting(), polls in prop::collection::vec((1_u64..40, 0_usize..40, 0_usize..40), 1..30),
    ) {
        let mut log = Log::new(counting);
        let mut then = log.sample();
        for (add, read, acknowledge) in polls {
            let processed = log.processed;
            log.add(add, usize::MAX);
            log.read(read);
            log.acknowledge(acknowledge, true);
            let now = log.sample();
            let told = settle(&then, &now, add).expect("told");
            // Nothing tells deletions apart there: a length that happens to stand still may be a trim.
            let short = then.length.max(now.length) < TRIM_BLOCK;
            if counting != Counting::Nothing || short && now.length != then.length {
                let expect = Settled { processed: log.processed - processed, lost: 0, open: 0 };
                prop_assert_eq!(told, expect);
            }
            then = now;
        }
    }
}
