//! Whether a count rises or falls all the time, and how fast: what comes and goes is no trend.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::drift::{APART, FORGOTTEN_AFTER, MARKS};

/// A count over the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Its value now and then, in order.
    marks: Vec<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
}

impl Drift {
    /// Takes in what it is now.
    pub fn observe(&mut self, at: Timestamp, count: u64) {
        if self
            .last
            .is_some_and(|(last, _)| at.since(last) > FORGOTTEN_AFTER)
        {
            self.marks.clear();
        }
        let newest = self.marks.last();
        if newest.is_none_or(|(newest, _)| at.since(*newest) >= APART) {
            if self.marks.len() == MARKS {
                self.marks.remove(0);
            }
            self.marks.push((at, count));
        }
        self.last = Some((at, count));
    }

    /// Its last value.
    pub fn last(&self) -> Option<u64> {
        self.last.map(|(_, count)| count)
    }

    /// Its values a while apart.
    pub fn marks(&self) -> impl Iterator<Item = u64> {
        self.marks.iter().map(|(_, count)| *count)
    }

    /// How much it rises per second; `None` unless it rose from each mark to the next, or before there are enough of them.
    pub fn rise_per_second(&self) -> Option<f64> {
        self.per_second(|then, now| now.checked_sub(then))
    }

    /// How much it falls per second, likewise.
    pub fn fall_per_second(&self) -> Option<f64> {
        self.per_second(|then, now| then.checked_sub(now))
    }

    fn per_second(&self, change: fn(u64, u64) -> Option<u64>) -> Option<f64> {
        let [(since, first), .., (until, last)] = self.marks[..] else {
            return None;
        };
        let changed = |pair: &[(Timestamp, u64)]| change(pair[0].1, pair[1].1) > Some(0);
        let is_steady = self.marks.len() == MARKS && self.marks.windows(2).all(changed);
        let seconds = until.since(since).as_secs_f64();
        let change = change(first, last).filter(|_| is_steady)?;
        Some(change as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(counts: impl IntoIterator<Item = u64>) -> Drift {
        let mut drift = Drift::default();
        for (n, count) in counts.into_iter().enumerate() {
            drift.observe(Timestamp::from_millis(n as u64 * 30_000), count);
        }
        drift
    }

    #[test]
    fn only_what_rises_or_falls_from_mark_to_mark_is_a_trend() {
        assert_eq!(
            drift([9, 100, 130, 190, 220]).rise_per_second(),
            Some(120.0 / 90.0)
        );
        assert_eq!(drift([9, 100, 130, 190, 220]).fall_per_second(), None);
        assert_eq!(
            drift([220, 190, 130, 100]).fall_per_second(),
            Some(120.0 / 90.0)
        );
        // Too short, a pause, a fall at once as when somebody tidies up.
        assert_eq!(drift([100, 130, 190]).rise_per_second(), None);
        assert_eq!(drift([100, 130, 130, 190]).rise_per_second(), None);
        assert_eq!(drift([100, 130, 0, 30]).fall_per_second(), None);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut drift = drift([100, 200, 300, 400]);
        drift.observe(Timestamp::from_millis(10_000_000), 500);
        assert_eq!(drift.rise_per_second(), None);
        assert_eq!(drift.last(), Some(500));
    }
}
