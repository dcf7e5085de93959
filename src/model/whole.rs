//! What happened to all partitions of a group together: known up to the moment up to which each of them was read.
//!
//! A poll may leave partitions out (a budget of calls, turns, a part that timed out). What the others did since then is no
//! measure of the group. So it waits until the rest was read, too; of what was counted over a longer time, each part of that
//! time gets its share.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounting::PartitionStep;
use super::time::Timestamp;

/// All partitions over one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Together {
    pub since: Timestamp,
    pub until: Timestamp,
    pub step: PartitionStep,
}

impl Together {
    pub const fn covered(&self) -> Duration {
        self.until.since(self.since)
    }
}

/// What happened to one partition and is not part of the whole yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting(VecDeque<PartitionInterval>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct PartitionInterval {
    since: Timestamp,
    until: Timestamp,
    step: PartitionStep,
}

impl Waiting {
    /// Adds what happened between two readings; before the first one that is unknown.
    pub fn add(&mut self, since: Option<Timestamp>, until: Timestamp, step: PartitionStep) {
        let since = since.unwrap_or_default();
        self.0.push_back(PartitionInterval { since, until, step });
    }

    /// Takes out what happened up to `until`.
    pub fn take_until(&mut self, until: Timestamp) -> PartitionStep {
        let mut taken = PartitionStep::NOTHING;
        while let Some(first) = self.0.front_mut().filter(|first| first.since < until) {
            if first.until > until {
                return taken.and(first.split_off(until));
            }
            taken = taken.and(first.step);
            self.0.pop_front();
        }
        taken
    }
}

impl PartitionInterval {
    /// The part up to `until`, which lies within it.
    fn split_off(&mut self, until: Timestamp) -> PartitionStep {
        let (part, all) = (until.since(self.since), self.until.since(self.since));
        let share = |count: u64| {
            let share = u128::from(count) * part.as_millis() / all.as_millis().max(1);
            u64::try_from(share).unwrap_or(count)
        };
        let taken = PartitionStep {
            arrived: self.step.arrived.map(share),
            processed: self.step.processed.map(share),
        };
        let left = |all: Option<u64>, taken: Option<u64>| Some(all? - taken?);
        self.step = PartitionStep {
            arrived: left(self.step.arrived, taken.arrived),
            processed: left(self.step.processed, taken.processed),
        };
        self.since = until;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn step(arrived: u64, processed: Option<u64>) -> PartitionStep {
        PartitionStep {
            arrived: Some(arrived),
            processed,
        }
    }

    #[test]
    fn what_was_counted_over_a_longer_time_is_shared_out_over_it() {
        let mut waiting = Waiting::default();
        waiting.add(Some(at(0)), at(10), step(1_000, Some(10)));
        waiting.add(Some(at(10)), at(15), step(50, None));
        assert_eq!(waiting.take_until(at(4)), step(400, Some(4)));
        assert_eq!(waiting.take_until(at(12)), step(620, None));
        assert_eq!(waiting.take_until(at(20)), step(30, None));
        assert_eq!(waiting.take_until(at(30)), PartitionStep::NOTHING);
    }

    #[test]
    fn before_the_first_reading_nothing_is_known() {
        let mut waiting = Waiting::default();
        waiting.add(None, at(10), PartitionStep::default());
        assert_eq!(waiting.take_until(at(5)), PartitionStep::default());
        assert_eq!(waiting.take_until(at(10)), PartitionStep::default());
        assert_eq!(waiting.take_until(at(15)), PartitionStep::NOTHING);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(
            read in prop::collection::vec((1_u64..60, 0_u64..1_000), 1..20), taken in prop::collection::vec(1_u64..60, 0..40),
        ) {
            let (mut waiting, mut second, mut all) = (Waiting::default(), 0, 0);
            for (seconds, count) in read {
                waiting.add(Some(at(second)), at(second + seconds), step(count, Some(count)));
                (second, all) = (second + seconds, all + count);
            }
            let (mut found, mut until) = (0, 0);
            for seconds in taken {
                until += seconds;
                found += waiting.take_until(at(until)).arrived.expect("known");
            }
            found += waiting.take_until(at(second + 1)).arrived.expect("known");
            prop_assert_eq!(found, all);
        }
    }
}
