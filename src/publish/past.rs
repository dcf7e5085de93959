//! The near past of a group in columns, as the page draws it: one per poll, and coarser ones that reach back further.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

/// Columns of a ring, at most.
pub const COLUMNS: usize = 360;

/// Partitions × columns of a ring, at most: groups of more than 2,777 partitions reach back less far. 12 bytes each.
const CELLS: usize = 1_000_000;

/// Polls that a coarse column stands for.
const COARSE: u32 = 10;

/// What is remembered of a group, so that a page that is opened has something to draw.
#[derive(Clone, Debug)]
pub struct Past {
    fine: Ring,
    coarse: Ring,
    /// The coarse column that still grows, and how many polls are in it.
    growing: Option<(Column, u32)>,
}

#[derive(Clone, Debug)]
struct Ring {
    step: Duration,
    columns: VecDeque<Column>,
}

/// A group at one poll. Where polls were taken together, the largest value of each kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// When the poll began.
    pub at: Timestamp,
    /// The group as a whole.
    pub group: GroupCell,
    /// The partitions, in the order of their ids. Shared by columns as long as the partitions are the same.
    pub names: Arc<[PartitionId]>,
    /// What is known of each, in that order.
    pub cells: Arc<[PastCell]>,
}

/// The group as a whole at one poll.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupCell {
    /// Unfinished messages, at least.
    pub backlog: Option<u64>,
    /// Seconds that the oldest of them has waited.
    pub oldest_age_seconds: Option<f64>,
    /// Messages per second.
    pub arrival_per_second: Option<f64>,
    /// Messages per second.
    pub processing_per_second: Option<f64>,
    /// Replicas, of all targets together.
    pub desired: Option<u32>,
    /// Replicas, of all targets together.
    pub current: Option<u32>,
}

/// One partition at one poll. Unknown is no number, so that a cell stays small; [`Self::value`] gives it as it should be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastCell([f32; 3]);

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastMeasure {
    /// Unfinished messages, at least.
    Backlog,
    /// Seconds that the oldest of them has waited.
    Age,
    /// Arrivals, messages per second.
    Rate,
}

impl PastCell {
    const UNKNOWN: Self = Self([f32::NAN; 3]);

    fn of(partition: &PartitionFacts) -> Self {
        let number = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        Self([
            number(partition.backlog.map(|backlog| backlog.value() as f64)),
            number(partition.oldest_age_seconds),
            number(partition.arrival_per_second),
        ])
    }

    /// The value, if it was known. To seven digits.
    pub fn value(&self, measure: PastMeasure) -> Option<f64> {
        let value = self.0[measure as usize];
        value.is_finite().then_some(f64::from(value))
    }

    fn or_larger(self, other: Self) -> Self {
        // f32::max prefers numbers to NaN.
        Self([0, 1, 2].map(|n| self.0[n].max(other.0[n])))
    }
}

impl GroupCell {
    /// What is told of the group itself; replicas are the targets'.
    pub fn of(facts: &GroupFacts) -> Self {
        Self {
            backlog: facts.backlog.map(Quantity::value),
            oldest_age_seconds: facts.oldest_age_seconds,
            arrival_per_second: facts.arrival_per_second,
            processing_per_second: facts.processing_per_second,
            ..Self::default()
        }
    }

    fn or_larger(self, other: Self) -> Self {
        let larger = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        Self {
            backlog: self.backlog.max(other.backlog),
            oldest_age_seconds: larger(self.oldest_age_seconds, other.oldest_age_seconds),
            arrival_per_second: larger(self.arrival_per_second, other.arrival_per_second),
            processing_per_second: larger(self.processing_per_second, other.processing_per_second),
            desired: self.desired.max(other.desired),
            current: self.current.max(other.current),
        }
    }
}

impl Past {
    /// Nothing yet, of a group that is polled so often.
    pub fn new(poll_interval: Duration) -> Self {
        Self {
            fine: Ring::new(poll_interval),
            coarse: Ring::new(poll_interval * COARSE),
            growing: None,
        }
    }

    /// Takes the newest poll in.
    pub fn note(&mut self, at: Timestamp, facts: &GroupFacts, group: GroupCell) {
        let known = facts.partitions.iter();
        let cells = known
            .map(|(_, partition)| PastCell::of(partition))
            .collect();
        let names = self.names(facts);
        self.push(Column {
            at,
            group,
            names,
            cells,
        });
    }

    /// Notes that nothing could be read; at most once per poll that was due, however often it was tried.
    pub fn note_failure(&mut self, at: Timestamp) {
        let Some(last) = self.fine.columns.back() else {
            return;
        };
        if at.since(last.at) < self.fine.step {
            return;
        }
        let names = last.names.clone();
        let cells = names.iter().map(|_| PastCell::UNKNOWN).collect();
        self.push(Column {
            at,
            group: GroupCell::default(),
            names,
            cells,
        });
    }

    /// The columns of about the last `seconds`, oldest first, with the time from one to the next: every poll if these reach
    /// back so far, else coarser ones.
    pub fn columns(&self, seconds: u64, now: Timestamp) -> (Duration, Vec<Column>) {
        let wanted = Duration::from_secs(seconds);
        let ring = if wanted <= self.fine.reach() {
            &self.fine
        } else {
            &self.coarse
        };
        let from = now.minus(wanted);
        let columns = ring.columns.iter().filter(|column| column.at >= from);
        (ring.step, columns.cloned().collect())
    }

    fn names(&self, facts: &GroupFacts) -> Arc<[PartitionId]> {
        let last = self.fine.columns.back().map(|column| &column.names);
        match last.filter(|names| names.iter().eq(facts.partitions.keys())) {
            Some(names) => names.clone(),
            None => facts.partitions.keys().cloned().collect(),
        }
    }

    fn push(&mut self, column: Column) {
        let grown = match self.growing.take() {
            Some((growing, polls)) if growing.names == column.names => {
                (growing.or_larger(&column), polls + 1)
            }
            // With other partitions a new one begins, so that every column is of one set.
            Some((growing, _)) => {
                self.coarse.push(growing);
                (column.clone(), 1)
            }
            None => (column.clone(), 1),
        };
        if grown.1 == COARSE {
            self.coarse.push(grown.0);
        } else {
            self.growing = Some(grown);
        }
        self.fine.push(column);
    }
}

impl Ring {
    fn new(step: Duration) -> Self {
        Self {
            step,
            columns: VecDeque::new(),
        }
    }

    /// Back to when it can reach, with as many columns as fit.
    fn reach(&self) -> Duration {
        let partitions = self.columns.back().map_or(0, |last| last.names.len());
        self.step * room(partitions) as u32
    }

    fn push(&mut self, column: Column) {
        let room = room(column.names.len());
        self.columns.push_back(column);
        while self.columns.len() > room {
            self.columns.pop_front();
        }
    }
}

/// Columns that are kept of so many partitions.
fn room(partitions: usize) -> usize {
    (CELLS / partitions.max(1)).clamp(1, COLUMNS)
}

impl Column {
    fn or_larger(&self, other: &Self) -> Self {
        let pairs = self.cells.iter().zip(other.cells.iter());
        Self {
            at: self.at,
            group: self.group.or_larger(other.group),
            names: self.names.clone(),
            cells: pairs.map(|(a, b)| a.or_larger(*b)).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
