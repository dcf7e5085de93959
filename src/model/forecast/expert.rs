//! Who forecasts, and from what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// One way to forecast. A closed set: it is a label value.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Expert {
    /// What arrives now arrives then: what the others are measured against.
    #[default]
    LastValue,
    /// The trend of the last minutes goes on and fades.
    Holt,
    /// As at this time on the days before.
    Daily,
    /// As at this time in the weeks before.
    Weekly,
}

impl Expert {
    /// Every expert, in label order.
    pub const ALL: [Self; 4] = [Self::LastValue, Self::Holt, Self::Daily, Self::Weekly];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LastValue => "last_value",
            Self::Holt => "holt",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
        }
    }

    /// The part of the last value's error that its own may be at most.
    pub(super) const fn bar(self) -> f64 {
        match self {
            Self::LastValue | Self::Holt => 1.0,
            Self::Daily | Self::Weekly => 0.85,
        }
    }
}

/// A rate over the time that ended at `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) end: Timestamp,
    /// What the wall clock showed then.
    pub(super) wall: Timestamp,
    pub(super) covered: Duration,
    pub(super) per_second: f64,
}
