//! One partition, poll by poll: its log end and the checkpoint on it become an observation.

use tokio::time::Instant;

use super::age::EnqueuedTimes;
use super::checkpoints::{Checkpoint, CheckpointState, Committed};
use super::lag::{self, CheckpointPast, Unprocessed};
use super::management::{HubProperties, PartitionProperties};
use crate::model::foreign::label;
use crate::model::sample::{AgeMethod, PartitionObservation, PartitionSample, Position};
use crate::model::time::Timestamp;

/// What one poll found of one partition.
pub struct PartitionFound<'a> {
    /// What the broker says.
    pub properties: &'a PartitionProperties,
    /// What the store says.
    pub checkpoint: Option<&'a CheckpointState>,
    /// What is odd about that.
    pub remark: Option<&'a String>,
    /// Who holds it.
    pub owner: Option<&'a String>,
    /// When the event hub was created.
    pub created_at: Option<Timestamp>,
}

/// What a consumer group has committed, over all partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GroupCommits {
    /// Something, or what is there cannot be read.
    Some,
    /// Nothing yet, although consumers hold partitions.
    NoneYet,
    /// Nothing, and nobody is known to hold anything: what is kept is history, no backlog.
    NoGroup,
}

impl GroupCommits {
    /// What these say together.
    pub fn of(hub: &HubProperties, committed: &Committed) -> Self {
        let says_nothing = |id| match committed.partitions.get(id) {
            None | Some(CheckpointState::Missing) => true,
            Some(CheckpointState::Present(checkpoint)) => !lag::says_something(checkpoint),
            Some(CheckpointState::AtOffset { .. } | CheckpointState::Unreadable(_)) => false,
        };
        let is_held = committed
            .owners
            .as_ref()
            .is_some_and(|owners| !owners.is_empty());
        match hub.partition_ids.iter().all(says_nothing) {
            false => Self::Some,
            true if is_held => Self::NoneYet,
            true => Self::NoGroup,
        }
    }
}

/// What is kept of a partition between polls.
#[derive(Default)]
pub struct RememberedPartition {
    /// When the log end was asked for that was seen last.
    pub read_at: Option<Instant>,
    times: EnqueuedTimes,
    checkpoint: Option<KnownCheckpoint>,
    /// Whether the log has become another one since the poll before.
    has_turned: bool,
}

/// A checkpoint as it was first seen.
struct KnownCheckpoint {
    number: i64,
    offset: String,
    /// The broker's epoch then.
    epoch: Option<i64>,
    /// Whether it was found to be of another log.
    is_void: bool,
}

impl RememberedPartition {
    /// Forgets what is known of a log that has become another one, and says whether it has.
    pub fn forget_another_log(&mut self, partition: &PartitionProperties) -> bool {
        let Some((newest, at)) = self.times.newest() else {
            return false;
        };
        if newest <= partition.last_enqueued_sequence_number {
            return false;
        }
        // An old figure comes with an old time; a newer time makes it another log.
        self.has_turned = partition.last_enqueued_at.is_some_and(|then| then > at);
        self.times = EnqueuedTimes::default();
        true
    }

    /// What earlier polls tell of the checkpoint.
    fn past(&mut self, found: &PartitionFound<'_>) -> CheckpointPast {
        let has_turned = std::mem::take(&mut self.has_turned);
        let Some(checkpoint) = found.checkpoint() else {
            self.checkpoint = None;
            return CheckpointPast::default();
        };
        let is_same = |known: &&mut KnownCheckpoint| {
            known.number == checkpoint.sequence_number && known.offset == checkpoint.offset
        };
        let known = match self.checkpoint.as_mut().filter(is_same) {
            Some(known) => {
                known.is_void |= has_turned;
                known
            }
            None => self.checkpoint.insert(KnownCheckpoint {
                number: checkpoint.sequence_number,
                offset: checkpoint.offset.clone(),
                epoch: found.properties.epoch,
                is_void: false,
            }),
        };
        CheckpointPast {
            is_void: known.is_void,
            epoch: known.epoch,
            first_after: checkpoint
                .written_at
                .and_then(|written| self.times.first_after(written.plus(lag::CLOCKS_APART))),
        }
    }

