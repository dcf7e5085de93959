//! What a poll works out about one partition, and what is remembered of it until the next. Pure: the reader asks.

mod counted;
mod left_out;
mod remark;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{KeyAnswer, Snapshot};
use super::failure;
use super::followup::{FollowUp, FollowUpResult};
use super::key;
use super::lag::{self, Agreement, LagVerdict};
use super::last_count::LastCount;
use super::log_end::{Counter, CounterStep};
use super::pending::{self, FirstUndelivered, Stuck};
use super::range::RangeCount as Range;
use super::recount::Recount;
use super::reply::PendingEntry;
use super::wake::End;
use crate::model::quantity::Quantity;
use crate::model::sample::{Counting, Failure, PartitionObservation, Position};

/// A lag that was only carried for so long is looked at: it may rest on a count that somebody set (`XGROUP SETID … ENTRIESREAD`).
const RECOUNT_AFTER: Duration = Duration::from_secs(60);

/// How often stuck entries are counted: the server walks through all pending ones for it.
const COUNT_STUCK_EVERY: Duration = Duration::from_secs(10);

/// What is remembered of a partition between polls.
#[derive(Clone, Debug, Default)]
pub struct PartitionMemory {
    agreement: Option<Agreement>,
    /// When the lag last followed from the ids or was counted.
    verified_at: Option<Instant>,
    counter: Option<Counter>,
    /// The first undelivered entry, and the group's position then.
    first: Option<(Position, Position)>,
    /// The result of the last complete search for stuck entries, and when it was through.
    stuck: Option<(Instant, Stuck)>,
    /// The search under way: what it found, and up to where it looked.
    search: Option<(Stuck, Position)>,
    /// The carried lag is being counted: it is more than one poll may read.
    recount: Option<Recount>,
    /// Undelivered entries as they were counted last. Shared: it is cloned at every poll.
    last_count: Option<Arc<LastCount>>,
    /// When it was read last, and whether something was seen to wait then.
    told: Option<(Instant, bool)>,
    /// The highest id given out, and what an entry takes.
    end: Option<(Position, usize)>,
    /// Which server all this is from.
    server: Option<Arc<str>>,
}

impl PartitionMemory {
    /// Where the stream ended when it was last read, if that is known.
    pub fn end(&self, key: &str) -> Option<End> {
        let (last, entry_bytes) = self.end?;
        Some(End {
            key: key.to_owned(),
            last,
            entry_bytes,
        })
    }
}

/// One partition within a poll.
#[derive(Debug)]
pub struct RedisPartition {
    /// Its key.
    pub key: String,
    /// What was read; counting replaces it by a later reading.
    pub reading: KeyAnswer,
    /// Undelivered entries, once known.
    pub lag: Option<Quantity>,
    /// The first undelivered entry, once known.
    pub first: Option<FirstUndelivered>,
    /// Bytes that the stream takes, as far as told.
    pub stored_bytes: Option<u64>,
    /// Entries that arrived since the last poll, where they had to be counted.
    pub arrived: Option<u64>,
    page: Option<Vec<PendingEntry>>,
    /// The server's own lag, where the polls before vouch for it.
    carried: Option<u64>,
    counting: Counting,
    /// Apart: it is half of all this, and goes on to the next poll.
    memory: Box<PartitionMemory>,
}

/// Which server a partition was read from.
#[derive(Clone, Debug, Default)]
pub struct ReadFrom {
    /// Where it is, if that was told.
    pub server: Option<Arc<str>>,
    /// What its count of deliveries is worth.
    pub counting: Counting,
}

impl RedisPartition {
    /// Begins with a reading and what is remembered; certifies the lag if that needs no counting.
    pub fn begin(
        key: String,
        reading: KeyAnswer,
        from: &ReadFrom,
        mut memory: Box<PartitionMemory>,
    ) -> Self {
        // What one server said vouches for nothing that another one says: a replica that was promoted counts by itself.
        if from.server.is_some() && memory.server != from.server {
            memory.agreement = None;
            memory.recount = None;
            memory.last_count = None;
            memory.server.clone_from(&from.server);
        }
        let verdict = match &reading {
            KeyAnswer::Present(now) => {
                lag::certify(&now.stream, &now.group, memory.agreement.as_ref())
            }
            _ => LagVerdict::MustCount,
        };
        let (mut lag, mut carried) = match verdict {
            LagVerdict::Derived(n) => (Some(Quantity::Exact(n)), None),
            LagVerdict::Carried(n) => (Some(Quantity::Exact(n)), Some(n)),
            LagVerdict::MustCount => (None, None),
        };
        if let KeyAnswer::Present(now) = &reading {
            let before = memory.recount.take();
            if let (Some(before), Some(native)) = (before, carried) {
                (lag, carried, memory.recount) = before.weigh(now, native);
            }
        }
        Self {
            key,
            reading,
            lag,
            first: None,
            stored_bytes: None,
            arrived: None,
            page: None,
            carried,
            counting: from.counting,
            memory,
        }
    }

