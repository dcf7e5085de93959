//! Reads one group, poll by poll. All that is remembered changes only once a step is through, without an await in
//! between, so a poll may be dropped at any await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{PollConnection, RedisConnection};
use super::consumers::ConsumerCensus;
use super::count::{self, CountedPartition};
use super::discovery::Discovery;
use super::errors::{ErrorCounter, Holding};
use super::followup;
use super::partition::{PartitionMemory, RedisPartition};
use super::pending::FirstUndelivered;
use super::range::{self, Budget, RangeCount};
use super::read::{self, KeyAnswer};
use super::turns::Turns;
use super::wake::Wake;
use crate::model::identity::PartitionId;
use crate::model::sample::{Failure, PartitionObservation, Sample};
use crate::model::signal::{ErrorCount, ErrorSource};
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::sources::{BoxFuture, GroupReader};

/// Carried lags that are looked at per poll: a page each. With more partitions it takes that many polls more.
const RECOUNTS_PER_POLL: usize = 16;

/// The part of a poll's time after which it asks nothing more, so that what it read is told in time.
const ASKS_FOR: f64 = 15.0 / 16.0;

/// The part of it in which the keys are read, where there is more than one request's worth of them.
const READS_FOR: f64 = 3.0 / 4.0;

/// How a group is polled.
#[derive(Clone, Copy, Debug)]
pub struct StreamPace {
    /// What a poll may take: after that it is dropped.
    pub deadline: Duration,
    /// What was seen of a partition stands for so long.
    pub outdated_after: Duration,
}

/// Entries that are recounted per poll beyond those pages, over all partitions.
const RECOUNTED_PER_POLL: usize = 10_000;

/// The reader of one group on one server.
pub struct StreamReader {
    connection: Arc<RedisConnection>,
    wake: Arc<Wake>,
    group: String,
    stuck_after: Duration,
    discovery: Discovery,
    memories: BTreeMap<String, PartitionMemory>,
    census: ConsumerCensus,
    errors: Option<ErrorCounter>,
    turns: Turns,
    pace: StreamPace,
    polls: usize,
}

