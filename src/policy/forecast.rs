//! What arrivals are multiplied by: for what a forecast expects, and for a surge in the newest interval. Both may ask for more
//! replicas and keep them, never for fewer.

use serde::{Deserialize, Serialize};

use crate::model::facts::{GroupFacts, Load};
use crate::policy::tuning::surge::{COUNTED_OVER_SECONDS, SURGE_DEVIATIONS, SURGE_RATIO};

/// Whether the forecast takes part in decisions. It is made, judged and exported either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecasting {
    /// Decisions rest on what arrives now.
    #[default]
    Off,
    /// Rises look at the horizon, scale-in at the next minutes.
    On,
}

impl Forecasting {
    /// The words for it, in config and metadata.
    pub const WORDS: [(&str, Self); 2] = [("off", Self::Off), ("on", Self::On)];
}

/// What arrivals are multiplied by, 1 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Raise {
    /// For rises: upper bound at the horizon ÷ present rate.
    pub rise: f64,
    /// For scale-in: the largest of the next minutes ÷ present rate.
    pub fall: f64,
}

impl Raise {
    /// Arrivals as they are.
    pub const NONE: Self = Self {
        rise: 1.0,
        fall: 1.0,
    };

    /// What the forecast adds; `None` without one, and where nothing arrives that could be multiplied.
    pub fn of(facts: &GroupFacts) -> Option<Self> {
        let forecast = facts.forecast.as_ref()?;
        let present = facts.arrival_per_second.filter(|rate| *rate > 0.0)?;
        let raised = |expected: f64| (expected / present).max(1.0);
        Some(Self {
            rise: raised(forecast.upper_per_second),
            fall: raised(forecast.largest_per_second),
        })
    }
}

/// How many times the mean of its window the newest interval of the whole group is, where that is no chance; else 1.
pub fn surge(facts: &GroupFacts) -> f64 {
    let sum = |of: fn(&Load) -> f64| facts.tally().loads.iter().map(of).sum::<f64>();
    let mean = sum(|p| p.arrival_per_second);
    let newest = facts
        .newest_arrival_per_second
        .unwrap_or_else(|| sum(|p| p.newest_arrival_per_second));
    let deviation = (mean / COUNTED_OVER_SECONDS).sqrt();
    let beyond = newest > mean * SURGE_RATIO && newest > mean + SURGE_DEVIATIONS * deviation + 1.0;
    if beyond && mean > 0.0 {
        newest / mean
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::forecast::ForecastFacts;

    fn raise(arrival: f64, upper: f64, largest: f64) -> Option<Raise> {
        Raise::of(&GroupFacts {
            arrival_per_second: Some(arrival),
            forecast: Some(ForecastFacts {
                upper_per_second: upper,
                largest_per_second: largest,
                ..ForecastFacts::default()
            }),
            ..GroupFacts::default()
        })
    }

    #[test]
    fn a_forecast_raises_arrivals_and_never_lowers_them() {
        let check = |found: Option<Raise>, rise, fall| {
            assert_eq!(found, Some(Raise { rise, fall }));
        };
        check(raise(100.0, 150.0, 300.0), 1.5, 3.0);
        check(raise(100.0, 50.0, 20.0), 1.0, 1.0);
        assert_eq!(raise(0.0, 150.0, 300.0), None);
        assert_eq!(Raise::of(&GroupFacts::default()), None);
    }
}
