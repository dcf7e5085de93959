//! What a partition is like, by rules (after Burrow, on windows without gaps). Source of the rules: docs/detection.md.

use std::collections::BTreeMap;

use super::facts::{PartitionFacts, PartitionStatus};
use super::identity::PartitionId;
use super::standstill::{HolderCommits, stands_still, window};
use super::time::Timestamp;

/// Tells those that could be read and are not ok.
pub(super) fn judge(now: Timestamp, partitions: &mut BTreeMap<PartitionId, PartitionFacts>) {
    let may_be_told = |p: &PartitionFacts| p.status == PartitionStatus::Ok && is_odd(now, p);
    if !partitions.values().any(may_be_told) {
        return;
    }
    let holders = HolderCommits::of(partitions.values());
    let of = |p: &PartitionFacts| match p.status {
        PartitionStatus::Ok => status(now, p, &holders),
        other => other,
    };
    let found: Vec<PartitionStatus> = partitions.values().map(of).collect();
    for (partition, status) in partitions.values_mut().zip(found) {
        partition.status = status;
    }
}

/// Whether anything is to be said of it, whatever its holder does with others.
fn is_odd(now: Timestamp, partition: &PartitionFacts) -> bool {
    partition.is_ahead
        || partition.lost_per_second > 0.0
        || stays_behind(now, partition)
        || stands_still(now, partition)
}

/// Whether what waits became no less over the whole window.
fn stays_behind(now: Timestamp, partition: &PartitionFacts) -> bool {
    let read_at = partition.read_at.unwrap_or(now);
    let over = |since| read_at.since(since) >= window(partition);
    partition.not_falling_since.is_some_and(over)
}

fn status(
    now: Timestamp,
    partition: &PartitionFacts,
    holders: &HolderCommits<'_>,
) -> PartitionStatus {
    if partition.is_ahead {
        PartitionStatus::Stopped
    } else if stands_still(now, partition) && holders.move_elsewhere(now, partition) {
        PartitionStatus::Stuck
    } else if stands_still(now, partition) {
        PartitionStatus::Stopped
    } else if partition.lost_per_second > 0.0 || stays_behind(now, partition) {
        PartitionStatus::Behind
    } else {
        PartitionStatus::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::quantity::Quantity;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn ago(seconds: u64) -> Option<Timestamp> {
        Some(NOW.minus(std::time::Duration::from_secs(seconds)))
    }

    fn partition(change: impl Fn(&mut PartitionFacts)) -> PartitionFacts {
        let mut facts = PartitionFacts {
            status: PartitionStatus::Ok,
            backlog: Some(Quantity::Exact(10)),
            moved_at: ago(5),
            ..PartitionFacts::default()
        };
        change(&mut facts);
        facts
    }

    fn check(partitions: Vec<PartitionFacts>, expect: &str) {
        let named = partitions.into_iter().enumerate();
        let mut partitions = named
            .map(|(n, facts)| (PartitionId::new(n.to_string()), facts))
            .collect();
        judge(NOW, &mut partitions);
        let found: Vec<_> = partitions.values().map(|p| p.status.as_str()).collect();
        assert_eq!(found.join(" "), expect, "{partitions:#?}");
    }

    #[test]
    fn what_stands_still_is_stuck_if_others_move_and_stopped_if_nobody_does() {
        let still = |seconds: u64| {
            partition(move |p| {
                p.stalled_since = ago(seconds);
                p.moved_at = ago(seconds);
            })
        };
        check(vec![still(75), partition(|_| {})], "stuck ok");
        check(vec![still(74), partition(|_| {})], "ok ok");
        check(vec![still(75), still(90)], "stopped stopped");
        let held = |mut facts: PartitionFacts, owner: &str| {
            facts.owner = Some(owner.to_owned());
            facts.commit_interval_seconds = Some(10.0);
            facts
        };
        let crashed = vec![
            held(still(80), "a"),
            held(still(80), "a"),
            held(partition(|_| {}), "b"),
        ];
        check(crashed, "stopped stopped ok");
    }

    #[test]
    fn nothing_is_said_of_what_has_nothing_to_do_or_could_not_be_read() {
        let idle = partition(|p| {
            p.backlog = Some(Quantity::Exact(0));
            p.stalled_since = ago(500);
        });
        let unread = partition(|p| {
            p.status = PartitionStatus::Unknown;
            p.stalled_since = ago(500);
        });
        let rewound = partition(|p| {
            p.status = PartitionStatus::Rewound;
            p.not_falling_since = ago(500);
        });
        check(vec![idle, unread, rewound], "ok unknown rewound");
    }

    #[test]
    fn behind_is_what_did_not_fall_over_the_whole_window() {
        let growing = |seconds| partition(|p| p.not_falling_since = ago(seconds));
        check(vec![growing(75), growing(70)], "behind ok");
        let rare = partition(|p| {
            p.not_falling_since = ago(100);
            p.commit_interval_seconds = Some(60.0);
        });
        check(vec![rare], "ok");
        let losing = partition(|p| p.lost_per_second = 2.0);
        check(vec![losing], "behind");
    }
}
