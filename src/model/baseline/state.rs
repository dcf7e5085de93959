//! All that a baseline remembers, and how a sample is held against it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarm::{Alarm, Verdict};
use super::course::SampleCourse;
use super::levels::Levels;
use super::memory::Memory;
use super::pattern::{Pattern, Patterns};
use super::season::{Seasonal, Seasons};
use super::tail::Tails;
use crate::model::time::{Moment, Timestamp};
use crate::model::tuning::baseline::levels::{DEPARTURES, FAST_SPANS};
use crate::model::tuning::baseline::state::{
    CALM_RATIO, LARGEST_RATIO, LEARNING_SAMPLES, MOST_MOVE, OUTSIDE_SHARE, PATTERN_WEIGHT,
    RECORD_WEIGHT, ROUNDING, SEASON_WEIGHT, SMALLEST_VALUE, SUSPICION_FADES, SUSPICIOUS,
};

/// All that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Values are in units of the first that was not 0, so that the scale of a series cannot matter.
    pub unit: f64,
    #[serde(flatten)]
    pub course: SampleCourse,
    pub levels: Levels,
    departures: [Tails; DEPARTURES],
    pub seasons: Seasons,
    residual: f64,
    residuals: Tails,
    pub patterns: Patterns,
    /// Total evidence at the sample before; and its mean over two samples.
    pub evidence: f64,
    departure: f64,
    /// For how many samples learning has been slowed.
    slowed: f64,
    pub negative: bool,
    pub alarm: Alarm,
}

/// What the baseline says of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was expected before the sample was seen; `None` before the first.
    pub expected: Option<f64>,
    /// About 98 of 100 samples lie between lower and upper.
    pub lower: Option<f64>,
    /// See `lower`.
    pub upper: Option<f64>,
    /// How much this is news, 0 to 1: from 0.5 on it fires. Halved where the like was flagged just before.
    pub score: f64,
    /// How unusual the series is now, on the same scale, news or not.
    pub departure: f64,
    /// The flag: up from the firing until 5 samples in a row were below half the threshold.
    pub anomaly: bool,
    /// Whether this sample raised the flag, for the first time or again.
    pub fired: bool,
    /// Not enough was seen yet to flag anything, or not enough since a gap.
    pub learning: bool,
}

/// What one sample shows.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    departures: [f64; DEPARTURES],
    residual: f64,
    pattern: Pattern,
    /// 0 for the usual, about 1 for what differs from all that was seen in every respect.
    pub total: f64,
}

impl State {
    pub fn new(weekly_season: bool) -> Self {
        Self {
            unit: 0.0,
            course: SampleCourse::default(),
            levels: Levels::default(),
            departures: Default::default(),
            seasons: Seasons::new(weekly_season),
            residual: 0.0,
            residuals: Tails::default(),
            patterns: Patterns::default(),
            evidence: 0.0,
            departure: 0.0,
            slowed: 0.0,
            negative: false,
            alarm: Alarm::default(),
        }
    }

    /// What is said where a sample is missing.
    pub fn missing(&self, now: Moment, learning: Duration) -> Reading {
        Reading {
            anomaly: self.alarm.raised(),
            learning: self.course.is_learning(now.at, learning),
            ..self.band(self.seasons.usual(now.on_the_wall()))
        }
    }

    /// Judges the sample by all before it, then learns from it.
    pub fn learn(&mut self, now: Moment, value: f64, learning: Duration) -> Reading {
        let (at, wall) = (now.at, now.on_the_wall());
        let mut memory = self.course.begin(at);
        let value = self.in_own_unit(value);
        let seasonal = self.seasons.judge(wall, value, &memory);
        let level = value - seasonal.usual;
        if let Some(intervals) = self.course.gap(at, &memory) {
            // The means follow the first value after it.
            self.levels.bridge(level, intervals, &memory);
        }
        let is_learning = self.course.is_learning(at, learning);
        let band = self.band(seasonal.usual);
        let evidence = self.compare(value, level, seasonal, &memory);
        let smoothed = 0.5 * (evidence.total + self.evidence);
        self.evidence = evidence.total;
        self.departure = if is_learning { 0.0 } else { smoothed };
        self.suspect(&mut memory);
        self.remember(wall, value, level, &evidence, &memory);
        let verdict = if is_learning {
            Verdict::default()
        } else {
            let density_bits = self.course.pace.density_bits();
            self.alarm.observe(smoothed, memory.density, density_bits)
        };
        Reading {
            expected: band.expected.filter(|_| self.course.samples > 1),
            score: verdict.score,
            departure: verdict.departure,
            anomaly: verdict.raised,
            fired: verdict.fired,
            learning: is_learning,
            ..band
        }
    }

