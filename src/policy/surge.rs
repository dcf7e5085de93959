//! Whether the newest interval alone shows that much more arrives.

use crate::model::facts::{GroupFacts, Load};

/// The newest interval alone shows a surge if it lies so far above the mean.
const SURGE_RATIO: f64 = 1.3;
const SURGE_DEVIATIONS: f64 = 6.0;

/// How many times the mean of its window the newest interval of the whole group is, where that is no chance; else 1.
pub fn surge(facts: &GroupFacts) -> f64 {
    let sum = |of: fn(&Load) -> f64| facts.tally().loads.iter().map(of).sum::<f64>();
    let mean = sum(|p| p.arrival_per_second);
    let newest = facts
        .newest_arrival_per_second
        .unwrap_or_else(|| sum(|p| p.newest_arrival_per_second));
    // Of a count over five seconds, the shortest that a rate is taken over.
    let deviation = (mean / 5.0).sqrt();
    let beyond = newest > mean * SURGE_RATIO && newest > mean + SURGE_DEVIATIONS * deviation + 1.0;
    if beyond && mean > 0.0 {
        newest / mean
    } else {
        1.0
    }
}
