//! How often samples come, and what that makes of spans. Memory is time: what is unusual today must have been unusual
//! for days, whether a value came every five minutes or every five seconds. Where samples are rarer than every five minutes,
//! memory is samples, since a statistic needs a number of them.

use serde::{Deserialize, Serialize};

use super::bits::log2;
use crate::model::tuning::baseline::pace::{MOST_RATIO, REFERENCE_SECONDS, STEP, TOLERANCE};

/// The usual time between samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SamplePace {
    interval_seconds: f32,
}

impl SamplePace {
    /// Takes in the time since the sample before.
    pub fn learn(&mut self, seconds: f64) {
        let seconds = seconds as f32;
        if seconds <= 0.0 {
            return;
        }
        if self.interval_seconds == 0.0 {
            self.interval_seconds = seconds;
        } else if seconds > self.interval_seconds * TOLERANCE {
            self.interval_seconds *= STEP;
        } else if seconds < self.interval_seconds / TOLERANCE {
            self.interval_seconds /= STEP;
        }
    }

    /// How many of the usual intervals `seconds` are.
    pub fn intervals(self, seconds: f64) -> f64 {
        if self.interval_seconds == 0.0 {
            return 0.0;
        }
        seconds / f64::from(self.interval_seconds)
    }

    /// Samples that stand for one at the reference interval: at least one.
    pub fn density(self) -> f64 {
        if self.interval_seconds == 0.0 {
            return 1.0;
        }
        f64::from((REFERENCE_SECONDS / self.interval_seconds).clamp(1.0, MOST_RATIO))
    }

    /// log2 of the density.
    pub fn density_bits(self) -> f64 {
        log2(self.density())
    }
}
