//! Holt's linear trend, damped (Gardner and McKenzie 1985): level and slope of the last minutes; the slope fades ahead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expert::Measured;

/// Weights of the newest rate in the level and in the slope, and what is left of the slope after each step.
const LEVEL: f64 = 0.5;
const SLOPE: f64 = 0.1;
const DAMPED: f64 = 0.9;

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
