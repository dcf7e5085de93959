//! The group's circuit breaker: when consumers that are never idle do far less than they can, what they depend on is slow,
//! and more of them would make it worse. Source of the rules: docs/policy.md, "Downstream outage".

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::downstream::{
    ACCEPTED_AFTER, COLLAPSED_RATIO, HALF_OPEN_FOR, RECOVERED_RATIO,
};

/// The breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// Nothing wrong.
    #[default]
    Closed,
    /// An outage since then.
    Open(Timestamp),
    /// The rate recovered then.
    HalfOpen(Timestamp),
}

/// What the group's consumers do, as far as they are never idle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fleet {
    /// Most are never idle; the median does this share of its capacity.
    Busy(f64),
    /// Most keep up.
    Idle,
    /// It cannot be known.
    Unknown,
}

impl Breaker {
    /// The label values of all states.
    pub const STATES: [&'static str; 3] = ["closed", "open", "half_open"];

    /// The state after what is seen at `now`.
    pub(super) fn next(self, now: Timestamp, fleet: Fleet) -> Self {
        let collapsed = matches!(fleet, Fleet::Busy(ratio) if ratio < COLLAPSED_RATIO);
        let recovered = match fleet {
            Fleet::Busy(ratio) => ratio >= RECOVERED_RATIO,
            Fleet::Idle => true,
            Fleet::Unknown => false,
        };
        match self {
            Self::Closed | Self::HalfOpen(_) if collapsed => Self::Open(now),
            Self::Open(_) if recovered => Self::HalfOpen(now),
            Self::Open(since) if now.since(since) >= ACCEPTED_AFTER => Self::Closed,
            Self::HalfOpen(since) if now.since(since) >= HALF_OPEN_FOR => Self::Closed,
            same => same,
        }
    }

    /// Whether the target is held.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen(_) => "half_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Plays (second, what is seen); gives the last state.
    fn after(seen: &[(u64, Fleet)]) -> Breaker {
        let closed = Breaker::default();
        let next =
            |breaker: Breaker, (second, fleet): &(u64, Fleet)| breaker.next(at(*second), *fleet);
        seen.iter().fold(closed, next)
    }

    #[test]
    fn it_stays_closed_while_consumers_keep_up_or_do_more_than_half_of_what_they_can() {
        for fleet in [
            Fleet::Idle,
            Fleet::Unknown,
            Fleet::Busy(0.55),
            Fleet::Busy(1.3),
        ] {
            assert_eq!(after(&[(0, fleet)]), Breaker::Closed, "{fleet:?}");
        }
    }

    #[test]
    fn a_collapse_opens_it_and_only_health_ends_that() {
        let collapsed = (0, Fleet::Busy(0.54));
        let check = |seen: Fleet, expect: Breaker| {
            assert_eq!(after(&[collapsed, (60, seen)]), expect, "{seen:?}");
        };
        check(Fleet::Busy(0.1), Breaker::Open(at(0)));
        check(Fleet::Busy(0.79), Breaker::Open(at(0)));
        check(Fleet::Unknown, Breaker::Open(at(0)));
        check(Fleet::Busy(0.8), Breaker::HalfOpen(at(60)));
        check(Fleet::Idle, Breaker::HalfOpen(at(60)));
    }

    #[test]
    fn half_open_it_closes_after_a_minute_of_health_and_opens_at_the_next_collapse() {
        let recovered = [(0, Fleet::Busy(0.1)), (100, Fleet::Busy(1.0))];
        let check = |then: &[(u64, Fleet)], expect: Breaker| {
            assert_eq!(after(&[&recovered, then].concat()), expect, "{then:?}");
        };
        check(&[(159, Fleet::Busy(1.0))], Breaker::HalfOpen(at(100)));
        check(&[(160, Fleet::Unknown)], Breaker::Closed);
        check(
            &[(130, Fleet::Busy(0.6)), (165, Fleet::Idle)],
            Breaker::Closed,
        );
        check(&[(130, Fleet::Busy(0.3))], Breaker::Open(at(130)));
    }

    #[test]
    fn what_lasts_for_an_hour_is_accepted() {
        let minutes = |n: u64| (n * 60, Fleet::Busy(0.3));
        let hour: Vec<_> = (0..60).map(minutes).collect();
        assert_eq!(after(&hour), Breaker::Open(at(0)));
        assert_eq!(after(&[hour, vec![minutes(60)]].concat()), Breaker::Closed);
    }

    #[test]
    fn only_open_holds_the_target_and_every_state_has_its_word() {
        let states = [
            Breaker::Closed,
            Breaker::Open(at(1)),
            Breaker::HalfOpen(at(1)),
        ];
        assert_eq!(states.map(Breaker::is_open), [false, true, false]);
        assert_eq!(states.map(Breaker::as_str), Breaker::STATES);
    }
}
