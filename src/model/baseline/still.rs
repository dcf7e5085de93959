//! A series that only ever had one value, as most partitions' have: nothing waits, nothing is processed. All that is remembered of
//! it follows from that value, the times, and which hours were seen. So this takes a tenth of the memory and of the time, and says the
//! same to the bit; the first other value turns it into the whole state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarm::Alarm;
use super::course::SampleCourse;
use super::levels::Levels;
use super::pattern::{Patterns, counted};
use super::season::{Seasons, nearest_hour};
use super::state::{Reading, State};
use crate::model::time::Moment;

/// What is left of [`State`] while there is one value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StillSeries {
    value: f64,
    course: SampleCourse,
    /// At the sample before: the first few are news, whatever their value.
    evidence: f64,
    alarm: Alarm,
    /// Weight of the samples in the histograms of patterns, all of it in one bin.
    counted: u32,
    /// The hours of the day that were seen, a bit each.
    hours: u32,
}

impl StillSeries {
    /// The short form of a state, if it has one.
    pub fn of(state: &State) -> Option<Self> {
        let still = Self {
            value: state.levels.expected() * state.unit,
            course: state.course.clone(),
            evidence: state.evidence,
            alarm: state.alarm.clone(),
            counted: state.patterns.total(),
            hours: state.seasons.hours_seen(),
        };
        (still.whole() == *state).then_some(still)
    }

    /// The whole state.
    pub fn whole(&self) -> State {
        let unit = self.value.abs();
        let level = if unit > 0.0 { self.value / unit } else { 0.0 };
        let mut state = State::new(false);
        state.unit = unit;
        state.course = self.course.clone();
        state.levels = Levels::at(level);
        state.seasons = Seasons::of_one_value(level, self.hours);
        state.patterns = Patterns::of_one_value(level, self.counted);
        state.evidence = self.evidence;
        state.negative = self.value < 0.0;
        state.alarm = self.alarm.clone();
        state
    }

    /// Whether the value is the same again, and no news.
    pub fn goes_on(&self, value: f64) -> bool {
        self.course.samples > 0 && self.evidence == 0.0 && value == self.value
    }

    /// Takes in the same value again.
    pub fn learn(&mut self, now: Moment, learning: Duration) -> Reading {
        let memory = self.course.begin(now.at);
        self.course.gap(now.at, &memory);
        if let Some(hour) = nearest_hour(now.on_the_wall()) {
            self.hours |= 1 << hour;
        }
        self.counted = counted(self.counted, &memory);
        let is_learning = self.course.is_learning(now.at, learning);
        if !is_learning {
            let density_bits = self.course.pace.density_bits();
            self.alarm.observe(0.0, memory.density, density_bits);
        }
        self.reading(now, learning)
    }

    /// What is said where a sample is missing, or is the same again.
    pub fn reading(&self, now: Moment, learning: Duration) -> Reading {
        let value = Some(self.value).filter(|_| self.course.samples > 0);
        Reading {
            expected: value,
            lower: value,
            upper: value,
            learning: self.course.is_learning(now.at, learning),
            ..Reading::default()
        }
    }
}
