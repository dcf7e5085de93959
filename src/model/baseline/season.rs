//! What is usual at an hour of the day and of the week, and how far that is to be trusted: as far as it has made errors smaller.

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use crate::model::time::Timestamp;
use crate::model::tuning::baseline::season::{NEAREST, PACE, TRUST_SLOPE, UNSEEN_PENALTY};

const HOUR_MILLIS: u64 = 3_600_000;
const DAY_HOURS: usize = 24;
const WEEK_HOURS: usize = 168;
/// Of an hour that was not seen yet.
const UNSEEN: f32 = f32::MAX;

/// Departures from the long-run level by hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seasons {
    /// Long-run mean.
    level: f64,
    day: Hours,
    /// What the hour of the week adds to the hour of the day.
    week: Option<Hours>,
    /// Mean absolute errors: without a season, with the day's, with both.
    errors: [f32; 3],
}

/// One value per hour, on a line between the middles of hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hours(Box<[f32]>);

/// Two neighbouring hours and how near the later one is.
#[derive(Clone, Copy, Debug)]
struct Between {
    earlier: usize,
    later: usize,
    nearness: f64,
}

/// What the seasons say of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seasonal {
    /// How far above the long-run level it usually is, as far as that is trusted.
    pub usual: f64,
    /// Departure of the value from level and season.
    pub residual: f64,
    /// 0 to 1.
    pub trust: f64,
}

impl Seasons {
    pub fn new(weekly: bool) -> Self {
        Self {
            level: 0.0,
            day: Hours::new(DAY_HOURS),
            week: weekly.then(|| Hours::new(WEEK_HOURS)),
            errors: [0.0; 3],
        }
    }

    /// Where a series has had no other value, at these hours of the day.
    pub fn of_one_value(level: f64, hours: u32) -> Self {
        let mut seasons = Self {
            level,
            ..Self::new(false)
        };
        let seen = |(hour, _): &(usize, &mut f32)| hours >> hour & 1 == 1;
        let of_day = seasons.day.0.iter_mut().enumerate();
        of_day.filter(seen).for_each(|(_, mean)| *mean = 0.0);
        seasons
    }

    /// The hours of the day of which something is known, a bit each.
    pub fn hours_seen(&self) -> u32 {
        let seen = |(hour, mean): (usize, &f32)| u32::from(*mean != UNSEEN) << hour;
        self.day.0.iter().enumerate().map(seen).sum()
    }

    pub fn weekly(&self) -> bool {
        self.week.is_some()
    }

    /// What is not part of the value itself.
    pub fn heap_bytes(&self) -> usize {
        let hours = self.day.0.len() + self.week.as_ref().map_or(0, |week| week.0.len());
        hours * size_of::<f32>()
    }

    /// Whether every hour has its place, which saved state need not have.
    pub fn are_whole(&self) -> bool {
        let week = self.week.as_ref();
        self.day.0.len() == DAY_HOURS && week.is_none_or(|week| week.0.len() == WEEK_HOURS)
    }

    /// What is usual at that moment above the long-run level.
    pub fn usual(&self, at: Timestamp) -> f64 {
        self.trusted(self.hours(at))
    }

    fn trusted(&self, (day, week): (Option<f64>, Option<f64>)) -> f64 {
        let (day_trust, week_trust) = self.trusts();
        day.unwrap_or(0.0) * day_trust + week.unwrap_or(0.0) * week_trust
    }

    /// Holds the value against what is usual then, and the seasons against the value.
    pub fn judge(&mut self, at: Timestamp, value: f64, memory: &Memory) -> Seasonal {
        if memory.samples <= 1.0 {
            self.level = value;
        }
        let residual = value - self.level;
        let (day, week) = self.hours(at);
        let unseen = residual.abs() * UNSEEN_PENALTY;
        let errors = [
            residual.abs(),
            day.map_or(unseen, |day| (residual - day).abs()),
            week.map_or(unseen, |week| (residual - day.unwrap_or(0.0) - week).abs()),
        ];
        for (mean, error) in self.errors.iter_mut().zip(errors) {
            *mean += (memory.trust_pace * (error - f64::from(*mean))) as f32;
        }
        let usual = self.trusted((day, week));
        Seasonal {
            usual,
            residual: residual - usual,
            trust: self.trusts().0,
        }
    }

    /// Takes the value in.
    pub fn learn(&mut self, at: Timestamp, value: f64, memory: &Memory) {
        let residual = value - self.level;
        let (day, week) = self.hours(at);
        self.level += memory.level_pace * residual;
        let day = day.unwrap_or(0.0);
        self.day.learn(at, residual, day, memory);
        if let Some(hours) = &mut self.week {
            hours.learn(at, residual - day, week.unwrap_or(0.0), memory);
        }
    }

    /// Of the day; of the week.
    fn hours(&self, at: Timestamp) -> (Option<f64>, Option<f64>) {
        let week = self.week.as_ref().and_then(|week| week.at(at));
        (self.day.at(at), week)
    }

    /// Of the day; of the week.
    fn trusts(&self) -> (f64, f64) {
        let [without, daily, both] = self.errors.map(f64::from);
        let day = trust(daily, without);
        let week = trust(both, daily);
        (day, day.max(week) * week)
    }
}

fn trust(error: f64, without: f64) -> f64 {
    if without <= 0.0 || error >= without {
        return 0.0;
    }
    ((1.0 - error / without) * TRUST_SLOPE).min(1.0)
}

/// The hour of the day that the first value at that moment is taken for, as long as nothing is known of that hour.
pub(super) fn nearest_hour(at: Timestamp) -> Option<usize> {
    let weights = Between::of(at, DAY_HOURS).weights().into_iter();
    let mut nearest = weights.filter(|(_, weight)| *weight > NEAREST);
    nearest.next().map(|(hour, _)| hour)
}

impl Between {
    /// Of so many hours.
    fn of(at: Timestamp, hours: usize) -> Self {
        // The value of an hour is that of its middle.
        let millis = at.as_millis() + hours as u64 * HOUR_MILLIS - HOUR_MILLIS / 2;
        let earlier = (millis / HOUR_MILLIS) as usize % hours;
        Self {
            earlier,
            later: (earlier + 1) % hours,
            nearness: (millis % HOUR_MILLIS) as f64 / HOUR_MILLIS as f64,
        }
    }

    fn weights(&self) -> [(usize, f64); 2] {
        [
            (self.earlier, 1.0 - self.nearness),
            (self.later, self.nearness),
        ]
    }
}

impl Hours {
    fn new(hours: usize) -> Self {
        Self(vec![UNSEEN; hours].into())
    }

    /// `None` where an hour was not seen yet.
    fn at(&self, at: Timestamp) -> Option<f64> {
        let Between {
            earlier,
            later,
            nearness,
        } = Between::of(at, self.0.len());
        let (earlier, later) = (self.0[earlier], self.0[later]);
        (earlier != UNSEEN && later != UNSEEN)
            .then(|| f64::from(earlier) * (1.0 - nearness) + f64::from(later) * nearness)
    }

    fn learn(&mut self, at: Timestamp, value: f64, before: f64, memory: &Memory) {
        let between = Between::of(at, self.0.len());
        let rounds = memory.samples / self.0.len() as f64;
        let pace = (1.0 / (rounds + 1.0)).max(PACE / memory.density) * memory.level_weight;
        for (hour, weight) in between.weights() {
            let mean = &mut self.0[hour];
            if *mean != UNSEEN {
                *mean += (pace * weight * (value - before)) as f32;
            } else if weight > NEAREST {
                *mean = value as f32;
            }
        }
    }
}
