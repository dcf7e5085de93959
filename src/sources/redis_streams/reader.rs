//! Reads one group, poll by poll. All that is remembered changes only once a step is through, without an await in
//! between, so a poll may be dropped at any await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::KeyAnswer;
use super::consumers::ConsumerCensus;
use super::discovery::Discovery;
use super::errors::{ErrorCounter, Holding};
use super::keyspace::Keyspace;
use super::nodes::Servers;
use super::partition::{PartitionMemory, RedisPartition};
use super::places::AskedSoFar;
use super::poll::PollConnections;
use super::round::{PollTimes, Round};
use super::shared::ReadKeys;
use super::turns::Turns;
use super::wake::Wake;
use crate::model::identity::PartitionId;
use crate::model::sample::{Failure, PartitionObservation, Sample};
use crate::model::signal::{ErrorCount, ErrorSource};
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::sources::{BoxFuture, GroupReader, RoomAsked};

/// How a group is polled.
#[derive(Clone, Copy, Debug)]
pub struct StreamPace {
    /// What a poll may take: after that it is dropped.
    pub deadline: Duration,
    /// How often it is.
    pub poll_interval: Duration,
    /// What was seen of a partition stands for so long.
    pub outdated_after: Duration,
}

/// The reader of one group.
pub struct StreamReader {
    servers: Arc<Servers>,
    wake: Arc<Wake>,
    group: String,
    stuck_after: Duration,
    discovery: Discovery,
    /// What it asks for, and by which look-up.
    keys: ReadKeys,
    looked_up: Option<u64>,
    memories: BTreeMap<String, Box<PartitionMemory>>,
    census: ConsumerCensus,
    errors: Option<ErrorCounter>,
    /// By the address of the node.
    turns: BTreeMap<String, Turns>,
    pace: StreamPace,
    polls: usize,
}

impl GroupReader for StreamReader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(self.read())
    }

    fn within(&mut self, room: RoomAsked) {
        self.discovery.within(room);
    }

    fn count_errors(&mut self, of: &ErrorSource) {
        self.errors = Some(ErrorCounter::new(of.clone()));
    }

    fn until_ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.discovery.until_found())
    }

    fn until_news(&mut self) -> BoxFuture<'_, ()> {
        let ends = self.memories.iter();
        let ends = ends.filter_map(|(key, memory)| memory.end(key)).collect();
        Box::pin(self.wake.until_news(ends))
    }
}

impl StreamReader {
    /// A reader that has seen nothing yet.
    pub fn new(
        servers: Arc<Servers>,
        wake: Arc<Wake>,
        keyspace: &Arc<Keyspace>,
        stream: &StreamSelector,
        group: &str,
        stuck_after: Duration,
        pace: StreamPace,
    ) -> Self {
        Self {
            keys: servers.no_keys_yet(),
            looked_up: None,
            servers,
            wake,
            group: group.to_owned(),
            stuck_after,
            discovery: Discovery::new(stream.clone(), keyspace),
            memories: BTreeMap::new(),
            census: ConsumerCensus::default(),
            errors: None,
            turns: BTreeMap::new(),
            pace,
            polls: 0,
        }
    }

    async fn read(&mut self) -> Result<Sample, Failure> {
        let (times, asked) = (PollTimes::start(self.pace.deadline), AskedSoFar::default());
        self.polls = self.polls.wrapping_add(1);
        let servers = Arc::clone(&self.servers);
        let mut layout = servers.layout(times.reads_until()).await?;
        let lines = PollConnections::new(&layout, times.ends(), &asked);
        let keys = self.discovery.keys(&lines).await?;
        if self.looked_up != Some(self.discovery.lookups()) {
            self.looked_up = Some(self.discovery.lookups());
            self.keys.replace(&keys);
        }
        let round = Round {
            servers: &servers,
            group: &self.group,
            stuck_after: self.stuck_after,
            poll_interval: self.pace.poll_interval,
            outdated_after: self.pace.outdated_after,
            polls: self.polls,
            memories: &self.memories,
            times,
            asked: &asked,
        };
        let read = round.read(&mut layout, keys, &mut self.turns).await?;
        let lines = PollConnections::new(&layout, times.asks_until(), &asked);
        let consumers = self.count_consumers(&lines, &read.partitions).await;
        let errors = self.errors_of(&lines, &read.partitions, times.ends()).await;
        Ok(Sample {
            partitions: self.finish(read.partitions),
            consumers,
            source_time: read.now_millis.map(Timestamp::from_millis),
            read_limit_per_second: None,
            holders: self.census.holders(),
            errors,
        })
    }

