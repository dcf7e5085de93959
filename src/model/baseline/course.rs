//! When the samples of a series came: how many, how often, since when, and for how long a gap is felt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::pace::SamplePace;
use crate::model::time::Timestamp;
use crate::model::tuning::baseline::state::{GAP_INTERVALS, LEARNING_SAMPLES};

/// The part of the state that does not depend on values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SampleCourse {
    pub samples: u64,
    first: Timestamp,
    last: Timestamp,
    pub pace: SamplePace,
    /// For how many samples after a gap nothing is flagged.
    settling: u32,
}

impl SampleCourse {
    /// Counts a sample, and says what it counts.
    pub fn begin(&mut self, at: Timestamp) -> Memory {
        if self.samples == 0 {
            self.first = at;
            self.last = at;
        }
        self.samples += 1;
        if self.samples > 1 {
            self.pace.learn(at.since(self.last).as_secs_f64());
        }
        Memory::of(self.samples, self.pace)
    }

    /// The intervals since the sample before, if they are a gap. Nothing is flagged for as long as that was, at most for the span of
    /// the shortest slow mean.
    pub fn gap(&mut self, at: Timestamp, memory: &Memory) -> Option<f64> {
        let intervals = self.pace.intervals(at.since(self.last).as_secs_f64());
        self.last = at;
        self.settling = self.settling.saturating_sub(1);
        let gap = Some(intervals).filter(|intervals| *intervals > GAP_INTERVALS)?;
        self.settling = gap.min(memory.slow_spans[0]) as u32;
        Some(gap)
    }

    /// Whether nothing is flagged yet, or not so soon after a gap.
    pub fn is_learning(&self, at: Timestamp, learning: Duration) -> bool {
        self.samples <= LEARNING_SAMPLES || at.since(self.first) < learning || self.settling > 0
    }
}
