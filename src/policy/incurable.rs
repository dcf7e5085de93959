//! Partitions that no count of replicas helps: those that nobody gets on with, and those hotter than a consumer.

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::identity::Assignment;
use crate::model::standstill::HolderCommits;
use crate::model::time::Timestamp;
use crate::policy::tuning::incurable::STANDS_OUT;

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
        let comparable = known.filter(|_| assignment == Assignment::Exclusive);
        if comparable.is_none() && !facts.tally().is_held {
            return Self(vec![None; facts.partitions.len()]);
        }
        let holders = HolderCommits::of(facts.partitions.values());
        let hot = Hotness::of(facts, comparable);
        let of = |p: &PartitionFacts| {
            if holders.is_stuck(now, p) {
                Some(Incurable::Stuck)
            } else if hot.is_hot(p) {
                Some(Incurable::Hot)
            } else {
                None
            }
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
        let loads = facts.tally().loads.iter().zip(self.iter());
        let mut curable = loads.filter(|(_, found)| found.is_none());
        curable.try_fold(0.0_f64, |oldest, (load, _)| {
            Some(oldest.max(load.waiting_seconds?))
        })
    }
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
