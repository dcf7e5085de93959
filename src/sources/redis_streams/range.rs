//! Counts entries by paging through them, within bounds of entries and bytes, per partition and per poll.

use redis::Value;
use tokio::time::Instant;

use super::places::Weight;
use super::poll::PollConnection;
use super::{failure, lean, reply};
use crate::model::sample::{Failure, Position};

/// Entries per page.
pub const PAGE_ENTRIES: usize = 1000;

/// Entries counted per partition and poll.
const PARTITION_ENTRIES: u64 = 10_000;

/// Bytes read per partition and poll.
const PARTITION_BYTES: usize = 16 << 20;

/// Entries counted per poll over all partitions.
const POLL_ENTRIES: usize = 50_000;

/// Bytes read per poll over all partitions.
const POLL_BYTES: usize = 64 << 20;

/// Bytes that one request may bring, as far as the sizes of entries seen can tell.
pub const REQUEST_BYTES: usize = 8 << 20;

/// What a poll may still read. Half of a request's time is set aside for it: a slow line must give a lower bound, not a
/// poll that never ends in time.
#[derive(Debug)]
pub struct Budget {
    entries: usize,
    bytes: usize,
    until: Instant,
}

impl Budget {
    /// The budget of a poll that begins to count now.
    pub fn start(line: &PollConnection<'_>) -> Self {
        Self {
            entries: POLL_ENTRIES,
            bytes: POLL_BYTES,
            until: line
                .until()
                .min(Instant::now() + line.response_timeout() / 2),
        }
    }

    /// As [`Self::start`], with no more entries than that.
    pub fn of_entries(line: &PollConnection<'_>, entries: usize) -> Self {
        Self {
            entries,
            ..Self::start(line)
        }
    }

    /// Takes note of a page that was read.
    pub const fn spend(&mut self, entries: usize, bytes: usize) {
        self.entries = self.entries.saturating_sub(entries);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether nothing may be read any more.
    pub fn is_spent(&self) -> bool {
        self.entries == 0 || self.bytes == 0 || Instant::now() >= self.until
    }
}

/// A page that brings no more than a request should, for entries of that size.
pub fn page_limit(entry_bytes: usize) -> usize {
    (REQUEST_BYTES / 8 / entry_bytes.max(1)).clamp(1, PAGE_ENTRIES)
}

/// Entries of one key in an open interval of ids, counted page by page.
#[derive(Clone, Debug)]
pub struct RangeCount {
    /// The key.
    pub key: String,
    /// Counted up to here.
    pub after: Position,
    /// The last id that belongs to the interval.
    pub until: Position,
    /// Entries so far.
    pub counted: u64,
    /// Their ids, ascending.
    pub ids: Vec<Position>,
    /// Whether all were counted.
    pub complete: bool,
    /// The refusal that ended it.
    pub failed: Option<Failure>,
    bytes: usize,
    /// What an entry takes, as far as seen.
    pub entry_bytes: usize,
}

impl RangeCount {
    /// Nothing counted yet.
    pub fn new(key: &str, after: Position, until: Position, entry_bytes: usize) -> Self {
        Self {
            key: key.to_owned(),
            after,
            until,
            counted: 0,
            ids: Vec::new(),
            complete: after >= until,
            failed: None,
            bytes: 0,
            entry_bytes,
        }
    }

    /// As [`Self::new`], where the entries up to `through` are known already: `ids`, in order.
    pub fn go_on(self, ids: &[Position], through: Position) -> Self {
        if through <= self.after {
            return self;
        }
        let counts = |id: &Position| *id > self.after && *id <= self.until;
        let ids: Vec<_> = ids.iter().copied().filter(counts).collect();
        Self {
            counted: ids.len() as u64,
            ids,
            after: through,
            complete: through >= self.until,
            ..self
        }
    }

