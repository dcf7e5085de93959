//! What a count of undelivered entries says of a later moment: a lower bound, whatever happened in between.
//!
//! Entries are added behind all others, and none comes back. So before a position that lies among the counted ones there are at most as
//! many entries as there were, and all others of the stream are undelivered: with 100 entries of which 60 were counted after the group's
//! position of now, there were 40 up to there; of a stream of 110 at least 70 wait. Deliveries, deletions and trims make that bound
//! smaller, arrivals make it larger, and a group that was moved by hand does it no harm.

use super::lag::removed;
use super::reply::{GroupInfo, StreamInfo};
use crate::model::sample::Position;

/// Places of the count that are remembered: the bound is low by one part in so many at most.
const MARKS: usize = 8;

/// Undelivered entries as they were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCount {
    length: u64,
    first: Position,
    last_generated: Position,
    /// Where the server tells of them.
    removed: Option<u64>,
    /// Some of the counted entries, ascending, and how many there were from each on.
    marks: Box<[(Position, u64)]>,
}

impl LastCount {
    /// Of a reading of the stream, and the counted entries that were there then.
    pub fn of(then: &StreamInfo, ids: &[Position]) -> Option<Self> {
        // What lies behind the newest entry came later.
        let last = then.last?;
        let ids = &ids[..ids.partition_point(|id| *id <= last)];
        let each = ids.len().div_ceil(MARKS).max(1);
        let counted = |n: usize| (ids[n], (ids.len() - n) as u64);
        let marks = (0..ids.len()).step_by(each).map(counted);
        Self::with(then, marks.collect())
    }

    /// Of a reading of the stream, and how many entries there were after a position before its newest entry at least.
    pub fn after(then: &StreamInfo, at: Position, waited: u64) -> Option<Self> {
        let minor = at.minor.checked_add(1)?;
        Self::with(then, [(Position { minor, ..at }, waited)].into())
    }

    fn with(then: &StreamInfo, marks: Box<[(Position, u64)]>) -> Option<Self> {
        (!marks.is_empty()).then_some(Self {
            length: then.length?,
            first: then.first?,
            last_generated: then.last_generated?,
            removed: removed(then),
            marks,
        })
    }

    /// Undelivered entries at a later reading; `None` where none of those that were counted is known to be one, or another stream has
    /// taken the place of that one.
    pub fn at_least(&self, now: &StreamInfo, group: &GroupInfo) -> Option<u64> {
        let is_same = now.first? >= self.first
            && now.last_generated? >= self.last_generated
            && removed(now) >= self.removed;
        let at = group.last_delivered.filter(|_| is_same)?;
        let (_, waited) = self.marks.iter().find(|(id, _)| at < *id)?;
        let at_least = (now.length? + waited).checked_sub(self.length);
        at_least.filter(|n| *n > 0)
    }
}

#[cfg(test)]
mod tests;
