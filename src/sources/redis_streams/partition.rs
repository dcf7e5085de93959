//! What a poll works out about one partition, and what is remembered of it until the next. Pure: the reader asks.

use std::time::Duration;

use tokio::time::Instant;

use super::followup::{Answer, PENDING_PAGE, Question};
use super::lag::{self, Agreement, Verdict};
use super::log_end::{Counter, Step};
use super::pending::{self, FirstUndelivered};
use super::read::{Reading, Snapshot};
use super::reply::{PendingEntry, StreamInfo};
use crate::model::quantity::Quantity;
use crate::model::sample::{Counting, PartitionObservation, PartitionSample, Position};

/// How often stuck entries are counted: the server walks through all pending ones for it.
const COUNT_STUCK_EVERY: Duration = Duration::from_secs(10);

/// What is remembered of a partition between polls.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    agreement: Option<Agreement>,
    counter: Option<Counter>,
    /// The first undelivered entry, and the group's position then.
    first: Option<(Position, Position)>,
    stuck: Option<(Instant, u64)>,
}

/// One partition within a poll.
#[derive(Debug)]
pub struct Partition {
    /// Its key.
    pub key: String,
    /// What was read; counting replaces it by a later reading.
    pub reading: Reading,
    /// Undelivered entries, once known.
    pub lag: Option<Quantity>,
    /// The first undelivered entry, once known.
    pub first: Option<FirstUndelivered>,
    /// Entries that arrived since the last poll, where they had to be counted.
    pub arrived: Option<u64>,
    page: Option<Vec<PendingEntry>>,
    memory: Memory,
}

impl Partition {
    /// Begins with a reading and what is remembered; certifies the lag if that needs no counting.
    pub fn begin(key: String, reading: Reading, memory: Memory) -> Self {
        let lag = match &reading {
            Reading::Present(now) => {
                match lag::certify(&now.stream, &now.group, memory.agreement.as_ref()) {
                    Verdict::Derived(n) | Verdict::Carried(n) => Some(Quantity::Exact(n)),
                    Verdict::MustCount => None,
                }
            }
            _ => None,
        };
        Self {
            key,
            reading,
            lag,
            first: None,
            arrived: None,
            page: None,
            memory,
        }
    }

    /// Whether the undelivered entries must be counted.
    pub fn must_count(&self) -> bool {
        self.lag.is_none() && matches!(self.reading, Reading::Present(_))
    }

    /// Whether entries are known to wait for delivery.
    pub fn is_lagging(&self) -> bool {
        self.lag.is_some_and(|lag| lag.value() > 0)
    }

    /// The interval in which arrivals must be counted, where the server does not tell them.
    pub fn arrivals_between(&self) -> Option<(Position, Position, usize)> {
        let stream = self
            .stream()
            .filter(|stream| stream.entries_added.is_none())?;
        match self.memory.counter.as_ref()?.step(stream) {
            Step::CountAfter(id) => Some((id, stream.last_generated, stream.entry_bytes)),
            Step::Arrived(_) | Step::Unknown => None,
        }
    }

    fn stream(&self) -> Option<&StreamInfo> {
        match &self.reading {
            Reading::Present(now) => Some(&now.stream),
            Reading::GroupMissing(stream) => Some(stream),
            Reading::StreamMissing | Reading::Failed(_) => None,
        }
    }

    /// What must still be asked.
    pub fn questions(&mut self, stuck_after: Duration, at: Instant) -> Vec<Question> {
        let Reading::Present(now) = &self.reading else {
            return Vec::new();
        };
        let mut questions = Vec::new();
        if self.first.is_none() {
            self.first = first_known(now, self.lag, &self.memory);
        }
        if self.first.is_none()
            && let Some(until) = now.stream.last
        {
            questions.push(Question::FirstBetween {
                after: now.group.last_delivered,
                until,
                entry_bytes: now.stream.entry_bytes,
            });
        }
        if !pending::is_suspect(now, stuck_after) {
            self.memory.stuck = None;
            return questions;
        }
        questions.push(Question::PendingPage);
        let counted = self.memory.stuck.map(|(counted, _)| counted);
        if counted.is_none_or(|counted| at.duration_since(counted) >= COUNT_STUCK_EVERY) {
            questions.push(Question::StuckCount(stuck_after));
        }
        questions
    }

