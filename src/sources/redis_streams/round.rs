//! One poll's reading of all partitions: every server is asked for its own, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::failure;
use super::nodes::Servers;
use super::partition::{PartitionMemory, RedisPartition};
use super::places::AskedSoFar;
use super::poll::PollConnections;
use super::server_layout::ServerLayout;
use super::shard::{Shard, ShardReading};
use super::turns::Turns;
use crate::model::sample::Failure;

/// The part of a poll's time after which it asks nothing more, so that what it read is told in time.
const ASKS_FOR: f64 = 15.0 / 16.0;

/// The part of it in which the keys are read, where there is more than one request's worth of them.
const READS_FOR: f64 = 3.0 / 4.0;

/// The times of a poll.
#[derive(Clone, Copy)]
pub struct PollTimes {
    started: Instant,
    deadline: Duration,
}

impl PollTimes {
    /// Of a poll that starts now and is dropped after `deadline`.
    pub fn start(deadline: Duration) -> Self {
        let started = Instant::now();
        Self { started, deadline }
    }

    /// Until when keys are read.
    pub fn reads_until(&self) -> Instant {
        self.started + self.deadline.mul_f64(READS_FOR)
    }

    /// Until when anything is asked.
    pub fn asks_until(&self) -> Instant {
        self.started + self.deadline.mul_f64(ASKS_FOR)
    }

    /// When the poll is dropped.
    pub fn ends(&self) -> Instant {
        self.started + self.deadline
    }
}

/// What the nodes had.
#[derive(Default)]
pub struct Readings {
    /// The partitions.
    pub partitions: Vec<RedisPartition>,
    elsewhere: Vec<(String, Failure)>,
    /// The clock of the first server, in milliseconds.
    pub now_millis: Option<u64>,
}

/// How the partitions of a group are read by this poll.
pub struct Round<'r> {
    /// Where they are.
    pub servers: &'r Servers,
    /// The consumer group.
    pub group: &'r str,
    /// Entries delivered longer ago are stuck.
    pub stuck_after: Duration,
    /// How often the group is polled.
    pub poll_interval: Duration,
    /// What was seen of a partition stands for so long.
    pub outdated_after: Duration,
    /// Counts polls, so that partitions take turns.
    pub polls: usize,
    /// What is remembered of the partitions.
    pub memories: &'r BTreeMap<String, Box<PartitionMemory>>,
    /// The times of the poll.
    pub times: PollTimes,
    /// What it asked for so far.
    pub asked: &'r AskedSoFar,
}

impl Round<'_> {
    /// Reads all keys, and where one of them moved, follows it; the layout is then the one of after.
    ///
    /// # Errors
    /// Nothing could be read.
    pub async fn read(
        &self,
        layout: &mut Arc<ServerLayout>,
        keys: Vec<String>,
        turns: &mut BTreeMap<String, Turns>,
    ) -> Result<Readings, Failure> {
        let mut read = self.read_keys(layout, keys, turns).await?;
        if !read.elsewhere.is_empty() {
            self.servers.outdated();
            *layout = self.servers.layout(self.times.reads_until()).await?;
            self.read_elsewhere(layout, &mut read).await?;
        }
        Ok(read)
    }

    /// Reads the keys, each from the node that has it, all nodes at once. Of a cluster, a node that fails takes its own partitions with
    /// it and no others.
    async fn read_keys(
        &self,
        layout: &Arc<ServerLayout>,
        keys: Vec<String>,
        turns: &mut BTreeMap<String, Turns>,
    ) -> Result<Readings, Failure> {
        let (mut by_node, uncovered) = layout.split(keys);
        if by_node.is_empty() && uncovered.is_empty() {
            // With no keys at all the server's clock is still asked for.
            by_node.insert(0, Vec::new());
        }
        let name = |node: usize| layout.nodes()[node].address().to_owned();
        turns.retain(|address, _| by_node.keys().any(|node| name(*node) == *address));
        by_node.keys().for_each(|node| {
            turns.entry(name(*node)).or_default();
        });
        let mut turns: BTreeMap<_, _> = turns.iter_mut().collect();
        let lines = PollConnections::new(layout, self.times.ends(), self.asked);
        let asking = by_node.iter().filter_map(|(node, keys)| {
            let shard = Shard {
                line: lines.node(*node),
                group: self.group,
                stuck_after: self.stuck_after,
                poll_interval: self.poll_interval,
                outdated_after: self.outdated_after,
                polls: self.polls,
                reads_until: self.times.reads_until(),
                asks_until: self.times.asks_until(),
            };
            Some(shard.read(keys, turns.remove(&name(*node))?, self.memories))
        });
        let asking: Vec<_> = asking.collect();
        let answers = join_all(asking).await;
        let mut all = Readings::default();
        for (keys, answer) in by_node.into_values().zip(answers) {
            match answer {
                Ok(reading) => all.add(reading),
                Err(failure) if layout.is_of_cluster() => {
                    self.servers.outdated();
                    let elsewhere = keys.into_iter().map(|key| (key, failure.clone()));
                    self.leave_out(&mut all, elsewhere.collect());
                }
                Err(failure) => return Err(failure),
            }
        }
        let why = |key| (key, failure::is_uncovered(&name(0)));
        self.leave_out(&mut all, uncovered.into_iter().map(why).collect());
        Ok(all)
    }

    /// Reads what the nodes said is elsewhere by now. What is still on its way there is left out of this poll.
    async fn read_elsewhere(
        &self,
        layout: &Arc<ServerLayout>,
        read: &mut Readings,
    ) -> Result<(), Failure> {
        let moved = std::mem::take(&mut read.elsewhere);
        let keys = moved.into_iter().map(|(key, _)| key).collect();
        // Apart from those of the other keys, which are not asked for now.
        let mut turns = BTreeMap::new();
        let mut again = self.read_keys(layout, keys, &mut turns).await?;
        let elsewhere = std::mem::take(&mut again.elsewhere);
        self.leave_out(read, elsewhere);
        read.partitions.append(&mut again.partitions);
        Ok(())
    }

    fn leave_out(&self, all: &mut Readings, keys: Vec<(String, Failure)>) {
        for (key, why) in keys {
            let memory = self.memories.get(&key).cloned().unwrap_or_default();
            all.partitions
                .push(RedisPartition::unread(key, why, memory));
        }
    }
}

impl Readings {
    fn add(&mut self, mut reading: ShardReading) {
        // The list of the first node is taken as it is: mostly there is no other.
        match self.partitions.is_empty() {
            true => self.partitions = reading.partitions,
            false => self.partitions.append(&mut reading.partitions),
        }
        self.elsewhere.extend(reading.elsewhere);
        self.now_millis = self.now_millis.or(reading.now_millis);
    }
}
