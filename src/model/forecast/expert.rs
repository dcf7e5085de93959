//! Who forecasts, from what, and how well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::model::tuning::forecast::expert::SEASON_BAR;
use crate::model::tuning::forecast::holt::{DAMPED, LEVEL, SLOPE};
use crate::model::tuning::forecast::score::{MEMORY, TRUSTED_AFTER};

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
            Self::Daily | Self::Weekly => SEASON_BAR,
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

/// Holt's linear trend, damped (Gardner and McKenzie 1985): level and slope of the last minutes; the slope fades ahead.
/// Level in messages per second, slope in that per step; `None` before the first rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Holt {
    state: Option<(f64, f64)>,
}

impl Holt {
    pub fn add(&mut self, now: Measured) {
        self.state = Some(match self.state {
            None => (now.per_second, 0.0),
            Some((level, slope)) => {
                let expected = level + DAMPED * slope;
                let next = expected + LEVEL * (now.per_second - expected);
                (next, DAMPED * slope + SLOPE * (next - expected))
            }
        });
    }

    /// level + slope · (φ + φ² + … + φⁿ) for the n steps within `by`, never below 0.
    pub fn ahead(&self, now: Measured, by: Duration) -> Option<f64> {
        let (level, slope) = self.state?;
        let steps = (by.as_millis() / now.covered.as_millis().max(1)).clamp(1, 40);
        let faded = (0..steps).fold(0.0, |sum, _| DAMPED * (1.0 + sum));
        Some((level + slope * faded).max(0.0))
    }
}

/// How much a forecast erred of late: decayed sums over the steps that were judged, messages per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Score {
    error: f64,
    /// That of the last value over the same steps.
    naive_error: f64,
    actual: f64,
    judged: Duration,
}

impl Score {
    pub fn add(&mut self, now: Measured, forecast: f64, naive: f64) {
        let kept = 1.0 - now.covered.as_secs_f64() / MEMORY.as_secs_f64();
        self.error = self.error * kept + (now.per_second - forecast).abs();
        self.naive_error = self.naive_error * kept + (now.per_second - naive).abs();
        self.actual = self.actual * kept + now.per_second;
        self.judged = (self.judged + now.covered).min(MEMORY);
    }

    /// Mean absolute error ÷ mean rate; `None` while nothing arrived.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.actual > 0.0).then(|| self.error / self.actual)
    }

    /// Its error ÷ that of the last value, if it was judged for long enough and is as good as it has to be.
    pub fn trusted_ratio(&self, expert: Expert) -> Option<f64> {
        let ratio = self.error / self.naive_error;
        (self.judged >= TRUSTED_AFTER && self.naive_error > 0.0 && ratio <= expert.bar())
            .then_some(ratio)
    }
}
