//! Which pending entries are stuck, which one is the oldest that is not, and how old the oldest unfinished message is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::Snapshot;
use super::id;
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

/// Whether the partition may have stuck entries: the pending entry with the lowest id was not delivered within that time. One that
/// was redelivered lately hides stuck ones behind it until it is done, which delays their being seen but invents none.
pub fn is_suspect(snapshot: &Snapshot, stuck_after: Duration) -> bool {
    let lately = |idle: u64| u128::from(idle) < stuck_after.as_millis();
    snapshot
        .oldest_pending
        .as_ref()
        .is_some_and(|oldest| !oldest.idle_millis.is_some_and(lately))
}

/// How much earlier than its id an entry may seem to have been delivered: ids may come from clocks that run ahead.
const CLOCKS_APART_MILLIS: u64 = 60_000;

/// Whether an entry was delivered so long ago that nobody works on it any more. One that was given back (`XNACK`), or whose delivery
/// time somebody set to before there was such an entry (`XCLAIM … TIME 0`, a long `IDLE`), waits for whoever takes it.
pub fn is_stuck(entry: &PendingEntry, now_millis: Option<u64>, stuck_after: Duration) -> bool {
    let Some(idle) = entry.idle_millis.filter(|_| !entry.consumer.is_empty()) else {
        return false;
    };
    let was_delivered = now_millis.is_none_or(|now| {
        let delivered_at = now.saturating_sub(idle);
        let added_at = entry.id.filter(|id| id::age_millis(*id, now).is_some());
        id::is_plausible_time(delivered_at)
            && added_at.is_none_or(|id| delivered_at + CLOCKS_APART_MILLIS >= id.major)
    });
    was_delivered && u128::from(idle) >= stuck_after.as_millis()
}

/// Stuck entries by the consumer that holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// All of them.
    pub total: u64,
    by_consumer: BTreeMap<String, u64>,
}

impl Stuck {
    /// Those among the entries.
    pub fn among(entries: &[PendingEntry], now_millis: Option<u64>, stuck_after: Duration) -> Self {
        let mut stuck = Self::default();
        for entry in entries {
            if is_stuck(entry, now_millis, stuck_after) {
                stuck.add(&entry.consumer, 1);
            }
        }
        stuck
    }

    /// Adds those of another page.
    pub fn merge(&mut self, other: &Self) {
        for (consumer, count) in &other.by_consumer {
            self.add(consumer, *count);
        }
    }

    /// Those whose consumer is at work: it takes long for them.
    pub fn held_by(&self, is_at_work: impl Fn(&str) -> bool) -> u64 {
        let held = self.by_consumer.iter().filter(|(name, _)| is_at_work(name));
        held.map(|(_, count)| count).sum()
    }

    fn add(&mut self, consumer: &str, count: u64) {
        self.total += count;
        *self.by_consumer.entry(consumer.to_owned()).or_default() += count;
    }
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
    if snapshot.group.pending == Some(0) {
        return OldestLive::None;
    }
    let Some(oldest) = &snapshot.oldest_pending else {
        return OldestLive::Unknown;
    };
    let is_stuck = |entry: &PendingEntry| is_stuck(entry, snapshot.now_millis, stuck_after);
    let at = |entry: &PendingEntry| entry.id.map_or(OldestLive::Unknown, OldestLive::At);
    if !is_stuck(oldest) {
        return at(oldest);
    }
    let Some(page) = page else {
        return OldestLive::Unknown;
    };
    match page.iter().find(|entry| !is_stuck(entry)) {
        Some(entry) => at(entry),
        None if page.len() < limit || snapshot.group.pending.is_some_and(|n| stuck >= n) => {
            OldestLive::None
        }
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

/// Milliseconds that the oldest unfinished message has waited; 0 for none; `None` if that cannot be known.
pub fn oldest_age_millis(
    pending: OldestLive,
    undelivered: FirstUndelivered,
    now_millis: Option<u64>,
) -> Option<u64> {
    let age = |id| id::age_millis(id, now_millis?);
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
    const NOW: u64 = 1_700_000_000_000;

    fn entry(major: u64, idle_millis: u64) -> PendingEntry {
        PendingEntry {
            id: Some(Position { major, minor: 0 }),
            consumer: "c".to_owned(),
            idle_millis: Some(idle_millis),
            deliveries: Some(1),
        }
    }

    #[test]
    fn the_oldest_entry_that_is_not_stuck_counts() {
        let check = |pending, page: &[PendingEntry], stuck, expect| {
            let snapshot = Snapshot {
                stream: StreamInfo::default(),
                group: GroupInfo {
                    pending: Some(pending),
                    ..GroupInfo::default()
                },
                oldest_pending: page.first().cloned(),
                now_millis: Some(NOW),
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
    fn what_was_given_back_or_set_by_hand_waits_and_is_not_stuck() {
        let check = |why: &str, change: fn(&mut PendingEntry), expect| {
            let mut entry = entry(NOW - 7_200_000, 3_600_000);
            change(&mut entry);
            assert_eq!(is_stuck(&entry, Some(NOW), LIMIT), expect, "{why}");
        };
        check("a dead pod's", |_| {}, true);
        check("given back", |e| e.idle_millis = None, false);
        check("given back", |e| e.consumer.clear(), false);
        check("TIME 0", |e| e.idle_millis = Some(NOW), false);
        check(
            "delivered before it came",
            |e| e.idle_millis = Some(9_000_000),
            false,
        );
        check(
            "delivered as it came",
            |e| e.idle_millis = Some(7_200_000),
            true,
        );
        let by_hand = |e: &mut PendingEntry| e.id = Some(Position { major: 5, minor: 0 });
        check("an id that is no time", by_hand, true);
        check("an id that cannot be read", |e| e.id = None, true);
    }

    #[test]
    fn the_older_of_both_counts_and_an_implausible_id_makes_the_age_unknown() {
        let now = 1_700_000_000_000;
        let at = |back: u64| Position {
            major: now - back,
            minor: 0,
        };
        let check = |pending, undelivered, expect| {
            assert_eq!(oldest_age_millis(pending, undelivered, Some(now)), expect);
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
