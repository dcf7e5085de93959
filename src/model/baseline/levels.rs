//! Running means over several spans, and how far the newest value departs from them.

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use crate::model::tuning::baseline::levels::{DEPARTURES, FAST_SPANS};

/// The means; fast ones over samples, slow ones over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Levels {
    fast: f64,
    slow: [f64; 4],
}

impl Levels {
    /// Where a series has had no other value.
    pub fn at(value: f64) -> Self {
        Self {
            fast: value,
            slow: [value; 4],
        }
    }

    /// The mean that bounds are drawn around.
    pub fn expected(&self) -> f64 {
        self.slow[0]
    }

    /// Moves the means towards the first value after a gap, as if that had been there meanwhile.
    pub fn bridge(&mut self, value: f64, intervals: f64, memory: &Memory) {
        self.fast = value;
        for (mean, span) in self.slow.iter_mut().zip(memory.slow_spans) {
            *mean += (intervals * memory.share(span)).min(1.0) * (value - *mean);
        }
    }

    /// Departures of the value, which then moves the means: the slow ones by at most what `bounded` says.
    pub fn observe(&mut self, value: f64, bounded: f64, memory: &Memory) -> [f64; DEPARTURES] {
        if memory.samples <= 1.0 {
            *self = Self::at(value);
        }
        let before = self.slow;
        self.fast += memory.share(FAST_SPANS[1]) * (value - self.fast);
        for (mean, span) in self.slow.iter_mut().zip(memory.slow_spans) {
            *mean += memory.level_weight * memory.share(span) * (bounded - *mean);
        }
        [
            value - before[0],
            value - before[1],
            self.fast - before[2],
            self.slow[0] - before[3],
        ]
    }
}
