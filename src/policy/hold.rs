//! The hold against scale-in: the largest recommendation of a sliding window.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// Recommendations that may still be the largest of the window: times rise, values fall.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldWindow {
    candidates: VecDeque<(Timestamp, u32)>,
}

impl HoldWindow {
    /// Adds a recommendation and returns the largest one within `window` before `now`, this one included.
    pub fn hold(&mut self, now: Timestamp, recommended: u32, window: Duration) -> u32 {
        while self
            .candidates
            .back()
            .is_some_and(|(_, value)| *value <= recommended)
        {
            self.candidates.pop_back();
        }
        self.candidates.push_back((now, recommended));
        while self
            .candidates
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= window && *at != now)
        {
            self.candidates.pop_front();
        }
        self.candidates
            .front()
            .map_or(recommended, |(_, value)| *value)
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
                prop_assert_eq!(Some(hold.hold(now, value, window)), largest);
            }
        }
    }
}
