//! The largest rates of the last hours, for what may come back.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::peaks::STEP;

/// Largest values per step of ten minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    steps: VecDeque<(u64, f64)>,
}

impl Peaks {
    /// Takes in a value, and forgets what is older than `window`.
    pub fn add(&mut self, now: Timestamp, value: f64, window: Duration) {
        let step = now.as_millis() / STEP.as_millis() as u64;
        match self.steps.back_mut() {
            Some((last, peak)) if *last == step => *peak = peak.max(value),
            _ => self.steps.push_back((step, value)),
        }
        let oldest = step.saturating_sub((window.as_millis() / STEP.as_millis()) as u64);
        while self.steps.front().is_some_and(|(first, _)| *first < oldest) {
            self.steps.pop_front();
        }
    }

    /// The largest value kept.
    pub fn largest(&self) -> Option<f64> {
        self.steps.iter().map(|(_, peak)| *peak).reduce(f64::max)
    }
}
