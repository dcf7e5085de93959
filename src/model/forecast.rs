//! What will arrive at a group: experts that are judged by what then came, and a margin that bounds the chosen one from above.
//!
//! A forecast is for the horizon, the time until a replica asked for now would help. Of the last value, a damped trend and
//! daily and weekly seasons the one with the least error of late is given out. Rules and constants: docs/policy.md, "Forecast".

mod expert;
mod season;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::expert::{Holt, Measured, Score};
use self::season::Season;
use super::time::{Moment, Timestamp};
use crate::model::tuning::forecast::{
    COVERED_RATIO, HORIZON, LONGEST_INTERVAL, LOOK_AHEAD, MARGIN_PACE, MOST_MARGIN, STEP,
};

pub use self::expert::Expert;

/// What is expected, messages per second of the whole group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastFacts {
    /// At the horizon.
    pub per_second: f64,
    /// What the rate at the horizon stays below nine times out of ten.
    pub upper_per_second: f64,
    /// The largest within [`LOOK_AHEAD`].
    pub largest_per_second: f64,
    /// Who says so.
    pub expert: Expert,
    /// Decayed mean absolute error of what was given out ÷ mean rate; `None` until something could be judged.
    pub error_ratio: Option<f64>,
    /// The same of every expert that was judged.
    pub expert_error_ratios: BTreeMap<Expert, f64>,
}

/// A group's arrivals as far as a forecast remembers them: constant time per observation, about 10 kB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Messages counted since the last step, over how long.
    open: (u64, Duration),
    holt: Holt,
    daily: Season,
    weekly: Season,
    scores: BTreeMap<Expert, Score>,
    given_score: Score,
    margin: f64,
    pending: VecDeque<PendingForecasts>,
    /// The newest, and when it was made.
    newest: Option<(Timestamp, Given)>,
    /// Whether arrivals were known at the last observation.
    known: bool,
}

/// What was given out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Given {
    expert: Expert,
    per_second: f64,
    largest_per_second: f64,
}

/// Forecasts that wait to be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PendingForecasts {
    due: Timestamp,
    by_expert: BTreeMap<Expert, f64>,
    given: f64,
}

impl Measured {
    /// On the wall.
    fn middle(&self) -> Timestamp {
        self.wall.minus(self.covered / 2)
    }
}

impl Default for Forecast {
    fn default() -> Self {
        Self {
            open: (0, Duration::ZERO),
            holt: Holt::default(),
            daily: Season::days(1),
            weekly: Season::days(7),
            scores: BTreeMap::new(),
            given_score: Score::default(),
            margin: 0.0,
            pending: VecDeque::new(),
            newest: None,
            known: false,
        }
    }
}

impl Forecast {
    /// Whether it can go on; not so if it was kept by a program that was another, or was damaged.
    pub fn is_whole(&self) -> bool {
        self.daily.is_whole(1) && self.weekly.is_whole(7)
    }

    /// Takes in what arrived over the `covered` time that ended at `end`. Unknown arrivals teach nothing, and nothing is forecast
    /// until they are known again.
    pub fn observe(&mut self, end: impl Into<Moment>, covered: Duration, arrived: Option<u64>) {
        let end = end.into();
        let Some(arrived) = arrived.filter(|_| covered <= LONGEST_INTERVAL) else {
            self.open = (0, Duration::ZERO);
            self.known = false;
            return;
        };
        self.known = true;
        let (messages, time) = (self.open.0 + arrived, self.open.1 + covered);
        self.open = (messages, time);
        if time >= STEP {
            self.open = (0, Duration::ZERO);
            self.step(Measured {
                end: end.at,
                wall: end.on_the_wall(),
                covered: time,
                per_second: messages as f64 / time.as_secs_f64(),
            });
        }
    }

    /// What is expected now; `None` before the first rate and while arrivals are not known.
    pub fn facts(&self) -> Option<ForecastFacts> {
        let (_, given) = self.newest.filter(|_| self.known)?;
        let errors = self.scores.iter();
        Some(ForecastFacts {
            per_second: given.per_second,
            upper_per_second: given.per_second * (1.0 + self.margin),
            largest_per_second: given.largest_per_second,
            expert: given.expert,
            error_ratio: self.given_score.error_ratio(),
            expert_error_ratios: errors
                .filter_map(|(expert, score)| Some((*expert, score.error_ratio()?)))
                .collect(),
        })
    }

    fn step(&mut self, now: Measured) {
        self.judge(now);
        if self
            .newest
            .is_some_and(|(at, _)| now.end.since(at) > now.covered + HORIZON)
        {
            // A trend from before a gap says nothing of after it.
            self.holt = Holt::default();
        }
        self.holt.add(now);
        self.daily.add(now);
        self.weekly.add(now);
        let by_expert: BTreeMap<Expert, f64> = Expert::ALL
            .into_iter()
            .filter_map(|expert| Some((expert, self.ahead(expert, now, HORIZON)?)))
            .collect();
        let given = self.give(now, &by_expert);
        self.newest = Some((now.end, given));
        self.pending.push_back(PendingForecasts {
            due: now.end.plus(HORIZON),
            by_expert,
            given: given.per_second,
        });
    }

    /// Holds what was forecast for now against what came. What fell due in a gap is not judged.
    fn judge(&mut self, now: Measured) {
        while let Some(first) = self.pending.front().filter(|p| p.due <= now.end) {
            if first.due > now.end.minus(now.covered) {
                let naive = first.by_expert.get(&Expert::LastValue);
                let naive = naive.copied().unwrap_or(first.given);
                for (expert, forecast) in &first.by_expert {
                    let score = self.scores.entry(*expert).or_default();
                    score.add(now, *forecast, naive);
                }
                self.given_score.add(now, first.given, naive);
                let missed = now.per_second > first.given * (1.0 + self.margin);
                let step = f64::from(u8::from(missed)) - (1.0 - COVERED_RATIO);
                self.margin = (self.margin + MARGIN_PACE * step).clamp(0.0, MOST_MARGIN);
            }
            self.pending.pop_front();
        }
    }

    /// The forecast of whoever erred least of late, and may be trusted by now.
    fn give(&self, now: Measured, by_expert: &BTreeMap<Expert, f64>) -> Given {
        let best = by_expert
            .keys()
            .filter_map(|expert| Some((*expert, self.scores.get(expert)?.trusted_ratio(*expert)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let expert = best.map_or(Expert::LastValue, |(expert, _)| expert);
        let per_second = by_expert.get(&expert).copied().unwrap_or(now.per_second);
        let further = (1..=4).filter_map(|n| self.ahead(expert, now, LOOK_AHEAD * n / 4));
        Given {
            expert,
            per_second,
            largest_per_second: further.fold(per_second, f64::max),
        }
    }

    /// What one expert expects `by` from now, messages per second; `None` where it does not know yet.
    fn ahead(&self, expert: Expert, now: Measured, by: Duration) -> Option<f64> {
        match expert {
            Expert::LastValue => Some(now.per_second),
            Expert::Holt => self.holt.ahead(now, by),
            Expert::Daily => self.daily.ahead(now, by),
            Expert::Weekly => self.weekly.ahead(now, by),
        }
    }
}

#[cfg(test)]
mod tests;
