//! How soon a group is looked at again: every poll interval, and sooner for a while after it became active, so that what KEDA asks
//! then is answered by what is known of the first seconds.

use crate::policy::tuning::pace::{
    APART, BETWEEN_WAKES, BETWEEN_WAKES_SHARE, BETWEEN_WAKES_TIMES, CLOSE, CLOSE_FOR, FIRST_GAP,
};
use std::time::Duration;

/// From one poll that a message brought about to the next that one may, where a poll takes so long.
pub fn between_wakes(interval: Duration, took: Duration) -> Duration {
    BETWEEN_WAKES
        .min(interval)
        .max(interval / BETWEEN_WAKES_SHARE)
        .max(took * BETWEEN_WAKES_TIMES)
}

/// The times between the polls of one group.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    /// By how much its gaps are shorter than those of others.
    share: f64,
    was_inactive: bool,
    /// The next time between two polls, while they are close, and for how long they still are.
    gap: Duration,
    close_for: Duration,
}

impl Pace {
    /// A group that is polled every `interval`; `share`, from 0 to 1, is another for every group.
    pub const fn new(interval: Duration, share: f64) -> Self {
        Self {
            interval,
            share,
            was_inactive: false,
            gap: FIRST_GAP,
            close_for: Duration::ZERO,
        }
    }

    /// The time from the start of a poll to the start of the next. `is_inactive`: what came of that poll.
    pub fn after(&mut self, is_inactive: bool) -> Duration {
        if std::mem::replace(&mut self.was_inactive, is_inactive) && !is_inactive {
            (self.gap, self.close_for) = (FIRST_GAP, CLOSE_FOR);
        }
        if self.close_for.is_zero() {
            return self.interval;
        }
        let gap = self.gap.min(CLOSE).min(self.interval);
        self.gap = gap * 2;
        self.close_for = self.close_for.saturating_sub(gap);
        gap.mul_f64(1.0 - APART * self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_active_is_looked_at_at_growing_distances() {
        let mut pace = Pace::new(Duration::from_secs(15), 0.0);
        let mut gaps = |inactive: &[bool]| {
            let gaps = inactive.iter().map(|inactive| pace.after(*inactive));
            gaps.map(|gap| gap.as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(gaps(&[false, true, true]), [15, 15, 15]);
        assert_eq!(gaps(&[false; 6]), [1, 2, 4, 5, 5, 5]);
        assert_eq!(gaps(&[true, false, false]), [5, 1, 2]);
        let sizing = gaps(&[false; 30]);
        assert_eq!(sizing[..3], [4, 5, 5]);
        assert_eq!(sizing[sizing.len() - 3..], [15, 15, 15]);
    }

    #[test]
    fn a_short_interval_stays_as_it_is() {
        let mut pace = Pace::new(Duration::from_millis(200), 0.0);
        let gaps = [true, false, false].map(|inactive| pace.after(inactive));
        assert_eq!(gaps, [Duration::from_millis(200); 3]);
    }

    #[test]
    fn groups_that_become_active_together_do_not_stay_together() {
        let mut paces = [0.0, 0.5, 1.0].map(|share| Pace::new(Duration::from_secs(15), share));
        let mut polled = [0.0; 3];
        for poll in 0..12 {
            for (pace, at) in paces.iter_mut().zip(&mut polled) {
                *at += pace.after(poll == 0).as_secs_f64();
            }
        }
        assert!(
            polled[0] - polled[1] > 5.0 && polled[1] - polled[2] > 5.0,
            "{polled:?}"
        );
    }

    #[test]
    fn messages_below_the_threshold_bring_about_few_polls() {
        let check = |interval: u64, took: u64, expect: u64| {
            let [interval, took, expect] = [interval, took, expect].map(Duration::from_millis);
            assert_eq!(between_wakes(interval, took), expect);
        };
        check(5_000, 3, 1_000);
        check(60_000, 3, 6_000);
        check(5_000, 600, 6_000);
        check(200, 1, 200);
    }
}