    /// What the poll saw of the partition.
    pub fn observe(
        &mut self,
        found: &PartitionFound<'_>,
        commits: GroupCommits,
        now: Timestamp,
    ) -> PartitionObservation {
        let properties = found.properties;
        if let Some(CheckpointState::Unreadable(failure)) = found.checkpoint {
            return PartitionObservation::Failed(failure.clone());
        }
        let length = lag::kept(properties);
        if commits == GroupCommits::NoGroup && length > 0 {
            let log_end = log_end(properties);
            return PartitionObservation::GroupMissing { length, log_end };
        }
        if let Some(at) = properties.last_enqueued_at {
            self.times.add(properties.last_enqueued_sequence_number, at);
        }
        let past = self.past(found);
        let unprocessed = found.unprocessed(commits, past);
        if let Some(known) = self.checkpoint.as_mut() {
            known.is_void |= unprocessed.is_of_another_log;
        }
        let (oldest_age_millis, age_method) = self.age(properties, &unprocessed, now);
        let committed = unprocessed.committed.and_then(|n| u64::try_from(n).ok());
        let first = u64::try_from(properties.beginning_sequence_number).unwrap_or(0);
        PartitionObservation::Present(PartitionSample {
            log_end: log_end(properties),
            length,
            lag: unprocessed.quantity(),
            oldest_age_millis,
            age_method,
            // A store that does not tell when leaves the poll's time, which the model has anyway.
            committed_at: found.checkpoint().map(|c| c.written_at.unwrap_or(now)),
            remark: joined(found.remark, unprocessed.remark),
            delivered: committed.map(position),
            delivered_count: committed.map(|n| n.saturating_add(1)),
            oldest_kept: Some(position(first)),
            newest_removed: first.checked_sub(1).map(position),
            owner: found.owner.map(|owner| label(owner)),
            ..PartitionSample::default()
        })
    }

    /// How long the first unprocessed event has waited.
    fn age(
        &mut self,
        properties: &PartitionProperties,
        found: &Unprocessed,
        now: Timestamp,
    ) -> (Option<u64>, AgeMethod) {
        let events = match found.events {
            Some(0) => return (Some(0), AgeMethod::Exact),
            Some(events) => i64::try_from(events).unwrap_or(i64::MAX),
            None => return (None, AgeMethod::Exact),
        };
        if found.is_bound {
            // The newest of all that may wait do so for sure.
            let first = properties.last_enqueued_sequence_number - (events - 1);
            let known = self.times.of(first);
            return (known.map(|(at, _)| age(at, now)), AgeMethod::Bounded);
        }
        let after = found.committed.map_or(0, |n| n.saturating_add(1));
        let first = after.max(properties.beginning_sequence_number);
        self.times.forget_before(first);
        match self.times.of(first) {
            Some((at, method)) => (Some(age(at, now)), method),
            None => (None, AgeMethod::Exact),
        }
    }
}

impl PartitionFound<'_> {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        match self.checkpoint {
            Some(CheckpointState::Present(checkpoint)) => Some(checkpoint),
            _ => None,
        }
    }

    fn unprocessed(&self, commits: GroupCommits, past: CheckpointPast) -> Unprocessed {
        let (properties, created_at) = (self.properties, self.created_at);
        match (commits, self.checkpoint) {
            (GroupCommits::NoneYet, _) => lag::without_any_checkpoint(properties),
            (_, Some(CheckpointState::AtOffset { offset, written_at })) => {
                lag::after_offset(properties, offset, *written_at, created_at)
            }
            _ => lag::unprocessed(properties, self.checkpoint(), created_at, past),
        }
    }
}

fn joined(one: Option<&String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => other.or_else(|| one.cloned()),
    }
}

fn age(of: Timestamp, now: Timestamp) -> u64 {
    now.since(of).as_millis() as u64
}

/// Events ever enqueued: sequence numbers start at 0.
fn log_end(properties: &PartitionProperties) -> Option<u64> {
    u64::try_from(properties.last_enqueued_sequence_number.saturating_add(1)).ok()
}

fn position(sequence_number: u64) -> Position {
    Position {
        major: sequence_number,
        minor: 0,
    }
}