    /// One that was not read.
    pub fn unread(key: String, why: Failure, memory: Box<PartitionMemory>) -> Self {
        let from = ReadFrom {
            server: memory.server.clone(),
            ..ReadFrom::default()
        };
        Self::begin(key, KeyAnswer::LeftOut(why), &from, memory)
    }

    /// Whether its group was read.
    pub const fn is_present(&self) -> bool {
        matches!(self.reading, KeyAnswer::Present(_))
    }

    /// Whether the undelivered entries must be counted.
    pub fn must_count(&self) -> bool {
        let is_counted = |now: &Snapshot| now.group.last_delivered.is_some();
        self.lag.is_none() && matches!(&self.reading, KeyAnswer::Present(now) if is_counted(now))
    }

    /// Since when the lag was carried only, if that is long enough to look whether it is true.
    pub fn recount_due(&self, at: Instant) -> Option<Instant> {
        let is_new = self.carried.is_some() && self.memory.recount.is_none();
        let verified = self.memory.verified_at.filter(|_| is_new)?;
        (at.duration_since(verified) >= RECOUNT_AFTER).then_some(verified)
    }

    /// Takes a page of what lies after the group's position, read with a new reading: it confirms the carried lag, or tells another.
    pub fn recounted(&mut self, reading: KeyAnswer, page: Option<Quantity>) {
        let memory = std::mem::take(&mut self.memory);
        let key = std::mem::take(&mut self.key);
        let from = ReadFrom {
            server: memory.server.clone(),
            counting: self.counting,
        };
        *self = Self::begin(key, reading, &from, memory);
        match (self.lag, page) {
            (_, Some(Quantity::Exact(n))) => {
                self.lag = Some(Quantity::Exact(n));
                self.carried = None;
            }
            // More than one page: a lag that is larger than what was seen is counted over several polls, a smaller one at once.
            (Some(lag), Some(Quantity::AtLeast(n))) if lag.value() >= n => {
                if let KeyAnswer::Present(now) = &self.reading {
                    self.memory.recount = Recount::begin(now);
                }
            }
            (_, Some(Quantity::AtLeast(_))) => (self.lag, self.carried) = (None, None),
            (_, None) => {}
        }
    }

    /// What a recount under way has still to count.
    pub fn rest_of_recount(&self) -> Option<Range> {
        let entry_bytes = self.reading.stream()?.entry_bytes;
        let recount = self.memory.recount.as_ref()?;
        Some(recount.rest(&self.key, entry_bytes))
    }

    /// Takes what was counted of that. A lag that contradicts it is told no more; what is true, the next reading shows.
    pub fn counted_on(&mut self, rest: &Range) {
        let Some(recount) = &mut self.memory.recount else {
            return;
        };
        if rest.failed.is_none() {
            recount.take(rest);
        }
        if let (KeyAnswer::Present(now), Some(native)) = (&self.reading, self.carried) {
            self.lag = recount.contradicts(native, now).or(self.lag);
        }
    }

    /// Whether entries are known to wait for delivery.
    pub fn is_lagging(&self) -> bool {
        self.lag.is_some_and(|lag| lag.value() > 0)
    }

    /// The interval in which arrivals must be counted, where the server does not tell them.
    pub fn arrivals_between(&self) -> Option<(Position, Position, usize)> {
        let stream = self
            .reading
            .stream()
            .filter(|stream| !stream.counts_added)?;
        match self.memory.counter.as_ref()?.step(stream) {
            CounterStep::CountAfter(id) => Some((id, stream.last_generated?, stream.entry_bytes)),
            CounterStep::Arrived(_) | CounterStep::Unknown => None,
        }
    }

