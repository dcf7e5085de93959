//! When a target rose and fell: who falls too early learns to wait longer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// A rise so soon after a fall shows that the fall came too early.
const TOO_EARLY_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Each time the hold grows by this, …
const GROWS_BY: f64 = 1.5;
/// … up to this …
const LONGEST_HOLD: Duration = Duration::from_secs(30 * 60);
/// … and is back a step after a day without.
const FORGIVEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Where partitions move, no fall within so many holds of a rise …
const AFTER_RISE: f64 = 3.3;
/// … and of another fall.
const AFTER_FALL: f64 = 2.0;
/// Both grow by this with every fall that came too early, …
const WAIT_GROWS_BY: f64 = 1.6;
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(3 * 3600);
const MOST_LESSONS: u32 = 10;

/// The last rise and fall of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    rose_at: Option<Timestamp>,
    fell_at: Option<Timestamp>,
    /// How often it fell too early.
    lessons: u32,
    learned_at: Option<Timestamp>,
}

impl Steps {
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

    /// Takes in the count before and after a decision.
    pub fn note(&mut self, now: Timestamp, before: u32, after: u32) {
        if after < before {
            self.fell_at = Some(now);
        } else if after > before {
            self.rose_at = Some(now);
            let too_early = self
                .fell_at
                .is_some_and(|at| now.since(at) < TOO_EARLY_WITHIN);
            if too_early && before > 0 {
                self.lessons = (self.lessons + 1).min(MOST_LESSONS);
                self.learned_at = Some(now);
            }
        }
    }

    /// The last of them.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.rose_at.max(self.fell_at)
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
