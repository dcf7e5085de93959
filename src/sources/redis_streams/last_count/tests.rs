//! The bound against a stream whose entries are known one by one.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::sources::redis_streams::lag;

fn at(major: u64) -> Position {
    Position { major, minor: 0 }
}

/// A stream of entries with its counters, and a group on it.
#[derive(Clone, Debug, Default)]
struct Stream {
    entries: BTreeSet<u64>,
    next: u64,
    added: u64,
    max_deleted: u64,
    delivered: u64,
    /// As Redis 6.2 does.
    is_silent: bool,
}

impl Stream {
    fn info(&self) -> StreamInfo {
        let told = |n: u64| (!self.is_silent).then_some(n);
        StreamInfo {
            length: Some(self.entries.len() as u64),
            last_generated: Some(at(self.next)),
            first: self.entries.first().copied().map(at),
            last: self.entries.last().copied().map(at),
            counts_added: !self.is_silent,
            entries_added: told(self.added),
            max_deleted: told(self.max_deleted).map(at),
            entry_bytes: 10,
        }
    }

    fn group(&self, native_lag: Option<u64>) -> GroupInfo {
        GroupInfo {
            last_delivered: Some(at(self.delivered)),
            native_lag,
            ..GroupInfo::default()
        }
    }

    fn undelivered(&self) -> Vec<Position> {
        let waiting = self.entries.range(self.delivered + 1..);
        waiting.copied().map(at).collect()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Add(n) => {
                self.entries.extend(self.next + 1..=self.next + n);
                self.next += n;
                self.added += n;
            }
            Step::Deliver(n) => {
                if let Some(last) = self.undelivered().iter().take(n).next_back() {
                    self.delivered = last.major;
                }
            }
            Step::Trim(n) => {
                for _ in 0..n {
                    self.entries.pop_first();
                }
            }
            Step::Delete(place) => {
                let n = place.index(self.entries.len().max(1));
                if let Some(id) = self.entries.iter().nth(n).copied() {
                    self.entries.remove(&id);
                    self.max_deleted = self.max_deleted.max(id);
                }
            }
            Step::Move(place) => self.delivered = place.index(self.next as usize + 1) as u64,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Deliver(usize),
    Trim(usize),
    Delete(prop::sample::Index),
    /// By hand.
    Move(prop::sample::Index),
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..60).prop_map(Step::Add),
        4 => (0_usize..60).prop_map(Step::Deliver),
        1 => (0_usize..40).prop_map(Step::Trim),
        2 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => any::<prop::sample::Index>().prop_map(Step::Move),
    ];
    prop::collection::vec(step, 0..most)
}

proptest! {
    #[test]
    fn never_more_than_wait_whatever_happened_since(
        before in steps(20), after in steps(20), page in 1_usize..100, is_silent in any::<bool>(),
    ) {
        let mut stream = Stream { is_silent, ..Stream::default() };
        before.into_iter().for_each(|step| stream.apply(step));
        let then = stream.info();
        let mut ids = stream.undelivered();
        ids.truncate(page);
        let counted = LastCount::of(&then, &ids);
        let waited = stream.undelivered().len() as u64;
        let agreement = lag::agreement(&then, &stream.group(Some(waited)), waited);
        for step in after {
            stream.apply(step);
            let (now, group) = (stream.info(), stream.group(None));
            let waiting = stream.undelivered().len() as u64;
            let by_count = counted.as_ref().and_then(|last| last.at_least(&now, &group));
            prop_assert!(by_count.is_none_or(|n| 0 < n && n <= waiting), "{by_count:?} of {waiting}");
            let by_lag = agreement.as_ref().and_then(|last| last.at_least(&now, &group));
            prop_assert!(by_lag.is_none_or(|n| 0 < n && n <= waiting), "{by_lag:?} of {waiting}");
            let later = by_lag.and_then(|n| LastCount::after(&now, at(stream.delivered), n));
            let handed_on = later.and_then(|last| last.at_least(&now, &group));
            prop_assert_eq!(handed_on, by_lag);
        }
    }

    #[test]
    fn it_is_close_while_the_group_reads_and_nothing_is_removed(
        waiting in 1_u64..5_000, read in 0_usize..5_000, arrived in 0_u64..100,
    ) {
        let mut stream = Stream::default();
        stream.apply(Step::Add(waiting));
        let counted = LastCount::of(&stream.info(), &stream.undelivered()).expect("some wait");
        stream.apply(Step::Deliver(read.min(waiting as usize - 1)));
        stream.apply(Step::Add(arrived));
        let truth = stream.undelivered().len() as u64;
        let found = counted.at_least(&stream.info(), &stream.group(None));
        let most = waiting.div_ceil(MARKS as u64);
        match found {
            Some(found) => prop_assert!(truth - found < most, "{found} of {truth}"),
            // Fewer than lie between two marks are left.
            None => prop_assert!(truth - arrived < most),
        }
    }
}

#[test]
fn another_stream_of_that_name_says_nothing() {
    let mut stream = Stream::default();
    stream.apply(Step::Add(100));
    stream.apply(Step::Trim(10));
    stream.delivered = 40;
    let counted = LastCount::of(&stream.info(), &stream.undelivered()).expect("60 wait");
    let check = |change: fn(&mut StreamInfo), expect| {
        let mut now = stream.info();
        change(&mut now);
        assert_eq!(
            counted.at_least(&now, &stream.group(None)),
            expect,
            "{now:?}"
        );
    };
    check(|_| {}, Some(60));
    check(|now| now.first = Some(at(1)), None);
    check(|now| now.first = None, None);
    check(|now| now.last_generated = Some(at(99)), None);
    // As few were removed in all: it was filled again.
    check(|now| now.entries_added = now.length, None);
    check(|now| now.length = None, None);
}