    /// Counts a page that was asked for with that limit; `counts` says which ids belong to the number.
    pub fn take(&mut self, ids: &[Position], bytes: usize, limit: usize, from: Position) {
        self.ids.extend(ids.iter().filter(|id| **id > from));
        self.counted = self.ids.len() as u64;
        self.bytes += bytes;
        self.entry_bytes = bytes / ids.len().max(1);
        if let Some(last) = ids.last() {
            self.after = self.after.max(*last);
        }
        self.complete = ids.len() < limit || self.after >= self.until;
    }

    /// The counted entries after an id.
    pub fn ids_after(&self, id: Position) -> &[Position] {
        &self.ids[self.ids.partition_point(|counted| *counted <= id)..]
    }

    fn wants_more(&self) -> bool {
        let within = self.counted < PARTITION_ENTRIES && self.bytes < PARTITION_BYTES;
        !self.complete && self.failed.is_none() && within
    }
}

/// Goes on with all countings, round by round, until they are complete or a bound is met. Each round starts with the one
/// after `rotation`, so that no partition is always the one that the poll's budget does not reach. A server that does not answer is a
/// bound, too.
pub async fn count_on(
    line: &PollConnection<'_>,
    countings: &mut [RangeCount],
    budget: &mut Budget,
    rotation: usize,
) {
    if countings.is_empty() {
        return;
    }
    let middle = rotation % countings.len();
    countings.rotate_left(middle);
    loop {
        let mut round: Vec<(&mut RangeCount, usize)> = Vec::new();
        let mut bytes = 0;
        let mut entries = 0;
        for counting in countings
            .iter_mut()
            .filter(|counting| counting.wants_more())
        {
            let limit = page_limit(counting.entry_bytes);
            bytes += limit * counting.entry_bytes;
            entries += limit;
            round.push((counting, limit));
            if bytes >= REQUEST_BYTES || entries >= budget.entries {
                break;
            }
        }
        if round.is_empty() || budget.is_spent() {
            break;
        }
        if read_round(line, round, budget).await.is_err() {
            break;
        }
    }
    countings.rotate_right(middle);
}

async fn read_round(
    line: &PollConnection<'_>,
    round: Vec<(&mut RangeCount, usize)>,
    budget: &mut Budget,
) -> Result<(), Failure> {
    let mut commands = redis::pipe();
    let (mut entries, mut bytes) = (0, 0);
    for (counting, limit) in &round {
        let way = line.scripting(counting.entry_bytes);
        entries += limit;
        bytes += way.map_or(limit * counting.entry_bytes, |_| 0);
        let between = (counting.after, counting.until);
        lean::range(&mut commands, way, &counting.key, between, *limit);
    }
    let weight = Weight::new(entries, bytes);
    let replies = line.request_of(weight, commands).await?;
    for ((counting, limit), reply) in round.into_iter().zip(&replies) {
        if let Value::ServerError(error) = reply {
            counting.failed = Some(failure::of_reply(&line.subject().key(&counting.key), error));
            continue;
        }
        let Some((ids, bytes)) = reply::range_page(reply) else {
            line.distrust();
            return Err(failure::garbled(line.address(), "XRANGE"));
        };
        counting.take(&ids, bytes, limit, counting.after);
        budget.spend(ids.len(), bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(major: u64) -> Position {
        Position { major, minor: 0 }
    }

    #[test]
    fn a_short_page_or_the_last_id_completes_a_count() {
        let mut counting = RangeCount::new("k", at(2), at(9), 100);
        counting.take(&[at(3), at(4)], 200, 2, at(2));
        assert_eq!((counting.counted, counting.complete), (2, false));
        counting.take(&[at(7), at(9)], 200, 2, at(4));
        assert_eq!((counting.counted, counting.complete), (4, true));
        let mut short = RangeCount::new("k", at(2), at(9), 100);
        short.take(&[at(3)], 100, 2, at(2));
        assert!(short.complete);
    }

    #[test]
    fn pages_of_large_entries_are_small() {
        assert_eq!(page_limit(10), 1000);
        assert_eq!(page_limit(1 << 20), 1);
        assert_eq!(page_limit(10 << 20), 1);
        assert_eq!(page_limit(10_000), 104);
    }
}
