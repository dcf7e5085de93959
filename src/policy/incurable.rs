//! Partitions that no count of replicas helps: those that nobody gets on with, and those hotter than a consumer.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::identity::Assignment;
use crate::model::time::Timestamp;

/// Without a commit for so long, or three commit intervals, while its holder gets on with others.
pub const STUCK_AFTER: Duration = Duration::from_secs(75);
/// As long as it is not known how often consumers commit, so many messages may be nothing but the rest of a batch.
pub const LIKELY_BATCH: u64 = 1_000;
/// While capacity is not known: only who gets so many times the mean partition may be hotter than a consumer, else all are.
const STANDS_OUT: f64 = 3.0;

/// What one consumer does, messages per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// Learned or configured.
    Capacity(f64),
    /// One was seen to do it, idle or not.
    AtLeast(f64),
}

impl Known {
    /// Messages per second.
    pub const fn per_second(self) -> f64 {
        match self {
            Self::Capacity(rate) | Self::AtLeast(rate) => rate,
        }
    }
}

/// Why no count of replicas helps a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incurable {
    /// It does not move although somebody holds it: a message that cannot be processed, as a rule.
    Stuck,
    /// More arrives than one consumer does.
    Hot,
}

/// What is wrong with each partition of a group, in the order of its facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnosis(Vec<Option<Incurable>>);

impl Diagnosis {
    /// Of `facts` at `now`. Hot can only be called what is compared with what one consumer does; stuck, what somebody holds.
    pub fn of(
        now: Timestamp,
        facts: &GroupFacts,
        assignment: Assignment,
        known: Option<Known>,
    ) -> Self {
        let holders = Holders::of(facts);
        let hot = Hotness::of(facts, known.filter(|_| assignment == Assignment::Exclusive));
        let of = |p: &PartitionFacts| match () {
            () if holders.is_stuck(now, p) => Some(Incurable::Stuck),
            () if hot.is_hot(p) => Some(Incurable::Hot),
            () => None,
        };
        Self(facts.partitions.values().map(of).collect())
    }

    /// Of every partition.
    pub fn iter(&self) -> impl Iterator<Item = Option<Incurable>> + '_ {
        self.0.iter().copied()
    }

    /// How many are so.
    pub fn count(&self, what: Incurable) -> u32 {
        self.iter().filter(|found| *found == Some(what)).count() as u32
    }

    /// How long the oldest message waits that replicas can help; `None` as soon as that is unknown of a partition.
    pub fn waiting_seconds(&self, facts: &GroupFacts) -> Option<f64> {
        let partitions = facts.partitions.values().zip(self.iter());
        let mut curable = partitions.filter(|(_, found)| found.is_none());
        curable.try_fold(0.0_f64, |oldest, (p, _)| {
            Some(oldest.max(p.waiting_seconds()?))
        })
    }
}

/// When each holder committed last, and how many partitions it has.
struct Holders<'a> {
    by_name: HashMap<&'a str, (u32, Option<Timestamp>)>,
    newest: Option<Timestamp>,
}

impl<'a> Holders<'a> {
    fn of(facts: &'a GroupFacts) -> Self {
        let mut holders = Self {
            by_name: HashMap::new(),
            newest: None,
        };
        for partition in facts.partitions.values() {
            holders.newest = holders.newest.max(partition.moved_at);
            if let Some(owner) = &partition.owner {
                let (held, newest) = holders.by_name.entry(owner).or_default();
                *held += 1;
                *newest = (*newest).max(partition.moved_at);
            }
        }
        holders
    }

    /// Where its holder has no other partition, others of the group count instead.
    fn is_stuck(&self, now: Timestamp, partition: &PartitionFacts) -> bool {
        let interval = Duration::from_secs_f64(partition.commit_interval_seconds.unwrap_or(0.0));
        let long = STUCK_AFTER.max(interval * 3);
        let stalled = |since| now.since(since) >= long;
        let Some(owner) = &partition.owner else {
            return false;
        };
        if !partition.stalled_since.is_some_and(stalled)
            || partition.waiting() == 0
            || may_be_a_rest(partition)
        {
            return false;
        }
        // Its own last commit is older than that: whose it is does not matter.
        let newest = match self.by_name.get(owner.as_str()) {
            Some((2.., newest)) => *newest,
            _ => self.newest,
        };
        newest.is_some_and(|at| now.since(at) < long / 2)
    }
}

/// Whether all that waits may be processed already, and only be waiting for the next commit.
pub fn may_be_a_rest(partition: &PartitionFacts) -> bool {
    let most = match (partition.commit_interval_seconds, partition.uncommitted) {
        (None, _) => LIKELY_BATCH,
        // The estimate is that uncertain.
        (Some(_), uncommitted) => uncommitted.unwrap_or(0) / 2,
    };
    partition.owner.is_some() && partition.waiting() <= most
}

/// Above what rate a partition is hot.
struct Hotness {
    above: f64,
}

impl Hotness {
    fn of(facts: &GroupFacts, known: Option<Known>) -> Self {
        let above = match known {
            None => f64::INFINITY,
            Some(Known::Capacity(capacity)) => capacity,
            Some(Known::AtLeast(seen)) => {
                let rates = facts
                    .partitions
                    .values()
                    .filter_map(|p| p.arrival_per_second);
                let mean = rates.sum::<f64>() / facts.partitions.len().max(1) as f64;
                seen.max(mean * STANDS_OUT)
            }
        };
        Self { above }
    }

    /// The newest interval, too: on its way up a partition is not to be taken for one that a replica of its own would cure.
    fn is_hot(&self, partition: &PartitionFacts) -> bool {
        let rates = [
            partition.steady_arrival_per_second,
            partition.arrival_per_second,
            partition.newest_arrival_per_second,
        ];
        rates.into_iter().flatten().any(|rate| rate > self.above)
    }
}

#[cfg(test)]
mod tests;
