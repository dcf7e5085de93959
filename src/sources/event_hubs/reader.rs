//! One consumer group of an event hub, poll by poll: committed positions first, then the log ends, so that no lag is negative.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::age::EnqueuedTimes;
use super::checkpoints::{Checkpoint, CheckpointState, Committed, GroupMemory};
use super::event_size::EventSizes;
use super::hub::{Hub, Read};
use super::lag::{self, Unprocessed};
use super::management::{HubProperties, PartitionProperties};
use crate::model::identity::PartitionId;
use crate::model::sample::{
    AgeMethod, Failure, FailureKind, PartitionObservation, PartitionSample, Position, Sample,
};
use crate::model::time::Timestamp;
use crate::sources::{BoxFuture, GroupReader};

/// How a group is polled.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For how long after its start a poll makes new calls; those under way end within their own deadline.
    pub asks_for: Duration,
    /// A partition that waited longer than this for its turn is unknown.
    pub outdated_after: Duration,
}

/// Reads one consumer group.
pub struct Reader {
    hub: Arc<Hub>,
    consumer_group: String,
    pace: Pace,
    found_before: GroupMemory,
    partitions: BTreeMap<String, Remembered>,
    sizes: EventSizes,
    layouts: String,
}

/// What is kept of a partition between polls.
#[derive(Default)]
struct Remembered {
    read_at: Option<Instant>,
    times: EnqueuedTimes,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub fn new(hub: Arc<Hub>, consumer_group: &str, pace: Pace) -> Self {
        Self {
            hub,
            consumer_group: consumer_group.to_owned(),
            pace,
            found_before: GroupMemory::default(),
            partitions: BTreeMap::new(),
            sizes: EventSizes::default(),
            layouts: String::new(),
        }
    }

    async fn read(&mut self) -> Result<Sample, Failure> {
        let until = Instant::now() + self.pace.asks_for;
        let hub = Arc::clone(&self.hub);
        let mut properties = hub.properties().await?;
        let committed = hub
            .checkpoints()
            .read(
                &self.consumer_group,
                &properties.partition_ids,
                &mut self.found_before,
            )
            .await?;
        self.layouts.clone_from(&committed.layouts);
        let read = hub.read(self.in_turn(&properties), until).await?;
        if self.forget_other_logs(&read) {
            hub.forget_properties();
            properties = hub.properties().await?;
        }
        Ok(self.sample(&properties, &committed, read))
    }

    /// The partitions, those first that have waited longest.
    fn in_turn(&mut self, hub: &HubProperties) -> Vec<String> {
        self.partitions
            .retain(|id, _| hub.partition_ids.contains(id));
        let mut ids = hub.partition_ids.clone();
        ids.sort_by_key(|id| self.partitions.get(id).and_then(|p| p.read_at));
        ids
    }

    /// Forgets what is known of logs that have become others, and says whether there are any: then the event hub may be another
    /// one, too.
    fn forget_other_logs(&mut self, read: &Read) -> bool {
        let mut found = false;
        for partition in read.values().flatten() {
            if let Some(known) = self.partitions.get_mut(&partition.partition_id)
                && known.times.newest() > Some(partition.last_enqueued_sequence_number)
            {
                known.times = EnqueuedTimes::default();
                found = true;
            }
        }
        found
    }

    fn sample(&mut self, hub: &HubProperties, committed: &Committed, mut read: Read) -> Sample {
        let now = wall_clock();
        let commits = Commits::of(hub, committed);
        let mut partitions = BTreeMap::new();
        for id in &hub.partition_ids {
            let owner = committed.owners.as_ref().and_then(|owners| owners.get(id));
            let seen = match read.remove(id) {
                None => self.not_asked(id),
                Some(Err(failure)) => PartitionObservation::Failed(failure),
                Some(Ok(properties)) => {
                    let known = self.partitions.entry(id.clone()).or_default();
                    known.read_at = Some(Instant::now());
                    self.sizes.add(&properties);
                    let found = Found {
                        properties: &properties,
                        checkpoint: committed.partitions.get(id),
                        remark: committed.remarks.get(id),
                        owner,
                        created_at: hub.created_at,
                    };
                    known.observe(&found, commits, now)
                }
            };
            partitions.insert(PartitionId::new(id.as_str()), seen);
        }
        Sample {
            partitions,
            consumers: committed.owners.as_ref().map(distinct),
            source_time: Some(now),
            read_limit_per_second: self
                .hub
                .throughput_units()
                .map(|units| self.sizes.limit(units)),
            errors: None,
            holders: None,
        }
    }

