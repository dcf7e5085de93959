//! Partitions that do not move: by themselves, or because nobody moves at all.

use std::collections::HashMap;
use std::time::Duration;

use super::facts::PartitionFacts;
use super::time::Timestamp;
use crate::model::tuning::standstill::{LIKELY_BATCH, STILL_AFTER, STILL_INTERVALS};

/// When each holder committed last, and how many partitions it has.
pub struct HolderCommits<'a> {
    by_name: HashMap<&'a str, (u32, Option<Timestamp>)>,
    newest: Option<Timestamp>,
}

impl<'a> HolderCommits<'a> {
    /// Of all partitions of a group.
    pub fn of(partitions: impl Iterator<Item = &'a PartitionFacts>) -> Self {
        let mut holders = Self {
            by_name: HashMap::new(),
            newest: None,
        };
        for partition in partitions {
            holders.newest = holders.newest.max(partition.moved_at);
            if let Some(owner) = &partition.owner {
                let (held, newest) = holders.by_name.entry(owner).or_default();
                *held += 1;
                *newest = (*newest).max(partition.moved_at);
            }
        }
        holders
    }

    /// Whether a held partition stands still while its holder makes progress on others.
    pub fn is_stuck(&self, now: Timestamp, partition: &PartitionFacts) -> bool {
        partition.owner.is_some()
            && stands_still(now, partition)
            && self.move_elsewhere(now, partition)
    }

    /// Whether its holder makes progress on other partitions. Where it has no other, or nobody tells who holds what, others of the
    /// group count instead.
    pub fn move_elsewhere(&self, now: Timestamp, partition: &PartitionFacts) -> bool {
        // Its own last commit is older than that: whose it is does not matter.
        let of_holder = partition.owner.as_deref().and_then(|o| self.by_name.get(o));
        let newest = match of_holder {
            Some((2.., newest)) => *newest,
            _ => self.newest,
        };
        newest.is_some_and(|at| seen(now, partition).since(at) < window(partition) / 2)
    }
}

/// How long a partition is watched before anything is said of it.
pub fn window(partition: &PartitionFacts) -> Duration {
    let interval = Duration::from_secs_f64(partition.commit_interval_seconds.unwrap_or(0.0));
    STILL_AFTER.max(interval * STILL_INTERVALS)
}

/// A partition that waits for its turn is judged as of when it was read.
fn seen(now: Timestamp, partition: &PartitionFacts) -> Timestamp {
    partition.read_at.map_or(now, |at| at.min(now))
}

/// Whether messages wait and nothing was committed for the whole window.
pub fn stands_still(now: Timestamp, partition: &PartitionFacts) -> bool {
    let over = |since| seen(now, partition).since(since) >= window(partition);
    partition.stalled_since.is_some_and(over)
        && partition.waiting() > 0
        && !may_be_a_rest(partition)
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
