//! One partition of the plant: a queue by arrival time, and how far it is processed and committed.

use std::collections::VecDeque;

use super::done::{LATE, WorkDone};
use super::spec::Commits;
use crate::simulation::steps::StepLength;

/// A log with one reader.
#[derive(Clone, Debug)]
pub struct PlantPartition {
    /// Messages ever appended.
    pub produced: u64,
    /// Messages done, parts of messages included.
    processed: f64,
    /// Messages done and committed.
    pub committed: u64,
    /// The tick of the last commit that moved.
    pub committed_tick: usize,
    /// What waits, or was not yet delivered where consumers fetch.
    queue: VecDeque<TickRun>,
    /// Messages ever delivered, where consumers fetch.
    pub delivered: u64,
    /// When the oldest message arrived that was delivered and is not done, in microseconds.
    pub(super) oldest_pending: Option<u64>,
    /// (tick of arrival, messages ever appended at its end), from the oldest uncommitted message on.
    uncommitted: VecDeque<(usize, u64)>,
    paused_until: usize,
    /// Of a commit interval, when this one commits.
    phase: usize,
    step: StepLength,
}

/// Messages of one tick.
#[derive(Clone, Debug)]
struct TickRun {
    /// The tick of arrival.
    tick: usize,
    arrived: u32,
    left: f64,
}

impl TickRun {
    /// When the next of its messages arrived: they are spread evenly over the tick.
    fn next_micros(&self, step: StepLength) -> u64 {
        let gone = u64::from(self.arrived) - self.left as u64;
        let offset = (2 * gone + 1) * step.micros() / (2 * u64::from(self.arrived));
        self.tick as u64 * step.micros() + offset
    }
}

impl PlantPartition {
    pub(super) fn new(n: usize, commits: &Commits, step: StepLength) -> Self {
        let every = match commits {
            Commits::Every(every) => step.ticks(*every).max(1),
            Commits::After(_) => 1,
        };
        Self {
            produced: 0,
            processed: 0.0,
            committed: 0,
            committed_tick: 0,
            queue: VecDeque::new(),
            delivered: 0,
            oldest_pending: None,
            uncommitted: VecDeque::new(),
            paused_until: 0,
            phase: n % every,
            step,
        }
    }

    pub(super) fn arrive(&mut self, tick: usize, count: u32) {
        if count > 0 {
            self.produced += u64::from(count);
            self.queue.push_back(TickRun {
                tick,
                arrived: count,
                left: f64::from(count),
            });
            self.uncommitted.push_back((tick, self.produced));
        }
    }

    pub(super) fn pause(&mut self, until: usize) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Messages that could be worked on now.
    pub(super) fn workable(&self, tick: usize) -> f64 {
        if tick < self.paused_until {
            return 0.0;
        }
        (self.produced as f64 - self.processed).max(0.0)
    }

    /// Does `amount`, the oldest first.
    pub(super) fn work(&mut self, tick: usize, amount: f64) -> WorkDone {
        self.processed += amount;
        let mut left = amount;
        let mut work = WorkDone::default();
        while left > 0.0 {
            let Some(run) = self.queue.front_mut() else {
                break;
            };
            let taken = left.min(run.left);
            work.count(taken, (tick - run.tick) as f64 * self.step.seconds());
            left -= taken;
            run.left -= taken;
            if run.left <= 1e-9 {
                self.queue.pop_front();
            }
        }
        // What was rounded away is done, too.
        work.done = amount;
        work
    }

    /// When the next message arrives or arrived that nobody fetched yet, in microseconds.
    pub(super) fn next_arrival(&self, tick: usize) -> Option<u64> {
        let run = self.queue.front().filter(|_| tick >= self.paused_until)?;
        Some(run.next_micros(self.step))
    }

    /// Hands out up to `most` messages that arrived until then; when each arrived.
    pub(super) fn deliver(&mut self, most: usize, until: u64) -> Vec<u64> {
        let mut arrivals = Vec::with_capacity(most);
        while arrivals.len() < most {
            let Some(run) = self.queue.front_mut() else {
                break;
            };
            let arrived = run.next_micros(self.step);
            if arrived > until {
                break;
            }
            arrivals.push(arrived);
            run.left -= 1.0;
            if run.left < 0.5 {
                self.queue.pop_front();
            }
        }
        self.delivered += arrivals.len() as u64;
        arrivals
    }

    /// So many of the delivered messages are done.
    pub(super) fn acknowledge(&mut self, count: usize) {
        self.processed += count as f64;
    }

    /// Messages done, where consumers fetch.
    pub fn done(&self) -> u64 {
        self.processed as u64
    }

    /// Milliseconds that the oldest message has waited that is not done, where consumers fetch.
    pub fn oldest_millis(&self, tick: usize) -> u64 {
        let undelivered = self.queue.front().map(|run| run.next_micros(self.step));
        let oldest = undelivered.into_iter().chain(self.oldest_pending).min();
        let now = tick as u64 * self.step.micros();
        oldest.map_or(0, |at| now.saturating_sub(at) / 1000)
    }

    pub(super) fn commit(&mut self, tick: usize, commits: &Commits) {
        let done = (self.processed + 1e-6).floor() as u64;
        let position = match commits {
            Commits::Every(every)
                if tick % self.step.ticks(*every).max(1)
                    == self.phase % self.step.ticks(*every).max(1) =>
            {
                done
            }
            Commits::Every(every) if *every < self.step.duration() => done,
            Commits::Every(_) => self.committed,
            Commits::After(count) => done - done % count,
        };
        if position > self.committed {
            self.committed = position;
            self.committed_tick = tick;
            while self
                .uncommitted
                .front()
                .is_some_and(|(_, end)| *end <= position)
            {
                self.uncommitted.pop_front();
            }
        }
    }

    /// Ticks that the oldest message in the queue has waited.
    pub fn oldest_ticks(&self, tick: usize) -> usize {
        let pending = self
            .oldest_pending
            .map(|at| (at / self.step.micros()) as usize);
        let waiting = self.queue.front().map(|run| run.tick);
        let oldest = waiting.into_iter().chain(pending).min();
        oldest.map_or(0, |arrived| tick - 1 - arrived)
    }

    /// Messages not done.
    pub fn waiting(&self) -> f64 {
        self.produced as f64 - self.processed
    }

    /// Messages in the queue that have waited for longer than [`LATE`] already.
    pub(super) fn waiting_late(&self, tick: usize) -> f64 {
        let late = self
            .queue
            .iter()
            .filter(|run| tick.saturating_sub(1 + run.tick) > self.step.ticks(LATE));
        late.map(|run| run.left).sum()
    }

    /// The tick at which the oldest uncommitted message arrived.
    pub fn oldest_uncommitted(&self) -> Option<usize> {
        self.uncommitted.front().map(|(arrived, _)| *arrived)
    }
}
