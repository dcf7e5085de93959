//! Reads those of a group's partitions that are on one server.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::all_keys::{KeyAnswers, read_all};
use super::answer::KeyAnswer;
use super::count::{self, together};
use super::followup;
use super::partition::{PartitionMemory, ReadFrom, RedisPartition};
use super::poll::PollConnection;
use super::range::{self, Budget, RangeCount};
use super::read;
use super::shared::taken_since;
use super::turns::Turns;
use crate::model::sample::Failure;

/// Carried lags that are looked at per poll: a page each. With more partitions it takes that many polls more.
const RECOUNTS_PER_POLL: usize = 16;

/// Entries that are recounted per poll beyond those pages, over all partitions.
const RECOUNTED_PER_POLL: usize = 10_000;

/// What a poll asks of one server.
pub struct Shard<'p> {
    /// The connection to it.
    pub line: PollConnection<'p>,
    /// The consumer group.
    pub group: &'p str,
    /// Entries delivered longer ago are stuck.
    pub stuck_after: Duration,
    /// How often the group is polled.
    pub poll_interval: Duration,
    /// What was seen of a partition stands for so long.
    pub outdated_after: Duration,
    /// Counts polls, so that partitions take turns.
    pub polls: usize,
    /// Until when keys are read, …
    pub reads_until: Instant,
    /// … and until when anything is asked.
    pub asks_until: Instant,
}

/// What the server had.
pub struct ShardReading {
    /// The partitions.
    pub partitions: Vec<RedisPartition>,
    /// Keys that are on another server, or on their way there.
    pub elsewhere: Vec<(String, Failure)>,
    /// The server's clock, in milliseconds.
    pub now_millis: Option<u64>,
}