    /// Takes the answer to one of its questions.
    pub fn take(&mut self, answer: Answer, at: Instant) {
        match answer {
            Answer::First(Some(id)) => self.first = Some(FirstUndelivered::At(id)),
            // All undelivered entries went away since they were seen.
            Answer::First(None) => self.first = Some(FirstUndelivered::None),
            Answer::Pending(page) => self.page = Some(page),
            Answer::Stuck(count) => self.memory.stuck = Some((at, count)),
            Answer::GroupGone => {
                if let Some(stream) = self.stream().cloned() {
                    self.reading = Reading::GroupMissing(stream);
                }
            }
            Answer::Refused(failure) => self.reading = Reading::Failed(failure),
        }
    }

    /// The observation, and what to remember.
    pub fn finish(
        mut self,
        stuck_after: Duration,
        counting: Counting,
    ) -> (String, PartitionObservation, Memory) {
        let log_end = self.log_end();
        let observation = match &self.reading {
            Reading::Present(now) => {
                let mut sample = sample(now, &self, log_end, stuck_after);
                if now.stream.entries_added.is_some() {
                    sample.counting = counting;
                }
                self.memory.agreement = self
                    .lag
                    .and_then(Quantity::exact)
                    .and_then(|lag| lag::agreement(&now.stream, &now.group, lag));
                self.memory.first = match self.first {
                    Some(FirstUndelivered::At(id)) => Some((id, now.group.last_delivered)),
                    _ => None,
                };
                PartitionObservation::Present(sample)
            }
            Reading::GroupMissing(stream) => {
                let length = stream.length;
                self.memory = Memory {
                    counter: self.memory.counter,
                    ..Memory::default()
                };
                PartitionObservation::GroupMissing { length, log_end }
            }
            Reading::StreamMissing => {
                self.memory = Memory::default();
                PartitionObservation::StreamMissing
            }
            Reading::Failed(failure) => PartitionObservation::Failed(failure.clone()),
        };
        (self.key, observation, self.memory)
    }

    fn log_end(&mut self) -> Option<u64> {
        let stream = self.stream()?.clone();
        if stream.entries_added.is_some() {
            return stream.entries_added;
        }
        let Some(counter) = &mut self.memory.counter else {
            self.memory.counter = Some(Counter::start(&stream));
            return Some(stream.length);
        };
        let arrived = match counter.step(&stream) {
            Step::Arrived(n) => Some(n),
            Step::CountAfter(_) => self.arrived,
            Step::Unknown => None,
        };
        counter.advance(&stream, arrived)
    }
}

/// The first undelivered entry, if what was read or remembered tells it.
fn first_known(now: &Snapshot, lag: Option<Quantity>, memory: &Memory) -> Option<FirstUndelivered> {
    if lag == Some(Quantity::Exact(0)) {
        return Some(FirstUndelivered::None);
    }
    let at = now.group.last_delivered;
    let first = now.stream.first?;
    if at < first {
        return Some(FirstUndelivered::At(first));
    }
    let (id, after) = memory.first?;
    // It still is, if the group has not passed it or moved back, and it was neither trimmed nor deleted.
    let unmoved = after <= at && at < id;
    let kept = first <= id && now.stream.max_deleted.is_some_and(|deleted| deleted < id);
    (unmoved && kept).then_some(FirstUndelivered::At(id))
}

fn sample(
    now: &Snapshot,
    partition: &Partition,
    log_end: Option<u64>,
    stuck_after: Duration,
) -> PartitionSample {
    let (stream, group) = (&now.stream, &now.group);
    let stuck = partition
        .memory
        .stuck
        .map_or(0, |(_, count)| count)
        .min(group.pending);
    let page = partition.page.as_deref();
    let oldest = pending::oldest_live(now, stuck, page, PENDING_PAGE, stuck_after);
    let first = partition.first.unwrap_or(FirstUndelivered::Unknown);
    PartitionSample {
        log_end,
        length: stream.length,
        lag: partition.lag,
        pending: group.pending,
        stuck_pending: stuck,
        oldest_delivery_count: now.oldest_pending.as_ref().map(|entry| entry.deliveries),
        oldest_age_millis: pending::oldest_age_millis(oldest, first, now.now_millis),
        delivered: Some(group.last_delivered),
        delivered_count: group.entries_read,
        counting: Counting::Nothing,
        oldest_kept: stream.first,
        newest_removed: stream.max_deleted.filter(|id| *id != Position::default()),
        owner: None,
        ..PartitionSample::default()
    }
}
