//! Partitions that nobody gets on with although somebody holds them: a poison message, as a rule. No count of replicas helps.

use std::time::Duration;

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::time::Timestamp;

/// Without a commit for so long, or three commit intervals, while its holder gets on with others.
pub const STUCK_AFTER: Duration = Duration::from_secs(75);

/// Whether `partition` is one. Where its holder has no other partition, others of the group count instead.
pub fn is_stuck(now: Timestamp, partition: &PartitionFacts, facts: &GroupFacts) -> bool {
    let interval = Duration::from_secs_f64(partition.commit_interval_seconds.unwrap_or(0.0));
    let long = STUCK_AFTER.max(interval * 3);
    let stalled = |since| now.since(since) >= long;
    if partition.owner.is_none()
        || !partition.stalled_since.is_some_and(stalled)
        || partition.waiting() == 0
    {
        return false;
    }
    let gets_on = |p: &PartitionFacts| p.moved_at.is_some_and(|at| now.since(at) < long / 2);
    let others = || {
        facts
            .partitions
            .values()
            .filter(|p| !std::ptr::eq(*p, partition))
    };
    if others().any(|p| p.owner == partition.owner) {
        others().any(|p| p.owner == partition.owner && gets_on(p))
    } else {
        others().any(gets_on)
    }
}

/// How many there are.
pub fn stuck_partitions(now: Timestamp, facts: &GroupFacts) -> u32 {
    facts
        .partitions
        .values()
        .filter(|p| is_stuck(now, p, facts))
        .count() as u32
}
