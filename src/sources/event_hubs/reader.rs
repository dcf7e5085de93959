//! One consumer group of an event hub, poll by poll: committed positions and log ends side by side. Where a checkpoint may be newer
//! than the log end beside it, that log end is read again, so that no lag is negative and no zero is false.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::checkpoints::{Committed, GroupMemory};
use super::event_size::EventSizes;
use super::hub::{Hub, earlier};
use super::lag;
use super::management::HubProperties;
use super::partition::{GroupCommits, PartitionFound, RememberedPartition};
use super::sweep::{LogEnd, PartitionReads, Sweep};
use crate::model::identity::PartitionId;
use crate::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use crate::model::time::Timestamp;
use crate::sources::{BoxFuture, GroupReader};

/// How a group is polled.
#[derive(Clone, Copy, Debug)]
pub struct HubPace {
    /// For how long after its start a poll makes new calls; those under way end within their own deadline.
    pub asks_for: Duration,
    /// A partition that waited longer than this for its turn is unknown.
    pub outdated_after: Duration,
    /// How old a log end may be that another group asked for.
    pub shares: Duration,
}

/// Reads one consumer group.
pub struct HubReader {
    hub: Arc<Hub>,
    consumer_group: String,
    pace: HubPace,
    found_before: GroupMemory,
    partitions: BTreeMap<String, RememberedPartition>,
    sizes: EventSizes,
    layouts: String,
    /// Whether the checkpoints could not be read the last time: then nothing else is asked for before they are there.
    lacks_checkpoints: bool,
}

impl HubReader {
    /// A reader that has read nothing yet.
    pub fn new(hub: Arc<Hub>, consumer_group: &str, pace: HubPace) -> Self {
        Self {
            hub,
            consumer_group: consumer_group.to_owned(),
            pace,
            found_before: GroupMemory::default(),
            partitions: BTreeMap::new(),
            sizes: EventSizes::default(),
            layouts: String::new(),
            lacks_checkpoints: false,
        }
    }

    async fn read(&mut self) -> Result<Sample, Failure> {
        let started = Instant::now();
        let hub = Arc::clone(&self.hub);
        let mut properties = hub.properties().await?;
        let (committed, read) = self.read_both(&hub, &properties, started).await?;
        self.layouts.clone_from(&committed.layouts);
        let failure = read.values().find_map(|result| result.as_ref().err());
        if let Some(failure) = failure
            && read.values().all(Result::is_err)
        {
            return Err(failure.clone());
        }
        if self.forget_other_logs(&read) {
            hub.forget_properties();
            properties = hub.properties().await?;
        }
        Ok(self.sample(&properties, &committed, read))
    }

    /// Checkpoints and log ends, side by side.
    async fn read_both(
        &mut self,
        hub: &Hub,
        properties: &HubProperties,
        started: Instant,
    ) -> Result<(Committed, PartitionReads), Failure> {
        let since = earlier(started, self.pace.shares);
        let until = started + self.pace.asks_for;
        let mut sweep = Sweep::new(hub, self.in_turn(properties, since), until);
        let waits = std::mem::replace(&mut self.lacks_checkpoints, true);
        let reading = hub.checkpoints().read(
            &self.consumer_group,
            &properties.partition_ids,
            &mut self.found_before,
        );
        tokio::pin!(reading);
        let committed = loop {
            tokio::select! {
                biased;
                committed = &mut reading => break committed?,
                Some(_) = sweep.next(), if !waits => {}
            }
        };
        let there_at = Instant::now();
        self.lacks_checkpoints = false;
        let is_overtaken = |id: &String, log_end: &LogEnd| {
            let passed = there_at.saturating_duration_since(log_end.asked_at);
            let checkpoint = committed.partitions.get(id);
            let checkpoint = checkpoint.filter(|_| !passed.is_zero());
            checkpoint
                .is_some_and(|it| lag::is_overtaken(&log_end.properties, it, committed.now, passed))
        };
        let overtaken: Vec<String> = sweep
            .read()
            .iter()
            .filter(|(id, read)| read.as_ref().is_ok_and(|end| is_overtaken(id, end)))
            .map(|(id, _)| id.clone())
            .collect();
        sweep.read_again(overtaken, there_at);
        while let Some(id) = sweep.next().await {
            if sweep.log_end(&id).is_some_and(|end| is_overtaken(&id, end)) {
                sweep.read_again([id], there_at);
            }
        }
        Ok((committed, sweep.into_read()))
    }

    /// The partitions, those first that have waited longest, and as of which moment each will do: `since`, if that is news.
    fn in_turn(&mut self, hub: &HubProperties, since: Instant) -> Vec<(String, Instant)> {
        self.partitions
            .retain(|id, _| hub.partition_ids.contains(id));
        let read_at = |id: &String| self.partitions.get(id).and_then(|p| p.read_at);
        let mut ids = hub.partition_ids.clone();
        ids.sort_by_key(read_at);
        let news = |id: String| {
            let after = read_at(&id).map(|at| at + Duration::from_nanos(1));
            (id, since.max(after.unwrap_or(since)))
        };
        ids.into_iter().map(news).collect()
    }

    /// Forgets what is known of logs that have become others, and says whether there are any: then the event hub may be another
    /// one, too.
    fn forget_other_logs(&mut self, read: &PartitionReads) -> bool {
        let mut found = false;
        for log_end in read.values().flatten() {
            let partition = &log_end.properties;
            if let Some(known) = self.partitions.get_mut(&partition.partition_id) {
                found |= known.forget_another_log(partition);
            }
        }
        found
    }

    fn sample(
        &mut self,
        hub: &HubProperties,
        committed: &Committed,
        mut read: PartitionReads,
    ) -> Sample {
        let now = wall_clock();
        let commits = GroupCommits::of(hub, committed);
        let mut partitions = BTreeMap::new();
        for id in &hub.partition_ids {
            let owner = committed.owners.as_ref().and_then(|owners| owners.get(id));
            let seen = match read.remove(id) {
                None => self.not_asked(id),
                Some(Err(failure)) => PartitionObservation::Failed(failure),
                Some(Ok(LogEnd {
                    asked_at,
                    properties,
                })) => {
                    let known = self.partitions.entry(id.clone()).or_default();
                    known.read_at = Some(asked_at);
                    self.sizes.add(&properties);
                    let found = PartitionFound {
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
                    "not read for over two polls because the budget of management calls is used up: raise \
                     management_calls_per_second or poll_interval",
                ))
            }
            _ => PartitionObservation::NotAsked,
        }
    }
}

impl GroupReader for HubReader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(self.read())
    }

    fn findings(&self) -> Option<String> {
        (!self.layouts.is_empty()).then(|| format!("checkpoints: {}", self.layouts))
    }
}

fn distinct(owners: &BTreeMap<String, String>) -> u32 {
    let names: std::collections::BTreeSet<&String> = owners.values().collect();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

/// Enqueued times are wall-clock times of Azure, which runs by the same time as a synchronized machine.
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_millis(since_epoch.unwrap_or_default().as_millis() as u64)
}
