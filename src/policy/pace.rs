//! How soon a group is looked at again: every poll interval, and sooner for a while after it became active, so that what KEDA asks
//! then is answered by what is known of the first seconds.

use std::time::Duration;

/// A group that has become active is looked at again after this time, then after twice that, until it is the poll interval.
const FIRST_GAP: Duration = Duration::from_secs(1);

/// While messages come and a threshold keeps the group inactive, they bring about a poll no more often than this.
pub const BETWEEN_WAKES: Duration = Duration::from_secs(1);

/// The times between the polls of one group.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    /// The next time between two polls, while that is shorter than the interval.
    gap: Duration,
    was_inactive: bool,
}

impl Pace {
    /// A group that is polled every `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            gap: interval,
            was_inactive: false,
        }
    }

    /// The time from the start of a poll to the start of the next. `is_inactive`: what came of that poll.
    pub fn after(&mut self, is_inactive: bool) -> Duration {
        if std::mem::replace(&mut self.was_inactive, is_inactive) && !is_inactive {
            self.gap = FIRST_GAP;
        }
        let gap = self.gap.min(self.interval);
        self.gap = gap * 2;
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
        assert_eq!(gaps(&[false; 6]), [1, 2, 4, 8, 15, 15]);
        assert_eq!(gaps(&[true, false, false]), [15, 1, 2]);
    }

    #[test]
    fn a_short_interval_stays_as_it_is() {
        let mut pace = Pace::new(Duration::from_millis(200));
        let gaps = [true, false, false].map(|inactive| pace.after(inactive));
        assert_eq!(gaps, [Duration::from_millis(200); 3]);
    }
}
