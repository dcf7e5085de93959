//! Between two samples of a partition: what was processed, and what left the log unread.

use super::quantity::Quantity;
use super::sample::PartitionSample;

/// Messages that left the unfinished part of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Acknowledged by consumers.
    pub processed: u64,
    /// Removed from the log before they were handed out.
    pub lost: u64,
}

/// What left was processed or lost: arrived + unfinished before − unfinished now. `None` if that cannot be told: a part is not
/// counted exactly, or the group was moved by hand.
pub(super) fn settle(
    then: &PartitionSample,
    now: &PartitionSample,
    arrived: u64,
) -> Option<Settled> {
    if repositioned(then, now) {
        return None;
    }
    let (lag_then, lag_now) = (then.lag?.exact()?, now.lag?.exact()?);
    let left_lag = (lag_then + arrived).checked_sub(lag_now)?;
    let lost = lost_of(then, now, left_lag);
    let processed = (then.pending + left_lag - lost).checked_sub(now.pending)?;
    Some(Settled { processed, lost })
}

/// Whether somebody moved the group (SETID, re-creation) between the samples: back, or forward, after which the source no
/// longer counts deliveries. It also stops counting when the group reads past a deleted message; that is no move.
pub(super) fn repositioned(then: &PartitionSample, now: &PartitionSample) -> bool {
    let uncounted = then.delivered_count.is_some() && now.delivered_count.is_none();
    now.delivered < then.delivered || uncounted && now.newest_removed <= then.delivered
}

/// Of the messages that left the undelivered part, those that were removed instead of handed out. Exact if the group did
/// not move; else at least one where a loss is certain, and as many as the source's count of deliveries lacks.
fn lost_of(then: &PartitionSample, now: &PartitionSample, left_lag: u64) -> u64 {
    if now.delivered == then.delivered {
        return left_lag;
    }
    let deleted_ahead =
        now.newest_removed > then.newest_removed && now.newest_removed > now.delivered;
    let counts = then.delivered_count.zip(now.delivered_count);
    if !(deleted_ahead || counts.is_some() && trimmed_past(then, now)) {
        return 0;
    }
    let handed_out = counts.map_or(0, |(before, after)| after.saturating_sub(before));
    left_lag.saturating_sub(handed_out).max(1).min(left_lag)
}

/// Whether trimming (not deleting) ran past a group that had everything kept still before it: then the trim was at its
/// heels. A group that is further ahead read what was trimmed behind it.
fn trimmed_past(then: &PartitionSample, now: &PartitionSample) -> bool {
    let head_moved_past = now.oldest_kept > then.oldest_kept && now.oldest_kept > then.delivered;
    let by_trimming = now.newest_removed < then.oldest_kept;
    let at_the_head =
        |s: &PartitionSample| s.length > 0 && s.lag == Some(Quantity::Exact(s.length));
    head_moved_past && by_trimming && (at_the_head(then) || at_the_head(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::Position;

    fn sample(added: u64, delivered: u64, lag: u64, pending: u64) -> PartitionSample {
        PartitionSample {
            log_end: Some(added),
            length: added,
            lag: Some(Quantity::Exact(lag)),
            pending,
            delivered: Some(Position {
                major: delivered,
                minor: 0,
            }),
            delivered_count: Some(delivered),
            ..PartitionSample::default()
        }
    }

    fn removed(mut sample: PartitionSample, newest_removed: u64) -> PartitionSample {
        sample.newest_removed = Some(Position {
            major: newest_removed,
            minor: 0,
        });
        sample
    }

    /// Trimmed to the entries from `oldest` on.
    fn kept(mut sample: PartitionSample, oldest: u64) -> PartitionSample {
        sample.oldest_kept = Some(Position {
            major: oldest,
            minor: 0,
        });
        sample.length = 5;
        sample
    }

    #[test]
    fn what_leaves_the_backlog_is_processed_unless_it_was_removed_unread() {
        let check = |then: PartitionSample, now: PartitionSample, processed, lost| {
            let arrived = now.log_end.unwrap() - then.log_end.unwrap();
            assert_eq!(
                settle(&then, &now, arrived),
                Some(Settled { processed, lost })
            );
        };
        // Read 5 more, acknowledged 7 of them all.
        check(sample(10, 3, 7, 3), sample(14, 8, 6, 1), 7, 0);
        // Trimmed past the group, which stood still: 4 lost, and the sample is no measure of the consumers.
        check(sample(10, 3, 7, 0), removed(sample(10, 3, 3, 0), 7), 0, 4);
        // Trimmed past the group while it read 2.
        check(sample(10, 3, 7, 0), removed(sample(10, 5, 1, 0), 9), 2, 4);
        // Deleting what was read already is no loss.
        check(sample(10, 3, 7, 0), removed(sample(10, 9, 1, 0), 8), 6, 0);
        // A slow group on a stream trimmed to 5: it stands at the head, and the trim runs on past it.
        check(
            kept(sample(100, 95, 5, 0), 96),
            kept(sample(200, 195, 5, 0), 196),
            99,
            1,
        );
        // A group that keeps up on the same stream loses nothing.
        check(
            kept(sample(100, 99, 1, 0), 96),
            kept(sample(200, 199, 1, 0), 196),
            100,
            0,
        );
    }
}
