//! When a target rose and fell: who falls too early learns to wait longer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::policy::tuning::scale_history::{
    AFTER_FALL, AFTER_RISE, FORGIVEN_AFTER, GROWS_BY, LONGEST_HOLD, LONGEST_WAIT, MOST_LESSONS,
    TOO_EARLY_WITHIN_HOLDS, WAIT_GROWS_BY,
};

/// The last rise and fall of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleHistory {
    rose_at: Option<Timestamp>,
    fell_at: Option<Timestamp>,
    /// The hold, before what was learned, that ended with that fall.
    #[serde(default)]
    fell_after: Option<Duration>,
    /// The fall that taught last.
    #[serde(default)]
    taught_by: Option<Timestamp>,
    /// How often it fell too early.
    lessons: u32,
    learned_at: Option<Timestamp>,
}

impl ScaleHistory {
    /// The hold at `now`, with what was learned; never shorter than `base`.
    pub fn hold(&mut self, now: Timestamp, base: Duration) -> Duration {
        let forgiven = self
            .learned_at
            .is_some_and(|at| now.since(at) >= FORGIVEN_AFTER);
        if forgiven {
            self.lessons = self.lessons.saturating_sub(1);
            self.learned_at = Some(now);
        }
        let grown = base.mul_f64(self.grown(GROWS_BY));
        grown.min(LONGEST_HOLD.max(base))
    }

    /// Takes in the count before and after a decision; `base` as in [`Self::hold`].
    pub fn note(&mut self, now: Timestamp, before: u32, after: u32, base: Duration) {
        if after < before {
            self.fell_at = Some(now);
            self.fell_after = Some(base);
        } else if after > before {
            self.rose_at = Some(now);
            // A rise in several steps is one lesson.
            let too_early = self.fell_at.is_some_and(|fell| {
                let hold = self.fell_after.unwrap_or(base);
                now.since(fell) < hold * TOO_EARLY_WITHIN_HOLDS && self.taught_by != Some(fell)
            });
            if too_early && before > 0 {
                self.lessons = (self.lessons + 1).min(MOST_LESSONS);
                self.learned_at = Some(now);
                self.taught_by = self.fell_at;
            }
        }
    }

    /// Whether the last change was a fall.
    pub fn fell_last(&self) -> bool {
        self.fell_at > self.rose_at
    }

    /// The last of them.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.rose_at.max(self.fell_at)
    }

    /// Whether nothing of it is later than that.
    pub fn is_until(&self, now: Timestamp) -> bool {
        let Self {
            rose_at,
            fell_at,
            taught_by,
            learned_at,
            ..
        } = self;
        [rose_at, fell_at, taught_by, learned_at]
            .iter()
            .all(|at| at.is_none_or(|at| at <= now))
    }

    /// When it rose last.
    pub fn rose_at(&self) -> Option<Timestamp> {
        self.rose_at
    }

    /// `by` to the power of the lessons; multiplied, as that gives the same bits everywhere.
    fn grown(&self, by: f64) -> f64 {
        (0..self.lessons).fold(1.0, |grown, _| grown * by)
    }

    /// Whether enough time passed since the last step, where a step moves partitions.
    pub fn may_fall(&self, now: Timestamp, base: Duration) -> bool {
        let times = self.grown(WAIT_GROWS_BY);
        let since = |at: Option<Timestamp>, holds: f64| {
            let wait = base
                .mul_f64(holds * times)
                .min(LONGEST_WAIT.max(base.mul_f64(holds)));
            at.is_none_or(|at| now.since(at) >= wait)
        };
        since(self.rose_at, AFTER_RISE) && since(self.fell_at, AFTER_FALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(300);

    fn at(minutes: f64) -> Timestamp {
        Timestamp::from_millis((minutes * 60_000.0) as u64)
    }

    /// Plays (minute, count before, count after).
    fn after(steps: &[(f64, u32, u32)]) -> ScaleHistory {
        let mut state = ScaleHistory::default();
        for (minute, before, after) in steps {
            state.note(at(*minute), *before, *after, BASE);
        }
        state
    }

    #[test]
    fn a_fall_waits_for_more_than_three_holds_after_a_rise_and_two_after_a_fall() {
        let check = |steps: &[(f64, u32, u32)], minute: f64, may: bool| {
            assert_eq!(
                after(steps).may_fall(at(minute), BASE),
                may,
                "{steps:?} {minute}"
            );
        };
        check(&[], 0.0, true);
        check(&[(0.0, 2, 4)], 16.4, false);
        check(&[(0.0, 2, 4)], 16.5, true);
        check(&[(0.0, 4, 2)], 9.9, false);
        check(&[(0.0, 4, 2)], 10.0, true);
        check(&[(0.0, 4, 4)], 0.1, true);
    }

    #[test]
    fn who_falls_too_early_waits_longer_and_is_forgiven_after_a_day() {
        let mut taught = after(&[(0.0, 4, 2), (14.0, 2, 4)]);
        assert_eq!(taught.hold(at(14.0), BASE), BASE.mul_f64(1.5));
        assert!(!taught.may_fall(at(14.0 + 26.3), BASE));
        assert!(taught.may_fall(at(14.0 + 26.5), BASE));
        assert_eq!(taught.hold(at(14.0 + 1_440.0), BASE), BASE);
        let mut late = after(&[(0.0, 4, 2), (15.0, 2, 4)]);
        assert_eq!(late.hold(at(15.0), BASE), BASE, "that fall was right");
        let mut deep = after(&[(0.0, 4, 2), (5.0, 2, 3), (5.5, 3, 4), (6.0, 4, 6)]);
        let lesson = deep.hold(at(6.0), BASE);
        assert_eq!(lesson, BASE.mul_f64(1.5), "one fall, one lesson");
        let mut woken = after(&[(0.0, 4, 0), (5.0, 0, 4)]);
        assert_eq!(woken.hold(at(5.0), BASE), BASE, "work came, that is all");
    }

    #[test]
    fn waits_are_bounded_however_often_it_fell_too_early() {
        let often: Vec<_> = (0..60)
            .map(|n| (f64::from(n) * 5.0, 4 - n % 2 * 2))
            .map(|(minute, n)| (minute, n as u32, 6 - n as u32))
            .collect();
        let mut state = after(&often);
        let last = at(59.0 * 5.0);
        assert_eq!(state.hold(last, BASE), Duration::from_secs(1_800));
        assert!(state.may_fall(last.plus(Duration::from_secs(3 * 3_600)), BASE));
    }
}
