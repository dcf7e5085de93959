//! The hold against scale-in: the largest value of a sliding window.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// Values that may still be the largest of the window: times rise, values fall.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldWindow {
    candidates: VecDeque<(Timestamp, f64)>,
}

/// What one target holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Recommended replicas, where partitions belong to replicas.
    pub replicas: HoldWindow,
    /// Messages per second that arrived for a while, at the utilization for a fall: work, not replicas, so that what is held
    /// follows a capacity that is corrected.
    pub arrivals: HoldWindow,
    /// All work per second, the catching up included, for a moment.
    pub work: HoldWindow,
}

impl Hold {
    /// Whether nothing of it is later than that.
    pub fn is_until(&self, now: Timestamp) -> bool {
        let windows = [&self.replicas, &self.arrivals, &self.work];
        let mut values = windows.iter().flat_map(|window| &window.candidates);
        values.all(|(at, _)| *at <= now)
    }
}

impl HoldWindow {
    /// When the last value was added.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.candidates.back().map(|(at, _)| *at)
    }

    /// Adds a value and returns the largest one within `window` before `now`, this one included.
    pub fn hold(&mut self, now: Timestamp, value: f64, window: Duration) -> f64 {
        while self.candidates.back().is_some_and(|(_, v)| *v <= value) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((now, value));
        while self
            .candidates
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= window && *at != now)
        {
            self.candidates.pop_front();
        }
        self.candidates.front().map_or(value, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_held_value_is_the_largest_of_the_window(steps in prop::collection::vec((0_u64..20_000, 0_u32..50), 1..80)) {
            let window = Duration::from_secs(60);
            let mut hold = HoldWindow::default();
            let mut seen: Vec<(Timestamp, u32)> = Vec::new();
            let mut now = Timestamp::from_millis(1_000_000);
            for (passed, value) in steps {
                now = now.plus(Duration::from_millis(passed));
                seen.push((now, value));
                let largest = seen.iter().filter(|(at, _)| now.since(*at) < window).map(|(_, v)| *v).max();
                prop_assert_eq!(Some(hold.hold(now, f64::from(value), window)), largest.map(f64::from));
            }
        }
    }
}