    /// The value in the series' unit.
    fn in_own_unit(&mut self, value: f64) -> f64 {
        self.negative |= value < 0.0;
        if self.unit == 0.0 && value.abs() > SMALLEST_VALUE {
            self.unit = value.abs();
        }
        if self.unit > 0.0 {
            (value / self.unit).clamp(-LARGEST_RATIO, LARGEST_RATIO)
        } else {
            0.0
        }
    }

    /// A departure that may be an anomaly teaches less, for a bounded time.
    fn suspect(&mut self, memory: &mut Memory) {
        if self.departure >= SUSPICIOUS && self.slowed < memory.suspicious_samples {
            self.slowed += 1.0;
            memory.slow_down();
        } else if self.departure < CALM_RATIO * SUSPICIOUS {
            self.slowed = (self.slowed - SUSPICION_FADES).max(0.0);
        }
    }

    /// Expected value and bounds, in the units of the input.
    fn band(&self, usual: f64) -> Reading {
        if self.course.samples == 0 {
            return Reading::default();
        }
        let expected = self.levels.expected() + usual;
        let (above, below) = self.departures[0].bounds(OUTSIDE_SHARE);
        // What was never negative is not expected to be.
        let floor = if self.negative {
            f64::NEG_INFINITY
        } else {
            0.0
        };
        let in_units = |value: f64| Some(value.max(floor) * self.unit);
        Reading {
            expected: in_units(expected),
            lower: in_units(expected - below),
            upper: in_units(expected + above),
            ..Reading::default()
        }
    }

    /// How far the value differs from all that is remembered. Moves the means, remembers nothing else.
    fn compare(&mut self, value: f64, level: f64, seasonal: Seasonal, memory: &Memory) -> Evidence {
        let rounding = ROUNDING * value.abs();
        let true_size = |departure: f64| {
            if departure.abs() <= rounding {
                0.0
            } else {
                departure
            }
        };
        let departures = self.levels.observe(level, self.bounded(level), memory);
        let departures = departures.map(true_size);
        let (mut rarity, mut record) = (0.0, 0.0);
        for (tails, departure) in self.departures.iter().zip(departures) {
            let surprise = tails.judge(departure, memory);
            rarity += surprise.rarity / DEPARTURES as f64;
            record += surprise.record / DEPARTURES as f64;
        }
        self.residual += memory.share(FAST_SPANS[0]) * (seasonal.residual - self.residual);
        let residual = true_size(self.residual);
        let unseasonal = self.residuals.judge(residual, memory).rarity;
        let pattern = self.patterns.judge(level, memory);
        let season_weight = SEASON_WEIGHT * seasonal.trust;
        let sum = rarity
            + RECORD_WEIGHT * record
            + PATTERN_WEIGHT * pattern.surprise
            + season_weight * unseasonal;
        Evidence {
            departures,
            residual,
            pattern,
            total: sum / (1.0 + RECORD_WEIGHT + PATTERN_WEIGHT + season_weight),
        }
    }

    /// Learns from the sample, as far as `memory` lets it.
    fn remember(
        &mut self,
        wall: Timestamp,
        value: f64,
        level: f64,
        evidence: &Evidence,
        memory: &Memory,
    ) {
        for (tails, departure) in self.departures.iter_mut().zip(evidence.departures) {
            tails.learn(departure, memory);
        }
        self.residuals.learn(evidence.residual, memory);
        self.patterns.learn(level, &evidence.pattern, memory);
        self.seasons.learn(wall, value, memory);
    }

    /// The value as far as it may move the slow means, so that a spike does not become the level.
    fn bounded(&self, level: f64) -> f64 {
        if self.course.samples <= LEARNING_SAMPLES {
            return level;
        }
        let expected = self.levels.expected();
        let (above, below) = self.departures[0].largest();
        level.clamp(expected - MOST_MOVE * below, expected + MOST_MOVE * above)
    }
}
