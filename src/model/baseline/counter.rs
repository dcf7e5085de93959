//! What a counter gained per second between two readings, as input for a baseline.

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// The reading before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterRate {
    before: Option<(Timestamp, u64)>,
}

impl CounterRate {
    /// Gain per second since the reading before. `None` at the first, at a missing one, where no time has passed, and where the
    /// counter has fallen: it restarted, and what it gained meanwhile cannot be known.
    pub fn observe(&mut self, at: Timestamp, total: Option<u64>) -> Option<f64> {
        let total = total?;
        let before = self.before.replace((at, total));
        let (since, before) = before?;
        let seconds = at.since(since).as_secs_f64();
        let gained = total.checked_sub(before)?;
        (seconds > 0.0).then(|| gained as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_starts_anew_costs_one_sample() {
        let mut rate = CounterRate::default();
        let mut observe =
            |seconds: u64, total| rate.observe(Timestamp::from_millis(seconds * 1000), total);
        assert_eq!(observe(0, Some(100)), None);
        assert_eq!(observe(5, Some(150)), Some(10.0));
        assert_eq!(observe(10, None), None, "missing");
        assert_eq!(observe(15, Some(250)), Some(10.0), "over both intervals");
        assert_eq!(observe(20, Some(5)), None, "started anew");
        assert_eq!(observe(25, Some(30)), Some(5.0));
        assert_eq!(observe(25, Some(40)), None, "no time has passed");
    }
}
