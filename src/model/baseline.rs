//! What is normal for one signal, learned with every sample, and how far a sample departs from it.
//!
//! A sample is compared with running means over several spans, with what is usual at that hour of the day and the week, and with
//! the patterns of the last values. Each comparison tells how rare such a departure was so far; together they make one departure,
//! from which the flag follows. Everything is relative to what the series did before: there is no setting per series and no
//! unit. Constant time and state per sample. How well it works, with figures: docs/detection.md.

mod alarm;
mod bits;
pub mod counter;
mod course;
mod levels;
mod memory;
mod pace;
mod pattern;
pub mod saved;
mod season;
mod state;
mod still;
mod tail;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::state::State;
use self::still::StillSeries;
use super::time::Moment;
use crate::model::tuning::baseline::rules::LEARNING;
use crate::model::tuning::baseline::state::LARGEST_VALUE;

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
    series: SeriesMemory,
}

/// What is remembered of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SeriesMemory {
    /// It has only ever had one value, and has no weekly season.
    Still(StillSeries),
    Varied(Box<State>),
}

impl Baseline {
    /// Nothing is known yet.
    pub fn new(rules: BaselineRules) -> Self {
        Self {
            rules,
            series: SeriesMemory::new(rules.weekly_season),
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
            Some(value) => self.series.learn(now, value, self.rules.learning),
            None => self.series.missing(now, self.rules.learning),
        }
    }

    /// Memory that the series takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.series {
                SeriesMemory::Still(_) => 0,
                SeriesMemory::Varied(state) => size_of::<State>() + state.seasons.heap_bytes(),
            }
    }
}

impl SeriesMemory {
    fn new(weekly_season: bool) -> Self {
        Self::of(State::new(weekly_season))
    }

    fn of(state: State) -> Self {
        match StillSeries::of(&state) {
            Some(still) => Self::Still(still),
            None => Self::Varied(Box::new(state)),
        }
    }

    fn learn(&mut self, now: Moment, value: f64, learning: Duration) -> Reading {
        match self {
            Self::Varied(state) => state.learn(now, value, learning),
            Self::Still(still) if still.goes_on(value) => still.learn(now, learning),
            Self::Still(still) => {
                let mut state = still.whole();
                let reading = state.learn(now, value, learning);
                *self = Self::of(state);
                reading
            }
        }
    }

    fn missing(&self, now: Moment, learning: Duration) -> Reading {
        match self {
            Self::Still(still) => still.reading(now, learning),
            Self::Varied(state) => state.missing(now, learning),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
