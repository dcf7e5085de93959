//! The group's circuit breaker: when consumers that are never idle do far less than they can, what they depend on is slow,
//! and more of them would make it worse. Source of the rules: docs/policy.md, "Downstream outage".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Less than this share of their capacity is an outage …
const COLLAPSED_RATIO: f64 = 0.55;
/// … and this share is health again.
const RECOVERED_RATIO: f64 = 0.8;
/// Health has to last before the breaker closes.
const HALF_OPEN_FOR: Duration = Duration::from_secs(60);
/// After so long it is no outage but how it is: capacity is learned anew.
pub const ACCEPTED_AFTER: Duration = Duration::from_secs(3_600);

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
    /// It cannot be told.
    Unknown,
}

impl Breaker {
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
