//! Certified lag: how many entries the group has not been given, told only where it follows from the ids, was carried
//! over from a certified poll, or was counted. The server's own `lag` is wrong or nil in up to half of all situations
//! with deletions, trims and repositioned groups.

use super::reply::{GroupInfo, StreamInfo};
use crate::model::sample::Position;

/// How a lag came to be known, or that it must be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
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
}

/// Rules 1 to 5, on one atomic reading of stream and group.
pub fn certify(stream: &StreamInfo, group: &GroupInfo, previous: Option<&Agreement>) -> Verdict {
    let at = group.last_delivered;
    let (Some(first), Some(last)) = (stream.first, stream.last) else {
        return Verdict::Derived(0);
    };
    if stream.length == 0 || at >= last {
        Verdict::Derived(0)
    } else if at < first {
        Verdict::Derived(stream.length)
    } else if at == first {
        Verdict::Derived(stream.length - 1)
    } else {
        previous
            .and_then(|previous| carry(stream, first, group, previous))
            .map_or(Verdict::MustCount, Verdict::Carried)
    }
}

/// Rule 4. The server's counters were right at the previous poll, and nothing has happened since that makes them go
/// wrong: no entry after the group's position of then was trimmed or deleted, and the group was not moved back. All
/// conditions compare states, not polls, so polls may be missing in between.
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
    let native = group.native_lag?;
    let max_deleted = stream.max_deleted?;
    let arrived = stream.entries_added?.checked_sub(previous.entries_added)?;
    let after_previous = previous.lag.checked_add(arrived)?;
    let untouched = previous.delivered >= first && max_deleted <= previous.delivered;
    let plausible = if group.last_delivered == previous.delivered {
        native == after_previous
    } else {
        group.last_delivered > previous.delivered && native < after_previous
    };
    (untouched && plausible).then_some(native)
}

/// What the next poll may rely on, given the certified lag of this one.
pub fn agreement(stream: &StreamInfo, group: &GroupInfo, certified: u64) -> Option<Agreement> {
    (group.native_lag == Some(certified)).then_some(Agreement {
        delivered: group.last_delivered,
        lag: certified,
        entries_added: stream.entries_added?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { major: n, minor: 0 }
    }

    fn stream(first: u64, last: u64, length: u64, added: u64, max_deleted: u64) -> StreamInfo {
        StreamInfo {
            length,
            last_generated: at(last),
            first: Some(at(first)),
            last: Some(at(last)),
            entries_added: Some(added),
            max_deleted: Some(at(max_deleted)),
            entry_bytes: 0,
        }
    }

    fn group(delivered: u64, native_lag: Option<u64>) -> GroupInfo {
        GroupInfo {
            pending: 0,
            last_delivered: at(delivered),
            entries_read: None,
            native_lag,
        }
    }

    #[test]
    fn what_follows_from_the_ids_needs_neither_the_server_nor_a_count() {
        let check = |stream: &StreamInfo, delivered, expect| {
            let verdict = certify(stream, &group(delivered, Some(77)), None);
            assert_eq!(verdict, expect, "delivered {delivered}");
        };
        let s = stream(3, 9, 5, 9, 0);
        check(&s, 9, Verdict::Derived(0));
        check(&s, 12, Verdict::Derived(0));
        check(&s, 2, Verdict::Derived(5));
        check(&s, 3, Verdict::Derived(4));
        check(&s, 5, Verdict::MustCount);
        check(&StreamInfo::default(), 0, Verdict::Derived(0));
    }

    #[test]
    fn the_servers_lag_is_carried_only_while_nothing_ahead_was_removed() {
        let then = agreement(&stream(1, 9, 9, 9, 0), &group(4, Some(5)), 5);
        let check = |stream: &StreamInfo, group: &GroupInfo, expect| {
            assert_eq!(certify(stream, group, then.as_ref()), expect);
        };
        let more = stream(1, 12, 12, 12, 0);
        check(&more, &group(6, Some(6)), Verdict::Carried(6));
        check(&more, &group(4, Some(8)), Verdict::Carried(8));
        check(&more, &group(6, None), Verdict::MustCount);
        check(&more, &group(3, Some(9)), Verdict::MustCount);
        // The group stands where it stood, so the number can only be 8.
        check(&more, &group(4, Some(7)), Verdict::MustCount);
        // It moved on, so some of the 8 were delivered.
        check(&more, &group(6, Some(8)), Verdict::MustCount);
        check(
            &stream(1, 12, 11, 12, 5),
            &group(6, Some(6)),
            Verdict::MustCount,
        );
        check(
            &stream(1, 12, 11, 12, 4),
            &group(6, Some(6)),
            Verdict::Carried(6),
        );
        check(
            &stream(5, 12, 8, 12, 0),
            &group(6, Some(6)),
            Verdict::MustCount,
        );
        check(
            &stream(1, 12, 12, 3, 0),
            &group(6, Some(6)),
            Verdict::MustCount,
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