impl GroupReader for StreamReader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(self.read())
    }

    fn count_errors(&mut self, of: &ErrorSource) {
        self.errors = Some(ErrorCounter::new(of.clone()));
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
        connection: Arc<RedisConnection>,
        wake: Arc<Wake>,
        stream: &StreamSelector,
        group: &str,
        stuck_after: Duration,
        pace: StreamPace,
    ) -> Self {
        Self {
            connection,
            wake,
            group: group.to_owned(),
            stuck_after,
            discovery: Discovery::new(stream.clone()),
            memories: BTreeMap::new(),
            census: ConsumerCensus::default(),
            errors: None,
            turns: Turns::default(),
            pace,
            polls: 0,
        }
    }

    async fn read(&mut self) -> Result<Sample, Failure> {
        let started = Instant::now();
        self.polls = self.polls.wrapping_add(1);
        let connection = Arc::clone(&self.connection);
        let part = |part: f64| started + self.pace.deadline.mul_f64(part);
        let (line, until) = (PollConnection::new(&connection, part(1.0)), part(READS_FOR));
        let keys = self.discovery.keys(&line).await?;
        let read = read::read_all(&line, &keys, &self.group, &mut self.turns, until).await?;
        let line = line.at_most(part(ASKS_FOR));
        let begin = |(key, reading): (String, KeyAnswer)| {
            let memory = self.memories.get(&key).cloned().unwrap_or_default();
            RedisPartition::begin(key, reading, memory)
        };
        let mut partitions: Vec<_> = read.readings.into_iter().map(begin).collect();
        self.recount(&line, &mut partitions).await;
        self.count_undelivered(&line, &mut partitions).await;
        is_any_left(&partitions)?;
        self.count_arrivals(&line, &mut partitions).await;
        self.ask_further(&line, &mut partitions).await;
        let consumers = self.count_consumers(&line, &partitions).await;
        let errors = self.errors_of(&line, &partitions, started).await;
        Ok(Sample {
            partitions: self.finish(partitions),
            consumers,
            source_time: read.now_millis.map(Timestamp::from_millis),
            read_limit_per_second: None,
            holders: self.census.holders(),
            errors,
        })
    }

    /// Looks whether lags that were only carried for long are true: the longest unseen first, a few per poll.
    async fn recount(&self, line: &PollConnection<'_>, partitions: &mut [RedisPartition]) {
        let now = Instant::now();
        let due = |(index, p): (usize, &RedisPartition)| Some((p.recount_due(now)?, index));
        let mut due: Vec<_> = partitions.iter().enumerate().filter_map(due).collect();
        due.sort_unstable();
        due.truncate(RECOUNTS_PER_POLL);
        let count = |(_, index): &(Instant, usize)| CountedPartition::of(&partitions[*index]);
        let mut counts: Vec<_> = due.iter().map(count).collect();
        count::look(line, &self.group, &mut counts).await;
        for ((_, index), count) in due.into_iter().zip(counts) {
            partitions[index].recounted(count.reading, count.lag);
        }
        self.recount_on(line, partitions).await;
    }

    /// Goes on with recounts of more than one page.
    async fn recount_on(&self, line: &PollConnection<'_>, partitions: &mut [RedisPartition]) {
        let recounting = partitions.iter_mut().filter_map(|p| {
            let rest = p.rest_of_recount()?;
            Some((rest, p))
        });
        let (mut rests, recounting): (Vec<_>, Vec<_>) = recounting.unzip();
        let mut budget = Budget::of_entries(line, RECOUNTED_PER_POLL);
        range::count_on(line, &mut rests, &mut budget, self.polls).await;
        for (partition, rest) in recounting.into_iter().zip(&rests) {
            partition.counted_on(rest);
        }
    }

    async fn count_undelivered(
        &self,
        line: &PollConnection<'_>,
        partitions: &mut [RedisPartition],
    ) {
        let mut uncertain: Vec<_> = partitions.iter_mut().filter(|p| p.must_count()).collect();
        let mut counts: Vec<_> = uncertain
            .iter()
            .map(|partition| CountedPartition::of(partition))
            .collect();
        count::count_all(line, &self.group, &mut counts, self.polls).await;
        for (partition, count) in uncertain.iter_mut().zip(counts) {
            partition.reading = count.reading;
            partition.lag = count.lag;
            partition.first = count.first.map(FirstUndelivered::At);
            if let Some(failure) = count.unread {
                partition.uncounted(failure, self.pace.outdated_after);
            }
        }
    }

    /// Redis 6.2 does not tell how many entries were added.
    async fn count_arrivals(&self, line: &PollConnection<'_>, partitions: &mut [RedisPartition]) {
        let mut uncertain = Vec::new();
        let mut countings = Vec::new();
        for partition in partitions {
            if let Some((after, until, bytes)) = partition.arrivals_between() {
                countings.push(RangeCount::new(&partition.key, after, until, bytes));
                uncertain.push(partition);
            }
        }
        let mut budget = Budget::start(line);
        range::count_on(line, &mut countings, &mut budget, self.polls).await;
        for (partition, counting) in uncertain.into_iter().zip(countings) {
            partition.arrived = counting.complete.then_some(counting.counted);
        }
    }

    async fn ask_further(&self, line: &PollConnection<'_>, partitions: &mut [RedisPartition]) {
        let at = Instant::now();
        let mut questions = Vec::new();
        let mut askers = Vec::new();
        for (index, partition) in partitions.iter_mut().enumerate() {
            for question in partition.questions(self.stuck_after, at) {
                questions.push((partition.key.clone(), question));
                askers.push(index);
            }
        }
        let answers = followup::ask(line, &self.group, &questions).await;
        for (index, answer) in askers.into_iter().zip(answers) {
            if let Some(partition) = partitions.get_mut(index) {
                partition.take(answer, at);
            }
        }
    }

    async fn count_consumers(
        &mut self,
        line: &PollConnection<'_>,
        partitions: &[RedisPartition],
    ) -> Option<u32> {
        let is_left_out = |p: &RedisPartition| matches!(p.reading, KeyAnswer::LeftOut(_));
        // Whoever is at work on a partition that was left out would be missing.
        if self.group.is_empty() || partitions.iter().any(is_left_out) {
            return None;
        }
        let is_present =
            |partition: &&RedisPartition| matches!(partition.reading, KeyAnswer::Present(_));
        let present: Vec<_> = partitions
            .iter()
            .filter(is_present)
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
            .count(line, &self.group, &present, &lagging, complete)
            .await
    }

    async fn errors_of(
        &mut self,
        line: &PollConnection<'_>,
        partitions: &[RedisPartition],
        started: Instant,
    ) -> Option<ErrorCount> {
        let left = self.pace.deadline.saturating_sub(started.elapsed());
        let counter = self.errors.as_mut()?;
        let keys: Vec<_> = partitions.iter().map(|p| p.key.clone()).collect();
        let holdings: Vec<_> = partitions.iter().filter_map(holding).collect();
        let counted = counter.count(line, &self.group, &keys, &holdings, left);
        Some(counted.await)
    }

    /// Turns what was found into observations, and remembers.
    fn finish(
        &mut self,
        partitions: Vec<RedisPartition>,
    ) -> BTreeMap<PartitionId, PartitionObservation> {
        let (at, counting) = (Instant::now(), self.connection.server().counting);
        let mut memories = BTreeMap::new();
        let mut observations = BTreeMap::new();
        for partition in partitions {
            let is_at_work = |name: &str| self.census.is_at_work(name);
            let (key, mut observation, memory) = match partition.left_out(self.pace.outdated_after)
            {
                Some(left_out) => partition.put_off(left_out),
                None => partition.finish(at, self.stuck_after, counting, is_at_work),
            };
            if let (PartitionObservation::Present(sample), Some(refused)) =
                (&mut observation, self.census.refused())
                && sample.stuck_in_work > 0
                && sample.remark.is_none()
            {
                sample.remark = Some(unwatched(sample.stuck_in_work, refused));
            }
            if let Some(id) = self.discovery.id(&key) {
                observations.insert(id.clone(), observation);
                memories.insert(key, memory);
            }
        }
        self.memories = memories;
        observations
    }
}

/// A poll that has nothing to tell fails.
fn is_any_left(partitions: &[RedisPartition]) -> Result<(), Failure> {
    let why = |partition: &RedisPartition| match &partition.reading {
        KeyAnswer::LeftOut(failure) => Some(failure.clone()),
        _ => None,
    };
    match partitions.iter().map(why).collect::<Option<Vec<_>>>() {
        Some(all) => all.into_iter().next().map_or(Ok(()), Err),
        None => Ok(()),
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
