//! Whether load grows from week to week: whole weeks are compared, so that no weekday is taken for growth.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::policy::tuning::advice::{MOST_GROWTH, WEEKS_AHEAD};

const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;
const WEEK: u64 = 7;

/// The largest load of each of the last days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    /// (days since 1970, load)
    days: VecDeque<(u64, f64)>,
}

impl Trend {
    /// `wall`: what the wall clock shows.
    pub fn add(&mut self, wall: Timestamp, load: f64) {
        let today = wall.as_millis() / DAY_MILLIS;
        // Days to come: the clock was ahead, and was set.
        self.days
            .retain(|(day, _)| *day <= today && day + 2 * WEEK >= today);
        match self.days.back_mut() {
            Some((day, largest)) if *day == today => *largest = largest.max(load),
            _ => self.days.push_back((today, load)),
        }
    }

    /// How many times the load of the last week is to be expected in four weeks: L + 4 · (L − K), L and K being the mean daily peaks
    /// of the last whole week and the one before. 1 without two whole weeks, and where load does not grow.
    pub fn growth(&self) -> f64 {
        let Some((today, _)) = self.days.back() else {
            return 1.0;
        };
        let mean = |weeks_ago: u64| {
            let within = |day: u64| {
                day + WEEK * (weeks_ago + 1) >= *today && day + WEEK * weeks_ago < *today
            };
            let loads: Vec<f64> = self
                .days
                .iter()
                .filter(|(day, _)| within(*day))
                .map(|(_, load)| *load)
                .collect();
            (loads.len() as u64 == WEEK).then(|| loads.iter().sum::<f64>() / WEEK as f64)
        };
        match mean(0).zip(mean(1)) {
            Some((last, before)) if last > before && before > 0.0 => {
                ((last + WEEKS_AHEAD * (last - before)) / last).min(MOST_GROWTH)
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After one load per day, the last day being today.
    fn growth(loads: &[f64]) -> f64 {
        let mut trend = Trend::default();
        for (day, load) in (20_000_u64..).zip(loads) {
            for part in [0.3, 1.0, 0.7] {
                trend.add(
                    Timestamp::from_millis(day * DAY_MILLIS + (part * 1e7) as u64),
                    load * part,
                );
            }
        }
        trend.growth()
    }

    #[test]
    fn growth_from_week_to_week_goes_on_for_four_weeks() {
        let weeks = |before: f64, last: f64| [[before; 7], [last; 7]].concat();
        let today = |mut days: Vec<f64>| {
            days.push(1.0);
            growth(&days)
        };
        assert!((today(weeks(100.0, 110.0)) - 150.0 / 110.0).abs() < 1e-9);
        assert_eq!(today(weeks(100.0, 90.0)), 1.0);
        assert_eq!(today(weeks(0.0, 90.0)), 1.0);
        assert_eq!(today(weeks(1.0, 90.0)), 4.0);
    }

    #[test]
    fn without_two_whole_weeks_there_is_no_growth() {
        assert_eq!(growth(&[]), 1.0);
        let rising: Vec<f64> = (1..=14).map(f64::from).collect();
        assert_eq!(growth(&rising), 1.0, "today is not over");
        let rising: Vec<f64> = (1..=15).map(f64::from).collect();
        assert!(growth(&rising) > 1.0);
    }

    #[test]
    fn days_that_a_clock_was_ahead_of_are_forgotten_once_it_is_set() {
        let mut trend = Trend::default();
        for day in [20_400, 20_401, 20_000, 20_001, 20_002] {
            trend.add(Timestamp::from_millis(day * DAY_MILLIS), 1.0);
        }
        let days: Vec<u64> = trend.days.iter().map(|(day, _)| *day).collect();
        assert_eq!(days, [20_000, 20_001, 20_002]);
    }

    #[test]
    fn weekdays_are_no_growth() {
        let week = [10.0, 80.0, 80.0, 80.0, 80.0, 80.0, 10.0];
        let days: Vec<f64> = week.iter().cycle().take(30).copied().collect();
        for end in 15..30 {
            assert_eq!(growth(&days[..end]), 1.0, "{end}");
        }
    }
}
