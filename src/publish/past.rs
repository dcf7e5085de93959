//! The near past of a group in columns, as the page draws it: one per poll, and coarser ones that reach back further.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::identity::PartitionId;
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

/// The group as a whole at one poll, as small as [`PastCell`] and for the same reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupCell([f32; 6]);

/// What the cell of a group holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMeasure {
    /// Unfinished messages, at least.
    Backlog,
    /// Seconds that the oldest of them has waited.
    OldestAge,
    /// Arrivals, messages per second.
    Arrival,
    /// Messages per second.
    Processing,
    /// Replicas, of all targets together.
    Desired,
    /// Replicas, of all targets together.
    Current,
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
        Self([
            number(partition.backlog.map(|backlog| backlog.value() as f64)),
            number(partition.oldest_age_seconds),
            number(partition.arrival_per_second),
        ])
    }

    /// The value, if it was known. To seven digits.
    pub fn value(&self, measure: PastMeasure) -> Option<f64> {
        known(self.0[measure as usize])
    }

    fn or_larger(self, other: Self) -> Self {
        // f32::max prefers numbers to NaN.
        Self(std::array::from_fn(|n| self.0[n].max(other.0[n])))
    }
}

fn number(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

fn known(value: f32) -> Option<f64> {
    value.is_finite().then_some(f64::from(value))
}

impl GroupCell {
    const UNKNOWN: Self = Self([f32::NAN; 6]);

    /// What is told of the group itself, and the replicas of its targets.
    pub fn of(facts: &GroupFacts, desired: Option<u32>, current: Option<u32>) -> Self {
        Self([
            number(facts.backlog.map(|backlog| backlog.value() as f64)),
            number(facts.oldest_age_seconds),
            number(facts.arrival_per_second),
            number(facts.processing_per_second),
            number(desired.map(f64::from)),
            number(current.map(f64::from)),
        ])
    }

    /// The value, if it was known. To seven digits.
    pub fn value(&self, measure: GroupMeasure) -> Option<f64> {
        known(self.0[measure as usize])
    }

    fn or_larger(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n].max(other.0[n])))
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
            group: GroupCell::UNKNOWN,
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
