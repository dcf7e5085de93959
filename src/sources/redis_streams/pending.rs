//! Which pending entries are stuck, which one is the oldest that is not, and how old the oldest unfinished message is.

use std::time::Duration;

use super::id;
use super::read::Snapshot;
use super::reply::PendingEntry;
use crate::model::sample::Position;

/// The oldest pending entry that is not stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldestLive {
    /// There is none.
    None,
    /// This one.
    At(Position),
    /// There is one, beyond what was read.
    Unknown,
}

/// Whether the partition may have stuck entries: the pending entry with the lowest id has been idle for so long. One that
/// was redelivered lately hides stuck ones behind it until it is done, which delays their being seen but invents none.
pub fn is_suspect(snapshot: &Snapshot, stuck_after: Duration) -> bool {
    snapshot
        .oldest_pending
        .as_ref()
        .is_some_and(|oldest| is_stuck(oldest, stuck_after))
}

fn is_stuck(entry: &PendingEntry, stuck_after: Duration) -> bool {
    u128::from(entry.idle_millis) >= stuck_after.as_millis()
}

/// The oldest pending entry that is not stuck. `page` holds the pending entries with the lowest ids, at most `limit`, and
/// is read for suspects only.
pub fn oldest_live(
    snapshot: &Snapshot,
    stuck: u64,
    page: Option<&[PendingEntry]>,
    limit: usize,
    stuck_after: Duration,
) -> OldestLive {
    if snapshot.group.pending == 0 {
        return OldestLive::None;
    }
    let Some(oldest) = &snapshot.oldest_pending else {
        return OldestLive::Unknown;
    };
    if !is_stuck(oldest, stuck_after) {
        return OldestLive::At(oldest.id);
    }
    let Some(page) = page else {
        return OldestLive::Unknown;
    };
    match page.iter().find(|entry| !is_stuck(entry, stuck_after)) {
        Some(entry) => OldestLive::At(entry.id),
        None if page.len() < limit || stuck >= snapshot.group.pending => OldestLive::None,
        None => OldestLive::Unknown,
    }
}

/// The first undelivered entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUndelivered {
    /// There is none.
    None,
    /// This one.
    At(Position),
    /// There may be one; it could not be read.
    Unknown,
}

/// Milliseconds that the oldest unfinished message has waited; 0 for none; `None` if that cannot be told.
pub fn oldest_age_millis(
    pending: OldestLive,
    undelivered: FirstUndelivered,
    now_millis: u64,
) -> Option<u64> {
    let age = |id| id::age_millis(id, now_millis);
    let pending = match pending {
        OldestLive::None => 0,
        OldestLive::At(id) => age(id)?,
        OldestLive::Unknown => return None,
    };
    let undelivered = match undelivered {
        FirstUndelivered::None => 0,
        FirstUndelivered::At(id) => age(id)?,
        FirstUndelivered::Unknown => return None,
    };
    Some(pending.max(undelivered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::redis_streams::reply::{GroupInfo, StreamInfo};

    const LIMIT: Duration = Duration::from_secs(60);

    fn entry(major: u64, idle_millis: u64) -> PendingEntry {
        PendingEntry {
            id: Position { major, minor: 0 },
            idle_millis,
            deliveries: 1,
        }
    }

    #[test]
    fn the_oldest_entry_that_is_not_stuck_counts() {
        let check = |pending, page: &[PendingEntry], stuck, expect| {
            let snapshot = Snapshot {
                stream: StreamInfo::default(),
                group: GroupInfo {
                    pending,
                    ..GroupInfo::default()
                },
                oldest_pending: page.first().cloned(),
                now_millis: 0,
            };
            assert_eq!(oldest_live(&snapshot, stuck, Some(page), 2, LIMIT), expect);
        };
        let at = |major| OldestLive::At(Position { major, minor: 0 });
        check(0, &[], 0, OldestLive::None);
        check(1, &[entry(1, 59_999)], 0, at(1));
        check(2, &[entry(1, 60_000), entry(2, 5)], 1, at(2));
        check(1, &[entry(1, 60_000)], 1, OldestLive::None);
        check(
            2,
            &[entry(1, 60_000), entry(2, 60_000)],
            2,
            OldestLive::None,
        );
        check(
            3,
            &[entry(1, 60_000), entry(2, 60_000)],
            2,
            OldestLive::Unknown,
        );
    }

    #[test]
    fn the_older_of_both_counts_and_an_implausible_id_makes_the_age_unknown() {
        let now = 1_700_000_000_000;
        let at = |back: u64| Position {
            major: now - back,
            minor: 0,
        };
        let check = |pending, undelivered, expect| {
            assert_eq!(oldest_age_millis(pending, undelivered, now), expect);
        };
        check(OldestLive::None, FirstUndelivered::None, Some(0));
        check(OldestLive::At(at(5)), FirstUndelivered::At(at(9)), Some(9));
        check(OldestLive::At(at(9)), FirstUndelivered::None, Some(9));
        check(
            OldestLive::At(at(now - 1)),
            FirstUndelivered::At(at(9)),
            None,
        );
        check(OldestLive::Unknown, FirstUndelivered::None, None);
        check(OldestLive::None, FirstUndelivered::Unknown, None);
    }
}
