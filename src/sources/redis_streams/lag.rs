//! Certified lag: how many entries the group has not been given, told only where it follows from the ids, was carried
//! over from a certified poll, or was counted. The server's own `lag` is wrong or nil in up to half of all situations
//! with deletions, trims and repositioned groups.

use super::reply::{GroupInfo, StreamInfo};
use crate::model::sample::Position;

/// How a lag came to be known, or that it must be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagVerdict {
    /// It follows from the ids and the length alone.
    Derived(u64),
    /// The server's own value, vouched for by the previous poll.
    Carried(u64),
    /// Nothing vouches for any number: count the entries after the group's position.
    MustCount,
}

/// What is remembered of a poll whose lag was certified and equal to the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    delivered: Position,
    lag: u64,
    entries_added: u64,
    /// Entries that had left the stream by then.
    removed: Option<u64>,
}

/// Rules 1 to 5, on one atomic reading of stream and group.
pub fn certify(stream: &StreamInfo, group: &GroupInfo, previous: Option<&Agreement>) -> LagVerdict {
    if stream.is_empty() {
        return LagVerdict::Derived(0);
    }
    // What could not be read vouches for nothing.
    let Some(at) = group.last_delivered else {
        return LagVerdict::MustCount;
    };
    if stream.last.is_some_and(|last| at >= last) {
        return LagVerdict::Derived(0);
    }
    let Some(first) = stream.first else {
        return LagVerdict::MustCount;
    };
    match stream.length {
        Some(length) if at < first => LagVerdict::Derived(length),
        Some(length @ 1..) if at == first => LagVerdict::Derived(length - 1),
        _ => previous
            .and_then(|previous| carry(stream, first, group, previous))
            .map_or(LagVerdict::MustCount, LagVerdict::Carried),
    }
}

/// Rule 4. The server's counters were right at the previous poll, and nothing has happened since that makes them go
/// wrong: no entry after the group's position of then was trimmed or deleted, as none was at all or the ids say so, and the
/// group was not moved back. All conditions compare states, not polls, so polls may be missing in between.
///
/// Two conditions go beyond the rule. Nothing after the old position was removed, so exactly `previous.lag` plus the
/// arrivals since lie after it: that is the lag itself if the group has not moved, and a bound if it has. So a position or
/// counter set by hand (`SETID … ENTRIESREAD`) is caught wherever arithmetic can catch it.
fn carry(
    stream: &StreamInfo,
    first: Position,
    group: &GroupInfo,
    previous: &Agreement,
) -> Option<u64> {
    let (native, at) = (group.native_lag?, group.last_delivered?);
    let max_deleted = stream.max_deleted?;
    let arrived = stream.entries_added?.checked_sub(previous.entries_added)?;
    let after_previous = previous.lag.checked_add(arrived)?;
    let none_left = previous.removed.is_some() && previous.removed == removed(stream);
    let untouched = none_left || previous.delivered >= first && max_deleted <= previous.delivered;
    let plausible = if at == previous.delivered {
        native == after_previous
    } else {
        at > previous.delivered && native < after_previous
    };
    // The newest entry lies behind the group's position.
    let plausible = plausible && native > 0;
    (untouched && plausible).then_some(native)
}

impl Agreement {
    /// Undelivered entries that are certain at a later reading, whatever happened meanwhile; see [`super::last_count`]. `None` where the
    /// group has moved on: how many of the entries that it was not given then it has been given since is not known.
    pub fn at_least(&self, stream: &StreamInfo, group: &GroupInfo) -> Option<u64> {
        let is_same =
            stream.entries_added? >= self.entries_added && removed(stream) >= self.removed;
        if !is_same || self.lag == 0 || group.last_delivered? > self.delivered {
            return None;
        }
        let length_then = self.entries_added.checked_sub(self.removed?)?;
        let at_least = (stream.length? + self.lag).checked_sub(length_then);
        at_least.filter(|n| *n > 0)
    }
}

/// What the next poll may rely on, given the certified lag of this one.
pub fn agreement(stream: &StreamInfo, group: &GroupInfo, certified: u64) -> Option<Agreement> {
    let agreement = Agreement {
        delivered: group.last_delivered?,
        lag: certified,
        entries_added: stream.entries_added?,
        removed: removed(stream),
    };
    (group.native_lag == Some(certified)).then_some(agreement)
}

