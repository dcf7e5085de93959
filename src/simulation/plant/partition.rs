//! One partition of the plant: a queue by arrival time, and how far it is processed and committed.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Commits, LATE, ticks};

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
    /// (tick of arrival, messages left)
    queue: VecDeque<(usize, f64)>,
    /// (tick of arrival, messages ever appended at its end), from the oldest uncommitted message on.
    uncommitted: VecDeque<(usize, u64)>,
    paused_until: usize,
    /// Of a commit interval, when this one commits.
    phase: usize,
}

impl PlantPartition {
    pub(super) fn new(n: usize, commits: &Commits) -> Self {
        let every = match commits {
            Commits::Every(every) => ticks(*every).max(1),
            Commits::After(_) => 1,
        };
        Self {
            produced: 0,
            processed: 0.0,
            committed: 0,
            committed_tick: 0,
            queue: VecDeque::new(),
            uncommitted: VecDeque::new(),
            paused_until: 0,
            phase: n % every,
        }
    }

    pub(super) fn arrive(&mut self, tick: usize, count: u32) {
        if count > 0 {
            self.produced += u64::from(count);
            self.queue.push_back((tick, f64::from(count)));
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

    /// Does `amount`, the oldest first; messages of it that are late.
    pub(super) fn work(&mut self, tick: usize, amount: f64) -> f64 {
        self.processed += amount;
        let mut left = amount;
        let mut late = 0.0;
        while left > 0.0 {
            let Some((arrived, count)) = self.queue.front_mut() else {
                break;
            };
            let taken = left.min(*count);
            if tick - *arrived > ticks(LATE) {
                late += taken;
            }
            left -= taken;
            *count -= taken;
            if *count <= 1e-9 {
                self.queue.pop_front();
            }
        }
        late
    }

    pub(super) fn commit(&mut self, tick: usize, commits: &Commits) {
        let done = (self.processed + 1e-6).floor() as u64;
        let position = match commits {
            Commits::Every(every)
                if tick % ticks(*every).max(1) == self.phase % ticks(*every).max(1) =>
            {
                done
            }
            Commits::Every(every) if *every < Duration::from_secs(5) => done,
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
        self.queue
            .front()
            .map_or(0, |(arrived, _)| tick - 1 - arrived)
    }

    /// Messages not done.
    pub fn waiting(&self) -> f64 {
        self.produced as f64 - self.processed
    }

    /// Messages not done that have waited for longer than [`LATE`] already.
    pub fn waiting_late(&self, tick: usize) -> f64 {
        let late = self
            .queue
            .iter()
            .filter(|(arrived, _)| tick.saturating_sub(1 + arrived) > ticks(LATE));
        late.map(|(_, count)| count).sum()
    }

    /// The tick at which the oldest uncommitted message arrived.
    pub fn oldest_uncommitted(&self) -> Option<usize> {
        self.uncommitted.front().map(|(arrived, _)| *arrived)
    }
}