impl Shard<'_> {
    /// Reads the keys, and asks what more there is to know of them.
    ///
    /// # Errors
    /// Nothing could be read.
    pub async fn read(
        mut self,
        keys: &[String],
        turns: &mut Turns,
        memories: &BTreeMap<String, Box<PartitionMemory>>,
    ) -> Result<ShardReading, Failure> {
        turns.keep(keys);
        let read = self.read_or_share(keys, turns).await?;
        self.line = self.line.at_most(self.asks_until);
        let from = ReadFrom {
            server: self.line.server_address(),
            counting: self.line.server().counting,
        };
        // A list that grows may end up half empty, and while it grows it takes three times its size: with 10,000 partitions that is seen.
        let mut partitions = Vec::with_capacity(read.readings.len());
        let mut elsewhere = Vec::new();
        for (key, reading) in read.readings {
            if let KeyAnswer::Elsewhere(failure) = reading {
                elsewhere.push((key, failure));
                continue;
            }
            let memory = memories.get(&key).cloned().unwrap_or_default();
            partitions.push(RedisPartition::begin(key, reading, &from, memory));
        }
        self.recount(&mut partitions).await;
        self.count_undelivered(&mut partitions).await;
        is_any_left(&partitions)?;
        self.count_arrivals(&mut partitions).await;
        self.ask_further(&mut partitions).await;
        self.look_at_memory(&mut partitions).await;
        Ok(ShardReading {
            partitions,
            elsewhere,
            now_millis: read.now_millis,
        })
    }

    /// Reads the keys, but for those that were just read for another group.
    async fn read_or_share(
        &self,
        keys: &[String],
        turns: &mut Turns,
    ) -> Result<KeyAnswers, Failure> {
        let shared = self.line.shared();
        // However long this waits for others: what they ask from now on is of now.
        let since = taken_since(self.poll_interval);
        let mut found = shared.find(keys, self.group, since);
        let mut turn = None;
        if found.is_awaited {
            // One that is slow, perhaps for keys of its own, does not take all of the others' time.
            let patience = Instant::now() + self.line.response_timeout() / 2;
            let until = patience.min(self.reads_until);
            turn = timeout_at(until, shared.take_turn()).await.ok();
            found = shared.find(keys, self.group, since);
            turn = turn.filter(|_| !found.unread.is_empty());
        }
        if found.fresh.is_empty() {
            if let Some(failure) = turn.as_ref().and_then(|_| shared.outage(since)) {
                return Err(failure);
            }
            let (asked_at, until) = (Instant::now(), self.reads_until);
            let read = read_all(&self.line, &found.unread, self.group, turns, until).await;
            if let (Err(failure), Some(_)) = (&read, &turn) {
                shared.failed(asked_at, failure);
            }
            return read;
        }
        let mut all = KeyAnswers {
            now_millis: found.now_millis,
            readings: Vec::new(),
        };
        if !found.unread.is_empty() {
            let keys = &found.unread;
            let read = read_all(&self.line, keys, self.group, turns, self.reads_until).await;
            drop(turn);
            all.readings = match read {
                Ok(read) => read.readings,
                Err(why) => {
                    let left_out = |key: &String| (key.clone(), KeyAnswer::LeftOut(why.clone()));
                    keys.iter().map(left_out).collect()
                }
            };
        }
        read::add_pending(&self.line, self.group, &mut found.fresh).await;
        all.readings.append(&mut found.fresh);
        Ok(all)
    }

    /// Looks whether lags that were only carried for long are true: the longest unseen first, a few per poll.
    async fn recount(&self, partitions: &mut [RedisPartition]) {
        let now = Instant::now();
        let due = |(index, p): (usize, &RedisPartition)| Some((p.recount_due(now)?, index));
        let mut due: Vec<_> = partitions.iter().enumerate().filter_map(due).collect();
        due.sort_unstable();
        due.truncate(RECOUNTS_PER_POLL);
        let count = |(_, index): &(Instant, usize)| partitions[*index].to_count();
        let mut counts: Vec<_> = due.iter().map(count).collect();
        count::look(&self.line, self.group, &mut counts).await;
        for ((_, index), count) in due.into_iter().zip(counts) {
            partitions[index].recounted(count.reading.settled(), count.lag);
        }
        self.recount_on(partitions).await;
    }

    /// Goes on with recounts of more than one page.
    async fn recount_on(&self, partitions: &mut [RedisPartition]) {
        let recounting = partitions.iter_mut().filter_map(|p| {
            let rest = p.rest_of_recount()?;
            Some((rest, p))
        });
        let (mut rests, recounting): (Vec<_>, Vec<_>) = recounting.unzip();
        let mut budget = Budget::of_entries(&self.line, RECOUNTED_PER_POLL);
        range::count_on(&self.line, &mut rests, &mut budget, self.polls).await;
        for (partition, rest) in recounting.into_iter().zip(&rests) {
            partition.counted_on(rest);
        }
    }

    async fn count_undelivered(&self, partitions: &mut [RedisPartition]) {
        let uncertain = partitions.iter_mut().filter(|p| p.must_count());
        let is_shared = |p: &&mut RedisPartition| together::is_for(&self.line, &p.key, &p.reading);
        let (shared, own): (Vec<_>, Vec<_>) = uncertain.partition(is_shared);
        let of = |partitions: &[&mut RedisPartition]| -> Vec<_> {
            partitions.iter().map(|p| p.to_count()).collect()
        };
        let (mut of_shared, mut of_own) = (of(&shared), of(&own));
        together::count_all(&self.line, self.group, &mut of_shared, self.polls).await;
        count::count_all(&self.line, self.group, &mut of_own, self.polls).await;
        let partitions = shared.into_iter().chain(own);
        for (partition, count) in partitions.zip(of_shared.into_iter().chain(of_own)) {
            partition.counted(count, self.outdated_after);
        }
    }

    /// Redis 6.2 does not tell how many entries were added.
    async fn count_arrivals(&self, partitions: &mut [RedisPartition]) {
        let mut uncertain = Vec::new();
        let mut countings = Vec::new();
        for partition in partitions {
            if let Some((after, until, bytes)) = partition.arrivals_between() {
                countings.push(RangeCount::new(&partition.key, after, until, bytes));
                uncertain.push(partition);
            }
        }
        let mut budget = Budget::start(&self.line);
        range::count_on(&self.line, &mut countings, &mut budget, self.polls).await;
        for (partition, counting) in uncertain.into_iter().zip(countings) {
            partition.arrived = counting.complete.then_some(counting.counted);
        }
    }

    async fn look_at_memory(&self, partitions: &mut [RedisPartition]) {
        let memory = self.line.memory();
        let present = partitions.iter().filter(|p| p.is_present());
        if let Some(questions) = memory.due(present.map(|p| p.key.as_str()))
            && let Ok(replies) = self.line.request(questions.commands()).await
        {
            memory.take(&questions, &replies);
        }
        for partition in partitions {
            partition.stored_bytes = memory.of_stream(&partition.key);
        }
    }

    async fn ask_further(&self, partitions: &mut [RedisPartition]) {
        let at = Instant::now();
        let mut questions = Vec::new();
        let mut askers = Vec::new();
        for (index, partition) in partitions.iter_mut().enumerate() {
            for question in partition.questions(self.stuck_after, at) {
                questions.push((partition.key.clone(), question));
                askers.push(index);
            }
        }
        let answers = followup::ask(&self.line, self.group, &questions).await;
        for (index, answer) in askers.into_iter().zip(answers) {
            if let Some(partition) = partitions.get_mut(index) {
                partition.take(answer, at);
            }
        }
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
