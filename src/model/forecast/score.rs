//! How much a forecast erred of late.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expert::{Expert, Measured};

/// Errors fade over so long …
const MEMORY: Duration = Duration::from_secs(6 * 3600);
/// … and an expert is trusted once it was judged for so long.
const TRUSTED_AFTER: Duration = Duration::from_secs(3600);

/// Decayed sums over the steps that were judged, messages per second.
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
