//! Whether the newest interval alone shows that much more arrives.

use crate::model::facts::{GroupFacts, Load};
use crate::policy::tuning::surge::{COUNTED_OVER_SECONDS, SURGE_DEVIATIONS, SURGE_RATIO};

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
