//! What happens in the demo, as arrivals per second and partition over time: one round of three minutes, again and again.

use std::time::Duration;

/// The group, and the source that it is read through.
pub const GROUP: &str = "demo";
/// Its consumer group.
pub const CONSUMER_GROUP: &str = "workers";
/// Messages per second that one replica does.
pub const CAPACITY_PER_SECOND: f64 = 50.0;
/// How long a replica takes to start.
pub const START_UP: Duration = Duration::from_secs(3);
/// Partitions of the demo's stream.
pub const PARTITIONS: usize = 16;
/// How long one round takes.
pub const ROUND: Duration = Duration::from_secs(180);
/// The partition that turns hot.
const HOT: usize = 7;

/// A part of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryPhase {
    /// Nothing arrives; everything goes to zero.
    Quiet,
    /// Load comes and drifts over the partitions.
    Drift,
    /// One partition takes ever more of it.
    Hot,
    /// Four times the load for a quarter of a minute.
    Burst,
    /// Load goes back.
    Ebb,
}

impl StoryPhase {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Drift => "drift",
            Self::Hot => "hot partition",
            Self::Burst => "burst",
            Self::Ebb => "ebb",
        }
    }
}

/// The phase so long after the start.
pub fn phase(elapsed: Duration) -> StoryPhase {
    match seconds_of_round(elapsed) {
        s if s < 5.0 => StoryPhase::Quiet,
        s if s < 45.0 => StoryPhase::Drift,
        s if s < 75.0 => StoryPhase::Hot,
        s if s < 90.0 => StoryPhase::Burst,
        s if s < 115.0 => StoryPhase::Ebb,
        _ => StoryPhase::Quiet,
    }
}

/// Arrivals per second of every partition so long after the start.
pub fn arrivals_per_second(elapsed: Duration) -> Vec<f64> {
    let second = seconds_of_round(elapsed);
    let total = match phase(elapsed) {
        StoryPhase::Quiet => 0.0,
        StoryPhase::Drift => 300.0 * ((second - 5.0) / 20.0).min(1.0),
        StoryPhase::Hot => 300.0,
        StoryPhase::Burst => 1_200.0,
        StoryPhase::Ebb => 300.0 * (115.0 - second) / 25.0,
    };
    let hot = if phase(elapsed) == StoryPhase::Hot {
        12.0 * (second - 45.0) / 30.0
    } else {
        0.0
    };
    let weights: Vec<f64> = (0..PARTITIONS)
        .map(|n| {
            // A wave that wanders over the partitions.
            let place = n as f64 / PARTITIONS as f64 - second / 60.0;
            let drift = 1.0 + 0.6 * (place * std::f64::consts::TAU).sin();
            drift + if n == HOT { hot } else { 0.0 }
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights
        .into_iter()
        .map(|weight| total * weight / sum)
        .collect()
}

fn seconds_of_round(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() % ROUND.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_bring_what_their_names_say() {
        let check =
            |second: u64, expect: StoryPhase, total: f64, hottest_share: std::ops::Range<f64>| {
                let elapsed = Duration::from_secs(second);
                let rates = arrivals_per_second(elapsed);
                let sum: f64 = rates.iter().sum();
                let share = rates.iter().copied().fold(0.0, f64::max) / sum.max(1.0);
                assert_eq!(
                    (phase(elapsed), sum.round(), rates.len()),
                    (expect, total, PARTITIONS),
                    "at {second} s"
                );
                assert!(hottest_share.contains(&share), "at {second} s: {share}");
            };
        check(0, StoryPhase::Quiet, 0.0, 0.0..0.1);
        check(40, StoryPhase::Drift, 300.0, 0.09..0.12);
        check(74, StoryPhase::Hot, 300.0, 0.4..0.5);
        check(80, StoryPhase::Burst, 1_200.0, 0.09..0.12);
        check(170, StoryPhase::Quiet, 0.0, 0.0..0.1);
        check(220, StoryPhase::Drift, 300.0, 0.09..0.12);
    }
}
