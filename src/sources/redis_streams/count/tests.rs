//! The count of one partition, step by step.

use super::*;
use crate::sources::redis_streams::reply::GroupInfo;

fn at(major: u64) -> Position {
    Position { major, minor: 0 }
}

fn snapshot(delivered: u64, last: u64) -> Snapshot {
    Snapshot {
        stream: StreamInfo {
            length: Some(5),
            first: Some(at(1)),
            last: Some(at(last)),
            counts_added: true,
            entries_added: Some(9),
            max_deleted: Some(at(0)),
            ..StreamInfo::default()
        },
        group: GroupInfo {
            last_delivered: Some(at(delivered)),
            ..GroupInfo::default()
        },
        oldest_pending: None,
        now_millis: Some(0),
    }
}

#[test]
fn the_first_page_is_judged_by_the_position_read_with_it() {
    let wanted = PageWanted {
        after: at(2),
        limit: 3,
    };
    let check = |delivered, ids: &[u64], expect, goes_on: bool| {
        let page = Some((ids.iter().map(|id| at(*id)).collect(), 10));
        let (lag, _, more) = of_first_page("k", &snapshot(delivered, 9), wanted, &page);
        assert_eq!(
            (lag, more.is_some()),
            (Some(expect), goes_on),
            "{delivered} {ids:?}"
        );
    };
    check(2, &[4, 9], Quantity::Exact(2), false);
    check(2, &[4, 7, 9], Quantity::Exact(3), false);
    check(2, &[4, 5, 6], Quantity::AtLeast(3), true);
    // Delivered further meanwhile, repositioned to before the page, and past everything.
    check(4, &[4, 9], Quantity::Exact(1), false);
    check(1, &[4, 9], Quantity::AtLeast(2), false);
    check(9, &[4, 9], Quantity::Exact(0), false);
    check(7, &[4, 5, 6], Quantity::AtLeast(1), true);
}

#[test]
fn consumers_that_delete_what_they_have_done_move_the_count_to_the_last_reading() {
    let then = snapshot(2, 9);
    let mut counting = RangeCount::new("k", at(2), at(9), 10);
    counting.take(&[at(3), at(5), at(8), at(9)], 10, 9, at(2));
    let check = |delivered, max_deleted, expect| {
        let mut now = snapshot(delivered, 11);
        now.stream.entries_added = Some(11);
        now.stream.max_deleted = Some(at(max_deleted));
        assert_eq!(at_the_end(&then, &now, &counting), expect);
    };
    // 8 and 9 are left, 10 and 11 arrived.
    check(5, 4, Some(4));
    check(5, 5, Some(4));
    check(5, 6, None);
    check(10, 3, None);
    check(11, 3, Some(0));
}

#[test]
fn removals_of_delivered_entries_do_not_spoil_a_long_count() {
    let then = snapshot(4, 9);
    let check = |first, length, added, max_deleted, expect| {
        let now = StreamInfo {
            first: Some(at(first)),
            length: Some(length),
            counts_added: true,
            entries_added: Some(added),
            max_deleted: Some(at(max_deleted)),
            ..StreamInfo::default()
        };
        assert_eq!(is_intact(&then, &now), expect);
    };
    check(1, 8, 12, 0, true);
    check(3, 4, 9, 2, true);
    check(5, 4, 9, 0, false);
    check(1, 4, 9, 6, false);
}