    fn not_asked(&self, id: &str) -> PartitionObservation {
        let read_at = self.partitions.get(id).and_then(|p| p.read_at);
        match read_at {
            Some(at) if at.elapsed() > self.pace.outdated_after => {
                PartitionObservation::Failed(Failure::new(
                    FailureKind::Throttled,
                    "its turn within the budget of management calls has not come for over two polls: raise \
                     management_calls_per_second or poll_interval",
                ))
            }
            _ => PartitionObservation::NotAsked,
        }
    }
}

impl GroupReader for Reader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(self.read())
    }

    fn findings(&self) -> Option<String> {
        (!self.layouts.is_empty()).then(|| format!("checkpoints: {}", self.layouts))
    }
}

/// What one poll found of one partition.
struct Found<'a> {
    properties: &'a PartitionProperties,
    checkpoint: Option<&'a CheckpointState>,
    /// What is odd about that.
    remark: Option<&'a String>,
    owner: Option<&'a String>,
    /// The event hub's.
    created_at: Option<Timestamp>,
}

/// What a consumer group has committed, over all partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commits {
    /// Something, or what is there cannot be read.
    Some,
    /// Nothing yet, although consumers hold partitions.
    NoneYet,
    /// Nothing, and nobody is known to hold anything: what is kept is history, no backlog.
    NoGroup,
}

impl Commits {
    fn of(hub: &HubProperties, committed: &Committed) -> Self {
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

impl Remembered {
    fn observe(
        &mut self,
        found: &Found<'_>,
        commits: Commits,
        now: Timestamp,
    ) -> PartitionObservation {
        let properties = found.properties;
        if let Some(CheckpointState::Unreadable(failure)) = found.checkpoint {
            return PartitionObservation::Failed(failure.clone());
        }
        let length = lag::kept(properties);
        if commits == Commits::NoGroup && length > 0 {
            let log_end = log_end(properties);
            return PartitionObservation::GroupMissing { length, log_end };
        }
        let unprocessed = found.unprocessed(commits);
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
            owner: found.owner.cloned(),
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
        if let Some(at) = properties.last_enqueued_at {
            self.times.add(properties.last_enqueued_sequence_number, at);
        }
        if found.events == Some(0) {
            return (Some(0), AgeMethod::Exact);
        }
        if found.events.is_none() {
            return (None, AgeMethod::Exact);
        }
        let after = found.committed.map_or(0, |n| n.saturating_add(1));
        let mut first = after.max(properties.beginning_sequence_number);
        if found.is_bound {
            // Of all that may wait only the newest does for sure.
            first = properties.last_enqueued_sequence_number;
        }
        self.times.forget_before(first);
        match self.times.of(first) {
            Some((at, _)) if found.is_bound => (Some(age(at, now)), AgeMethod::Bounded),
            Some((at, method)) => (Some(age(at, now)), method),
            None => (None, AgeMethod::Exact),
        }
    }
}

impl Found<'_> {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        match self.checkpoint {
            Some(CheckpointState::Present(checkpoint)) => Some(checkpoint),
            _ => None,
        }
    }

    fn unprocessed(&self, commits: Commits) -> Unprocessed {
        let (properties, created_at) = (self.properties, self.created_at);
        match (commits, self.checkpoint) {
            (Commits::NoneYet, _) => lag::without_any_checkpoint(properties),
            (_, Some(CheckpointState::AtOffset { offset, written_at })) => {
                lag::after_offset(properties, offset, *written_at, created_at)
            }
            _ => lag::unprocessed(properties, self.checkpoint(), created_at),
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

fn distinct(owners: &BTreeMap<String, String>) -> u32 {
    let names: std::collections::BTreeSet<&String> = owners.values().collect();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
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

/// Enqueued times are wall-clock times of Azure, which runs by the same time as a synchronized machine.
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_millis(since_epoch.unwrap_or_default().as_millis() as u64)
}
