//! From observations to rows of arrivals. Pure. A row stands only where every partition was read since the row before: what is not
//! known yet is part of a later row, never a zero.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::identity::PartitionId;
use crate::model::time::{Timestamp, WallOffset};

/// Rows come at most so often; a poll may be a little early.
const EVERY: Duration = Duration::from_millis(4_500);

/// What lies further apart is not bridged by one row.
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(300);

/// What a poll saw: messages ever appended per partition; `None` where that could not be read, or was not asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observation {
    pub at: Timestamp,
    /// Where the wall clock was.
    pub wall: WallOffset,
    pub log_ends: BTreeMap<PartitionId, Option<u64>>,
}

/// Messages that arrived since the row before, per partition in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecordedRow {
    pub at: Timestamp,
    pub wall: WallOffset,
    pub arrived: Vec<u32>,
}

/// What an observation means for the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RowStep {
    /// Nothing to write yet.
    Wait,
    /// What follows does not continue what was written: another file.
    Break,
    Row(RecordedRow),
}

impl RecordedRow {
    /// What the wall clock showed then.
    pub fn on_the_wall(&self) -> Timestamp {
        self.wall.on_the_wall(self.at)
    }

    /// With what arrived up to the row before, which could not be written.
    pub fn after(mut self, before: &Self) -> Self {
        for (now, before) in self.arrived.iter_mut().zip(&before.arrived) {
            *now = now.saturating_add(*before);
        }
        self
    }
}

/// One group's rows.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordedRows {
    /// When the row before was, and how far each partition was then.
    before: Option<(Timestamp, BTreeMap<PartitionId, u64>)>,
    /// The first observation since then; positions read since then.
    since: Option<Timestamp>,
    read: BTreeMap<PartitionId, u64>,
}

impl RecordedRows {
    /// The columns.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionId> {
        self.before.iter().flat_map(|(_, ends)| ends.keys())
    }

    /// Takes in what a poll saw.
    pub fn note(&mut self, seen: &Observation) -> RowStep {
        if self.breaks(seen) {
            // What could not be read since the row before need not be waited for once more.
            *self = Self {
                since: self.before.as_ref().map(|(at, _)| *at),
                ..Self::default()
            };
            self.note(seen);
            return RowStep::Break;
        }
        let known = seen.log_ends.iter();
        self.read
            .extend(known.filter_map(|(id, end)| Some((id.clone(), (*end)?))));
        let since = *self.since.get_or_insert(seen.at);
        let Some((at, before)) = &self.before else {
            let all = self.read.len() == seen.log_ends.len();
            if !self.read.is_empty() && (all || seen.at.since(since) > LONGEST_GAP) {
                self.before = Some((seen.at, std::mem::take(&mut self.read)));
            }
            return RowStep::Wait;
        };
        if self.read.len() < before.len() || seen.at.since(*at) < EVERY {
            return RowStep::Wait;
        }
        let arrived = before.iter().map(|(id, end)| {
            let now = self.read.get(id)?;
            u32::try_from(now.checked_sub(*end)?).ok()
        });
        match arrived.collect::<Option<Vec<u32>>>() {
            Some(arrived) => {
                self.before = Some((seen.at, std::mem::take(&mut self.read)));
                RowStep::Row(RecordedRow {
                    at: seen.at,
                    wall: seen.wall,
                    arrived,
                })
            }
            // A counter that started anew: what came meanwhile cannot be told.
            None => {
                *self = Self::default();
                self.note(seen);
                RowStep::Break
            }
        }
    }

    /// Whether it is too long since the row before, or other partitions are there than then.
    fn breaks(&self, seen: &Observation) -> bool {
        let Some((at, before)) = &self.before else {
            return false;
        };
        let gone = before.keys().any(|id| !seen.log_ends.contains_key(id));
        let came = seen
            .log_ends
            .iter()
            .any(|(id, end)| end.is_some() && !before.contains_key(id));
        gone || came || seen.at.since(*at) > LONGEST_GAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(second: u64, ends: &[(&str, Option<u64>)]) -> Observation {
        let ends = ends.iter().map(|(id, end)| (PartitionId::new(*id), *end));
        Observation {
            at: Timestamp::from_millis(1_000_000 + second * 1_000),
            wall: WallOffset::default(),
            log_ends: ends.collect(),
        }
    }

    fn row(second: u64, arrived: &[u32]) -> RowStep {
        RowStep::Row(RecordedRow {
            at: seen(second, &[]).at,
            wall: WallOffset::default(),
            arrived: arrived.to_vec(),
        })
    }

    #[test]
    fn rows_tell_what_came_since_the_row_before_at_most_every_five_seconds() {
        let mut rows = RecordedRows::default();
        for (second, end, expect) in [
            (0, 100, RowStep::Wait),
            (1, 103, RowStep::Wait),
            (5, 110, row(5, &[10])),
            (10, 110, row(10, &[0])),
            (11, 112, RowStep::Wait),
            (25, 140, row(25, &[30])),
        ] {
            assert_eq!(
                rows.note(&seen(second, &[("a", Some(end))])),
                expect,
                "{second}"
            );
        }
    }

    #[test]
    fn what_could_not_be_read_is_part_of_a_later_row_and_never_a_zero() {
        let mut rows = RecordedRows::default();
        for (second, a, b, expect) in [
            (0, Some(0), Some(0), RowStep::Wait),
            (5, Some(5), None, RowStep::Wait),
            (10, None, Some(4), row(10, &[5, 4])),
            (15, Some(9), None, RowStep::Wait),
            (20, Some(12), Some(7), row(20, &[7, 3])),
        ] {
            assert_eq!(
                rows.note(&seen(second, &[("a", a), ("b", b)])),
                expect,
                "{second}"
            );
        }
    }

    #[test]
    fn another_file_begins_where_arrivals_cannot_be_told() {
        let check = |between: &[Observation], after: Observation| {
            let mut rows = RecordedRows::default();
            rows.note(&seen(0, &[("a", Some(50)), ("b", Some(1))]));
            for observation in between {
                assert_eq!(rows.note(observation), RowStep::Wait);
            }
            assert_eq!(rows.note(&after), RowStep::Break, "{after:?}");
            rows
        };
        check(&[], seen(301, &[("a", Some(60)), ("b", Some(1))]));
        check(&[], seen(5, &[("a", Some(3)), ("b", Some(1))]));
        check(&[], seen(5, &[("a", Some(50))]));
        let mut rows = check(
            &[],
            seen(5, &[("a", Some(50)), ("b", Some(1)), ("c", Some(9))]),
        );
        let next = seen(10, &[("a", Some(51)), ("b", Some(1)), ("c", Some(11))]);
        assert_eq!(rows.note(&next), row(10, &[1, 0, 2]));
    }

    #[test]
    fn a_partition_that_stays_unreadable_leaves_the_columns_until_it_is_back() {
        let mut rows = RecordedRows::default();
        rows.note(&seen(0, &[("a", Some(0)), ("b", Some(0))]));
        let one = |second, end| seen(second, &[("a", Some(end)), ("b", None)]);
        assert_eq!(rows.note(&one(300, 10)), RowStep::Wait);
        assert_eq!(rows.note(&one(305, 11)), RowStep::Break);
        assert_eq!(rows.note(&one(310, 21)), row(310, &[10]));
        let both = seen(315, &[("a", Some(30)), ("b", Some(90))]);
        assert_eq!(rows.note(&both), RowStep::Break);
    }
}
