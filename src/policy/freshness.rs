//! How old knowledge may be before it is no longer given out. Source: docs/operations.md, "When a source fails".

use std::time::Duration;

use crate::model::time::Timestamp;

use super::tuning::freshness::{FRESH_POLLS, USABLE_LEAST, USABLE_MOST, USABLE_POLLS};

/// The age class of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// At most two polls old.
    Fresh,
    /// Older, but good enough for an active target.
    Stale,
    /// Too old for any answer.
    Expired,
}

impl Freshness {
    /// The class of an observation made at `observed_at` by a poll every `poll_interval`. Stale lasts three polls, at least
    /// 30 s, at most 5 min.
    pub fn of(observed_at: Timestamp, now: Timestamp, poll_interval: Duration) -> Self {
        let age = now.since(observed_at);
        let usable = (poll_interval * USABLE_POLLS).clamp(USABLE_LEAST, USABLE_MOST);
        if age <= poll_interval * FRESH_POLLS {
            Self::Fresh
        } else if age <= usable {
            Self::Stale
        } else {
            Self::Expired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_polls_are_fresh_and_three_polls_or_half_a_minute_are_usable() {
        let check = |poll: u64, age: u64, expect| {
            let start = Timestamp::from_millis(1_000_000);
            let now = start.plus(Duration::from_secs(age));
            assert_eq!(
                Freshness::of(start, now, Duration::from_secs(poll)),
                expect,
                "poll {poll} s, age {age} s"
            );
        };
        check(5, 10, Freshness::Fresh);
        check(5, 11, Freshness::Stale);
        check(5, 30, Freshness::Stale);
        check(5, 31, Freshness::Expired);
        check(60, 180, Freshness::Stale);
        check(60, 181, Freshness::Expired);
        check(150, 299, Freshness::Fresh);
        check(150, 301, Freshness::Expired);
    }
}
