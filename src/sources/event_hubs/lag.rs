//! Events behind a checkpoint, by sequence numbers. Numbers that contradict each other make it unknown, never 0.

use std::cmp::Ordering;
use std::time::Duration;

use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::checkpoints::{Checkpoint, CheckpointState};
use super::management::PartitionProperties;

/// A checkpoint this little ahead of the log end may come from a broker that answers with an old figure.
const STALE_INFO: i64 = 10_000;

/// Sequence numbers start over after the largest 64-bit one; a checkpoint this close to it was overtaken by that.
const WRAPS_WITHIN: i64 = 1_000_000;

/// Stores tell whole seconds, and their clock is not the broker's. Nobody deletes and creates an event hub within this time.
pub const CLOCKS_APART: Duration = Duration::from_secs(5);

/// Stores tell whole seconds: of two times of theirs, the difference is known to so much.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// Events that a consumer group has yet to process in one partition, as far as sequence numbers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprocessed {
    /// How many; `None`: the numbers contradict each other.
    pub events: Option<u64>,
    /// Whether there may be more of them.
    pub is_bound: bool,
    /// The last event that counts as done; `None` where the checkpoint says nothing about this log.
    pub committed: Option<i64>,
    /// What is odd, in words.
    pub remark: Option<String>,
    /// Whether the checkpoint was found to be of another log than the one that is there now. It stays so until it moves.
    pub is_of_another_log: bool,
}

/// What earlier polls tell of a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointPast {
    /// Whether it was found to be of another log.
    pub is_void: bool,
    /// The broker's epoch when it was first seen.
    pub epoch: Option<i64>,
    /// The oldest event known to have been enqueued after it was written.
    pub first_after: Option<i64>,
}

impl Unprocessed {
    /// How many, and how surely.
    pub fn quantity(&self) -> Option<Quantity> {
        let certainty = match self.is_bound {
            true => Quantity::AtLeast,
            false => Quantity::Exact,
        };
        self.events.map(certainty)
    }
}

/// Events kept in the partition.
pub fn kept(partition: &PartitionProperties) -> u64 {
    let (first, last) = (
        partition.beginning_sequence_number,
        partition.last_enqueued_sequence_number,
    );
    if partition.is_empty || last < 0 || last < first {
        return 0;
    }
    // Both are 0 or more by now, or the broker numbers from −1.
    (last - first.max(0)).unsigned_abs().saturating_add(1)
}

/// Whether a checkpoint that was read at most `passed` after the log end beside it may be of a later event, or has reached it only
/// since: then the log end is too old to tell what waits. `now` is the store's clock at the reading.
pub fn is_overtaken(
    partition: &PartitionProperties,
    checkpoint: &CheckpointState,
    now: Option<Timestamp>,
    passed: Duration,
) -> bool {
    let (written_at, ahead) = match checkpoint {
        CheckpointState::Missing | CheckpointState::Unreadable(_) => return false,
        CheckpointState::Present(checkpoint) => {
            let last = partition.last_enqueued_sequence_number;
            (checkpoint.written_at, checkpoint.sequence_number.cmp(&last))
        }
        // Of two offsets nobody can tell which is further on.
        CheckpointState::AtOffset { written_at, .. } => (*written_at, Ordering::Equal),
    };
    // What was there all the while was reached before.
    let is_older = now
        .zip(written_at)
        .is_some_and(|(now, written)| now.since(written) > passed + WHOLE_SECONDS);
    match ahead {
        Ordering::Less => false,
        Ordering::Equal => !is_older,
        Ordering::Greater => true,
    }
}

/// Counts the events after `checkpoint`. `created_at` is the event hub's.
pub fn unprocessed(
    partition: &PartitionProperties,
    checkpoint: Option<&Checkpoint>,
    created_at: Option<Timestamp>,
    past: CheckpointPast,
) -> Unprocessed {
    let Some(checkpoint) = checkpoint.filter(|c| says_something(c)) else {
        return from_oldest(partition, "no checkpoint yet");
    };
    if is_older(checkpoint.written_at, created_at) {
        return from_oldest(partition, CREATED_ANEW);
    }
    let (committed, last) = (
        checkpoint.sequence_number,
        partition.last_enqueued_sequence_number,
    );
    if last < 0 {
        return from_oldest(partition, "the event hub has never held an event");
    }
    if is_of_older_epoch(partition, checkpoint, past) {
        return of_older_epoch(partition, committed, past);
    }
    if past.is_void {
        return of_another_log(partition);
    }
    if committed > last {
        return beyond_the_end(partition, checkpoint);
    }
    let removed = partition.beginning_sequence_number.saturating_sub(1);
    let expired = removed.saturating_sub(committed).max(0);
    let events = last - committed.max(removed.min(last));
    if events > i64::MAX - STALE_INFO {
        return Unprocessed {
            events: None,
            is_bound: false,
            committed: Some(committed),
            remark: Some(
                "the sequence numbers have restarted, but the broker still reports the old log end"
                    .to_owned(),
            ),
            is_of_another_log: false,
        };
    }
    Unprocessed {
        events: Some(if partition.is_empty {
            0
        } else {
            events.unsigned_abs()
        }),
        is_bound: false,
        committed: Some(committed),
        remark: (expired > 0)
            .then(|| format!("{expired} events left the log before they were checkpointed")),
        is_of_another_log: false,
    }
}