/// Entries that were added and are gone. It never shrinks but by `XSETID`, which no arrivals would explain.
pub(super) fn removed(stream: &StreamInfo) -> Option<u64> {
    stream.entries_added?.checked_sub(stream.length?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { major: n, minor: 0 }
    }

    fn stream(first: u64, last: u64, length: u64, added: u64, max_deleted: u64) -> StreamInfo {
        StreamInfo {
            length: Some(length),
            last_generated: Some(at(last)),
            counts_added: true,
            first: Some(at(first)),
            last: Some(at(last)),
            entries_added: Some(added),
            max_deleted: Some(at(max_deleted)),
            entry_bytes: 0,
        }
    }

    fn group(delivered: u64, native_lag: Option<u64>) -> GroupInfo {
        GroupInfo {
            last_delivered: Some(at(delivered)),
            native_lag,
            ..GroupInfo::default()
        }
    }

    #[test]
    fn what_follows_from_the_ids_needs_neither_the_server_nor_a_count() {
        let check = |stream: &StreamInfo, delivered, expect| {
            let verdict = certify(stream, &group(delivered, Some(77)), None);
            assert_eq!(verdict, expect, "delivered {delivered}");
        };
        let s = stream(3, 9, 5, 9, 0);
        check(&s, 9, LagVerdict::Derived(0));
        check(&s, 12, LagVerdict::Derived(0));
        check(&s, 2, LagVerdict::Derived(5));
        check(&s, 3, LagVerdict::Derived(4));
        check(&s, 5, LagVerdict::MustCount);
        let empty = StreamInfo {
            length: Some(0),
            ..StreamInfo::default()
        };
        check(&empty, 0, LagVerdict::Derived(0));
    }

    #[test]
    fn a_field_that_could_not_be_read_never_makes_a_zero() {
        let check = |spoil: fn(&mut StreamInfo), delivered, expect| {
            let mut spoilt = stream(3, 9, 5, 9, 0);
            spoil(&mut spoilt);
            assert_eq!(certify(&spoilt, &group(delivered, Some(0)), None), expect);
        };
        check(|s| s.length = None, 2, LagVerdict::MustCount);
        check(|s| s.length = None, 9, LagVerdict::Derived(0));
        check(|s| s.first = None, 2, LagVerdict::MustCount);
        check(|s| s.last = None, 9, LagVerdict::MustCount);
        check(|s| s.last = None, 2, LagVerdict::Derived(5));
        check(|s| *s = StreamInfo::default(), 2, LagVerdict::MustCount);
        let nowhere = GroupInfo::default();
        let verdict = certify(&stream(3, 9, 5, 9, 0), &nowhere, None);
        assert_eq!(verdict, LagVerdict::MustCount);
    }

    #[test]
    fn the_servers_lag_is_carried_only_while_nothing_ahead_was_removed() {
        let then = agreement(&stream(1, 9, 9, 9, 0), &group(4, Some(5)), 5);
        let check = |stream: &StreamInfo, group: &GroupInfo, expect| {
            assert_eq!(certify(stream, group, then.as_ref()), expect);
        };
        let more = stream(1, 12, 12, 12, 0);
        check(&more, &group(6, Some(6)), LagVerdict::Carried(6));
        check(&more, &group(4, Some(8)), LagVerdict::Carried(8));
        check(&more, &group(6, None), LagVerdict::MustCount);
        check(&more, &group(3, Some(9)), LagVerdict::MustCount);
        // The group stands where it stood, so the number can only be 8.
        check(&more, &group(4, Some(7)), LagVerdict::MustCount);
        // It moved on, so some of the 8 were delivered.
        check(&more, &group(6, Some(8)), LagVerdict::MustCount);
        check(
            &stream(1, 12, 11, 12, 5),
            &group(6, Some(6)),
            LagVerdict::MustCount,
        );
        check(
            &stream(1, 12, 11, 12, 4),
            &group(6, Some(6)),
            LagVerdict::Carried(6),
        );
        check(
            &stream(5, 12, 8, 12, 0),
            &group(6, Some(6)),
            LagVerdict::MustCount,
        );
        check(
            &stream(1, 12, 12, 3, 0),
            &group(6, Some(6)),
            LagVerdict::MustCount,
        );
    }

    #[test]
    fn a_group_that_leaves_the_start_of_a_stream_of_which_nothing_is_gone_keeps_the_servers_lag() {
        let unread = agreement(&stream(1, 9, 9, 9, 0), &group(0, Some(9)), 9);
        let check = |stream: &StreamInfo, group: &GroupInfo, expect| {
            assert_eq!(certify(stream, group, unread.as_ref()), expect);
        };
        check(
            &stream(1, 12, 12, 12, 0),
            &group(6, Some(6)),
            LagVerdict::Carried(6),
        );
        // One is gone: it may be one that the group was never given.
        check(
            &stream(2, 12, 11, 12, 0),
            &group(6, Some(6)),
            LagVerdict::MustCount,
        );
        // Made anew meanwhile, with as few gone: fewer were ever added.
        check(
            &stream(1, 8, 8, 8, 0),
            &group(6, Some(2)),
            LagVerdict::MustCount,
        );
    }

    #[test]
    fn a_lag_that_differs_from_the_servers_is_no_agreement() {
        let s = stream(1, 9, 9, 9, 0);
        assert_eq!(agreement(&s, &group(4, Some(5)), 4), None);
        assert_eq!(agreement(&s, &group(4, None), 4), None);
        assert!(agreement(&s, &group(4, Some(5)), 5).is_some());
    }
}
