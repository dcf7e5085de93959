//! How soon a group is looked at again: every poll interval, and sooner for a while after it became active, so that what KEDA asks
//! then is answered by what is known of the first seconds.

use std::time::Duration;

/// A group that has become active is looked at again after this time, then after twice that, …
const FIRST_GAP: Duration = Duration::from_secs(1);
/// … and so on up to this, if the poll interval is longer …
const CLOSE: Duration = Duration::from_secs(5);
/// … for so long: in that time the fleet is sized, by what its first busy seconds show.
const CLOSE_FOR: Duration = Duration::from_secs(120);

/// While messages come and a threshold keeps the group inactive, they bring about a poll no more often than this.
pub const BETWEEN_WAKES: Duration = Duration::from_secs(1);

/// The times between the polls of one group.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    was_inactive: bool,
    /// The next time between two polls, while they are close, and for how long they still are.
    gap: Duration,
    close_for: Duration,
}

impl Pace {
    /// A group that is polled every `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
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
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_active_is_looked_at_at_growing_distances() {
        let mut pace = Pace::new(Duration::from_secs(15));
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
        let mut pace = Pace::new(Duration::from_millis(200));
        let gaps = [true, false, false].map(|inactive| pace.after(inactive));
        assert_eq!(gaps, [Duration::from_millis(200); 3]);
    }
}