    async fn count_consumers(
        &mut self,
        lines: &PollConnections<'_>,
        partitions: &[RedisPartition],
    ) -> Option<u32> {
        let is_left_out = |p: &RedisPartition| matches!(p.reading, KeyAnswer::LeftOut(_));
        // Whoever is at work on a partition that was left out would be missing.
        if self.group.is_empty() || partitions.iter().any(is_left_out) {
            return None;
        }
        let present: Vec<_> = partitions
            .iter()
            .filter(|p| p.is_present())
            .map(|p| p.key.clone())
            .collect();
        let lagging: BTreeSet<_> = partitions
            .iter()
            .filter(|p| p.is_lagging())
            .map(|p| p.key.clone())
            .collect();
        let complete = !partitions
            .iter()
            .any(|p| matches!(p.reading, KeyAnswer::Failed(_)));
        self.census
            .count(lines, &self.group, &present, &lagging, complete)
            .await
    }

    async fn errors_of(
        &mut self,
        lines: &PollConnections<'_>,
        partitions: &[RedisPartition],
        ends: Instant,
    ) -> Option<ErrorCount> {
        let left = ends.saturating_duration_since(Instant::now());
        let counter = self.errors.as_mut()?;
        let keys: Vec<_> = partitions.iter().map(|p| p.key.clone()).collect();
        let holdings: Vec<_> = partitions.iter().filter_map(holding).collect();
        let counted = counter.count(lines, &self.group, &keys, &holdings, left);
        Some(counted.await)
    }

    /// Turns what was found into observations, and remembers.
    fn finish(
        &mut self,
        partitions: Vec<RedisPartition>,
    ) -> BTreeMap<PartitionId, PartitionObservation> {
        let at = Instant::now();
        let mut memories = Vec::with_capacity(partitions.len());
        let mut observations = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let is_at_work = |name: &str| self.census.is_at_work(name);
            let (key, mut observation, memory) = match partition.left_out(self.pace.outdated_after)
            {
                Some(left_out) => partition.put_off(left_out),
                None => partition.finish(at, self.stuck_after, is_at_work),
            };
            if let (PartitionObservation::Present(sample), Some(refused)) =
                (&mut observation, self.census.refused())
                && sample.stuck_in_work > 0
                && sample.remark.is_none()
            {
                sample.remark = Some(unwatched(sample.stuck_in_work, refused));
            }
            if let Some(id) = self.discovery.id(&key) {
                observations.push((id.clone(), observation));
                memories.push((key, memory));
            }
        }
        // At once: a map that grows in order is left half empty.
        self.memories = memories.into_iter().collect();
        observations.into_iter().collect()
    }
}

/// Says what keeps a group active for good.
fn unwatched(stuck: u64, refused: &Failure) -> String {
    format!(
        "{stuck} pending entries are stuck and keep the group active, because streamgauge cannot see whether their consumers are still working: {refused}; allow \
         XINFO CONSUMERS, or acknowledge or delete these entries"
    )
}

fn holding(partition: &RedisPartition) -> Option<Holding> {
    let KeyAnswer::Present(now) = &partition.reading else {
        return None;
    };
    Some(Holding {
        key: partition.key.clone(),
        last_delivered: now.group.last_delivered?,
        is_pending: now.group.pending != Some(0),
    })
}
