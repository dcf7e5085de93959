//! A group whose messages leave the log unread is late, however little waits and however young it is: it gets more replicas until
//! none is lost.

use crate::model::time::Timestamp;
use crate::policy::tuning::losing::{LANDS_AFTER, SHOWS_AFTER, STEP_RATIO};

/// Replicas for a group that loses messages: those that the work asks for if they are more than there are, else twice as many as
/// there are. `present` are those that run or were asked for last, `rose_at` says when they were asked for.
pub fn replicas(
    now: Timestamp,
    by_work: u32,
    present: u32,
    all_at_work: bool,
    rose_at: Option<Timestamp>,
) -> u32 {
    let present = present.max(1);
    let wait = if all_at_work {
        SHOWS_AFTER
    } else {
        LANDS_AFTER
    };
    let landed = rose_at.is_none_or(|at| now.since(at) >= wait);
    if by_work > present {
        by_work
    } else if landed {
        present.saturating_mul(STEP_RATIO)
    } else {
        present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_step_by_step_and_follows_the_work_where_that_asks_for_more() {
        let at = |second: u64| Timestamp::from_millis(second * 1_000);
        let check = |rose_at: Option<u64>, second, by_work, present, ready, expect| {
            let replicas = replicas(at(second), by_work, present, ready, rose_at.map(at));
            assert_eq!(replicas, expect, "at {second} s");
        };
        check(None, 0, 1, 0, false, 2);
        check(None, 0, 10, 1, false, 10);
        check(Some(0), 19, 1, 2, true, 2);
        check(Some(0), 20, 1, 2, true, 4);
        check(Some(0), 59, 1, 2, false, 2);
        check(Some(0), 60, 1, 2, false, 4);
    }
}