    /// What must still be asked.
    pub fn questions(&mut self, stuck_after: Duration, at: Instant) -> Vec<FollowUp> {
        let KeyAnswer::Present(now) = &self.reading else {
            return Vec::new();
        };
        let mut questions = Vec::new();
        if self.first.is_none() {
            self.first = self.first_known(now);
        }
        if self.first.is_none()
            && let (Some(after), Some(until)) = (now.group.last_delivered, now.stream.last)
        {
            questions.push(FollowUp::FirstBetween {
                after,
                until,
                entry_bytes: now.stream.entry_bytes,
            });
        }
        if !pending::is_suspect(now, stuck_after) {
            self.memory.stuck = None;
            self.memory.search = None;
            return questions;
        }
        questions.push(FollowUp::PendingPage);
        let searched = self.memory.stuck.as_ref().map(|(at, _)| *at);
        let is_due = searched.is_none_or(|then| at.duration_since(then) >= COUNT_STUCK_EVERY);
        if is_due || self.memory.search.is_some() {
            questions.push(FollowUp::Stuck {
                stuck_after,
                after: self.memory.search.as_ref().map(|(_, after)| *after),
                now_millis: now.now_millis,
            });
        }
        questions
    }

    /// Takes the answer to one of its questions.
    pub fn take(&mut self, answer: FollowUpResult, at: Instant) {
        match answer {
            FollowUpResult::First(Some(id)) => self.first = Some(FirstUndelivered::At(id)),
            // All undelivered entries went away since they were seen.
            FollowUpResult::First(None) => self.first = Some(FirstUndelivered::None),
            FollowUpResult::Pending(page) => self.page = Some(page),
            FollowUpResult::Stuck(found, after) => {
                let before = self.memory.search.take().map(|(before, _)| before);
                let mut all = before.unwrap_or_default();
                all.merge(&found);
                match after {
                    Some(after) => self.memory.search = Some((all, after)),
                    None => self.memory.stuck = Some((at, all)),
                }
            }
            FollowUpResult::Unread => {}
            FollowUpResult::GroupGone => {
                if let Some(stream) = self.reading.stream().cloned() {
                    self.reading = KeyAnswer::GroupMissing(stream);
                }
            }
            FollowUpResult::Refused(failure) => self.reading = KeyAnswer::Failed(failure),
        }
    }

    /// The observation, and what to remember.
    pub fn finish(
        mut self,
        at: Instant,
        stuck_after: Duration,
        is_at_work: impl Fn(&str) -> bool,
    ) -> (String, PartitionObservation, Box<PartitionMemory>) {
        let log_end = self.log_end();
        let observation = match &self.reading {
            KeyAnswer::Present(now) => {
                let mut sample = self.sample(now, log_end, stuck_after, is_at_work);
                if now.stream.counts_added && !now.group.is_read_count_garbled {
                    sample.counting = self.counting;
                }
                let vouched = self.carried.or(self.lag.and_then(Quantity::exact));
                self.memory.agreement =
                    vouched.and_then(|lag| lag::agreement(&now.stream, &now.group, lag));
                if self.carried.is_none() {
                    self.memory.verified_at = Some(at);
                }
                self.memory.first = match self.first {
                    Some(FirstUndelivered::At(id)) => now.group.last_delivered.map(|at| (id, at)),
                    _ => None,
                };
                PartitionObservation::Present(sample)
            }
            KeyAnswer::GroupMissing(stream) => {
                let Some(length) = stream.length else {
                    let failure =
                        failure::garbled(&key::shown(&self.key), "the length of the stream");
                    return (self.key, PartitionObservation::Failed(failure), self.memory);
                };
                *self.memory = PartitionMemory {
                    counter: self.memory.counter,
                    ..PartitionMemory::default()
                };
                PartitionObservation::GroupMissing { length, log_end }
            }
            KeyAnswer::StreamMissing => {
                *self.memory = PartitionMemory::default();
                PartitionObservation::StreamMissing
            }
            KeyAnswer::Failed(failure)
            | KeyAnswer::Elsewhere(failure)
            | KeyAnswer::LeftOut(failure) => PartitionObservation::Failed(failure.clone()),
        };
        self.memory.end = match &self.reading {
            KeyAnswer::StreamMissing => Some((Position::default(), 0)),
            reading => reading
                .stream()
                .and_then(|stream| Some((stream.last_generated?, stream.entry_bytes))),
        };
        self.memory.told = match &observation {
            PartitionObservation::Present(sample) => {
                Some((at, sample.backlog().is_some_and(|n| n.value() > 0)))
            }
            _ => None,
        };
        (self.key, observation, self.memory)
    }

    fn log_end(&mut self) -> Option<u64> {
        let stream = self.reading.stream()?.clone();
        if stream.counts_added {
            return stream.entries_added;
        }
        let Some(counter) = &mut self.memory.counter else {
            self.memory.counter = Counter::start(&stream);
            return self.memory.counter.as_ref().map(Counter::value);
        };
        let arrived = match counter.step(&stream) {
            CounterStep::Arrived(n) => Some(n),
            CounterStep::CountAfter(_) => self.arrived,
            CounterStep::Unknown => None,
        };
        counter.advance(&stream, arrived)
    }
}