/// What is waiting behind a checkpoint that only an offset tells. Offsets count bytes, so that it is not the newest event's means
/// one event at least.
pub fn after_offset(
    partition: &PartitionProperties,
    offset: &str,
    written_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
) -> Unprocessed {
    if is_older(written_at, created_at) {
        return from_oldest(partition, CREATED_ANEW);
    }
    let last = partition.last_enqueued_sequence_number;
    let is_done = kept(partition) == 0 || offset == partition.last_enqueued_offset;
    Unprocessed {
        events: Some(u64::from(!is_done)),
        is_bound: !is_done,
        committed: (is_done && last >= 0).then_some(last),
        remark: (!is_done).then(|| {
            "the checkpoint has an offset but no sequence number, as .NET writes it: it is not the newest event, so at \
             least one event is waiting"
                .to_owned()
        }),
        is_of_another_log: false,
    }
}

fn is_older(written_at: Option<Timestamp>, created_at: Option<Timestamp>) -> bool {
    created_at
        .zip(written_at)
        .is_some_and(|(hub, written)| written.plus(CLOCKS_APART) < hub)
}

const CREATED_ANEW: &str = "the checkpoint is older than the event hub, which has been recreated";

/// What a consumer group has to do that holds partitions and has no checkpoint on any: nobody knows where its consumers began.
pub fn without_any_checkpoint(partition: &PartitionProperties) -> Unprocessed {
    let is_empty = kept(partition) == 0;
    Unprocessed {
        events: is_empty.then_some(0),
        is_bound: false,
        committed: None,
        remark: (!is_empty).then(|| {
            "consumers hold partitions, but the group has no checkpoint on any: it has just started, or it checkpoints \
             elsewhere: compare checkpoints.container and checkpoints.strategy with the consumers' settings"
                .to_owned()
        }),
        is_of_another_log: false,
    }
}

/// Numbers below 0 stand for the place before the first event.
pub fn says_something(checkpoint: &Checkpoint) -> bool {
    checkpoint.sequence_number >= 0
}

fn from_oldest(partition: &PartitionProperties, why: &str) -> Unprocessed {
    let events = kept(partition);
    Unprocessed {
        events: Some(events),
        is_bound: false,
        committed: None,
        remark: (events > 0).then(|| format!("{why}: counting from the oldest retained event")),
        is_of_another_log: false,
    }
}

/// Whether the newest event is of a later epoch than the checkpoint: since then the namespace was failed over to its replica.
fn is_of_older_epoch(
    partition: &PartitionProperties,
    checkpoint: &Checkpoint,
    past: CheckpointPast,
) -> bool {
    let written = match checkpoint.offset.split(':').collect::<Vec<_>>()[..] {
        [epoch, _, _] => epoch.parse().ok(),
        _ => None,
    };
    let of_checkpoint: Option<i64> = written.or(past.epoch);
    of_checkpoint
        .zip(partition.epoch)
        .is_some_and(|(checkpoint, broker)| checkpoint < broker)
}

/// A failover may have lost events, and the numbers went on from before them: the newest event waits for sure, and so does
/// everything enqueued after the checkpoint was written.
fn of_older_epoch(
    partition: &PartitionProperties,
    committed: i64,
    past: CheckpointPast,
) -> Unprocessed {
    let last = partition.last_enqueued_sequence_number;
    let kept = kept(partition);
    let from = past.first_after.unwrap_or(last).min(last);
    let waiting = (last - from + 1).max(last.saturating_sub(committed));
    Unprocessed {
        events: Some(waiting.max(0).unsigned_abs().min(kept)),
        is_bound: kept > 0,
        committed: None,
        remark: (kept > 0).then(|| {
            "the checkpoint is from an epoch before the last failover: the backlog is a lower bound until the consumers \
             checkpoint again"
                .to_owned()
        }),
        is_of_another_log: false,
    }
}

fn of_another_log(partition: &PartitionProperties) -> Unprocessed {
    let why = "the checkpoint belongs to another log: it is ahead of an event enqueued after it was written, so the event \
               hub was recreated or failed over";
    Unprocessed {
        is_of_another_log: true,
        ..from_oldest(partition, why)
    }
}

/// Where a checkpoint is ahead, the log end was read after it: it is an old figure, or the log is another one by now. An event
/// enqueued after the checkpoint was written has a larger number in the same log.
fn beyond_the_end(partition: &PartitionProperties, checkpoint: &Checkpoint) -> Unprocessed {
    let committed = checkpoint.sequence_number;
    let last = partition.last_enqueued_sequence_number;
    let to_the_largest = i64::MAX - committed;
    if to_the_largest < WRAPS_WITHIN && (0..WRAPS_WITHIN).contains(&last) {
        return Unprocessed {
            events: Some((to_the_largest + last).unsigned_abs()),
            is_bound: false,
            committed: Some(committed),
            remark: Some("the sequence numbers restarted after reaching their maximum".to_owned()),
            is_of_another_log: false,
        };
    }
    let times = partition.last_enqueued_at.zip(checkpoint.written_at);
    if times.is_some_and(|(enqueued, written)| enqueued > written.plus(CLOCKS_APART)) {
        return of_another_log(partition);
    }
    let ahead = committed - last;
    if ahead <= STALE_INFO {
        return Unprocessed {
            events: None,
            is_bound: false,
            committed: Some(committed),
            remark: Some(format!(
                "the checkpoint is {ahead} events ahead of the log end: the broker's figure is stale, or the log has been replaced"
            )),
            is_of_another_log: false,
        };
    }
    Unprocessed {
        is_of_another_log: true,
        ..from_oldest(
            partition,
            "the checkpoint is far beyond the log end, so the sequence numbers have restarted",
        )
    }
}

#[cfg(test)]
mod tests;
