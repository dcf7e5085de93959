//! What is normal for one signal, learned with every sample, and how far a sample departs from it.
//!
//! A sample is compared with running means over several spans, with what is usual at that hour of the day and the week, and with
//! the patterns of the last values. Each comparison tells how rare such a departure was so far; together they make one departure,
//! from which the flag follows. Everything is relative to what the series did before: there is no setting per series and no
//! unit. Constant time and state per sample. How well it works, with figures: docs/detection.md.

mod alarm;
mod bits;
pub mod counter;
mod levels;
mod memory;
mod pace;
mod pattern;
pub mod saved;
mod season;
mod state;
mod tail;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::alarm::Verdict;
use self::state::State;
use super::time::{Moment, Timestamp};
use crate::model::tuning::baseline::rules::LEARNING;
use crate::model::tuning::baseline::state::{LARGEST_VALUE, LEARNING_SAMPLES};

pub use self::state::Reading;

/// What a user may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineRules {
    /// Whether the hours of the week are learned beside those of the day. Costs about 700 bytes.
    pub weekly_season: bool,
    /// Nothing is flagged before this time is over and 200 samples were seen.
    pub learning: Duration,
}

impl Default for BaselineRules {
    fn default() -> Self {
        Self {
            weekly_season: true,
            learning: LEARNING,
        }
    }
}

/// The baseline of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    rules: BaselineRules,
    state: State,
}

impl Baseline {
    /// Nothing is known yet.
    pub fn new(rules: BaselineRules) -> Self {
        Self {
            rules,
            state: State::new(rules.weekly_season),
        }
    }

    /// With other rules; anew if these want another memory.
    pub fn under(self, rules: BaselineRules) -> Self {
        match self.rules.weekly_season == rules.weekly_season {
            true => Self { rules, ..self },
            false => Self::new(rules),
        }
    }

    /// Judges the sample by all before it, then learns from it. `None`, or what is no finite number, teaches nothing.
    pub fn observe(&mut self, now: impl Into<Moment>, value: Option<f64>) -> Reading {
        let now = now.into();
        match value.filter(|value| value.abs() < LARGEST_VALUE) {
            Some(value) => self.learn(now, value),
            None => self.missing(now),
        }
    }

    /// Memory that the series takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.state.seasons.heap_bytes()
    }

    fn learning(&self, at: Timestamp) -> bool {
        self.state.samples <= LEARNING_SAMPLES
            || at.since(self.state.first) < self.rules.learning
            || self.state.settling > 0
    }

    fn missing(&self, now: Moment) -> Reading {
        let state = &self.state;
        let usual = state.seasons.usual(now.on_the_wall());
        Reading {
            anomaly: state.alarm.raised(),
            learning: self.learning(now.at),
            ..state.band(usual)
        }
    }

    fn learn(&mut self, now: Moment, value: f64) -> Reading {
        let (at, wall) = (now.at, now.on_the_wall());
        let (value, mut memory) = self.state.begin(at, value);
        let state = &mut self.state;
        let seasonal = state.seasons.judge(wall, value, &memory);
        let level = value - seasonal.usual;
        state.bridge(at, level, &memory);
        let learning = self.learning(at);
        let state = &mut self.state;
        let band = state.band(seasonal.usual);
        let evidence = state.compare(value, level, seasonal, &memory);
        let smoothed = 0.5 * (evidence.total + state.evidence);
        state.evidence = evidence.total;
        state.departure = if learning { 0.0 } else { smoothed };
        state.suspect(&mut memory);
        state.remember(wall, value, level, &evidence, &memory);
        let verdict = if learning {
            Verdict::default()
        } else {
            let density_bits = state.pace.density_bits();
            state.alarm.observe(smoothed, memory.density, density_bits)
        };
        Reading {
            expected: band.expected.filter(|_| state.samples > 1),
            score: verdict.score,
            departure: verdict.departure,
            anomaly: verdict.raised,
            fired: verdict.fired,
            learning,
            ..band
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
