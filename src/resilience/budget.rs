//! A budget of calls per second that holds over any second, and shrinks while the server asks for less.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Timestamp;

const WINDOW: Duration = Duration::from_secs(1);

/// Without further complaints the budget doubles this often, until it is whole again: at the latest four seconds after the last.
const RECOVERS_EVERY: Duration = Duration::from_secs(1);

/// Complaints take away all but this share, so that it is noticed when there is nothing more to complain of.
const LEAST_SHARE: u32 = 8;

/// Complaints about calls made at the same time count once.
const COMPLAINTS_APART: Duration = Duration::from_secs(1);

/// Calls that may be made within any second.
#[derive(Clone, Debug)]
pub struct CallBudget {
    per_second: u32,
    allowed: u32,
    complained_at: Option<Timestamp>,
    recovered_at: Timestamp,
    recent: VecDeque<Timestamp>,
}

impl CallBudget {
    /// At most `per_second` calls within any second; at least 1.
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self {
            per_second,
            allowed: per_second,
            complained_at: None,
            recovered_at: Timestamp::default(),
            recent: VecDeque::new(),
        }
    }

    /// Takes leave for one call now.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        self.recover(now);
        while self
            .recent
            .front()
            .is_some_and(|at| now.since(*at) >= WINDOW)
        {
            self.recent.pop_front();
        }
        let surplus = (self.recent.len() + 1).saturating_sub(self.allowed as usize);
        match surplus.checked_sub(1).and_then(|n| self.recent.get(n)) {
            Some(at) => Err(WINDOW.saturating_sub(now.since(*at))),
            None => {
                self.recent.push_back(now);
                Ok(())
            }
        }
    }

    /// The server refused a call for there being too many: from now on half as many.
    pub fn throttled(&mut self, now: Timestamp) {
        if self
            .complained_at
            .is_none_or(|at| now.since(at) >= COMPLAINTS_APART)
        {
            self.complained_at = Some(now);
            self.allowed = (self.allowed / 2).max(self.per_second.div_ceil(LEAST_SHARE));
        }
        self.recovered_at = now;
    }

    /// Calls allowed per second now.
    pub const fn allowed_per_second(&self) -> u32 {
        self.allowed
    }

    fn recover(&mut self, now: Timestamp) {
        while self.allowed < self.per_second && now.since(self.recovered_at) >= RECOVERS_EVERY {
            self.allowed = self.allowed.saturating_mul(2).min(self.per_second);
            self.recovered_at = self.recovered_at.plus(RECOVERS_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    proptest! {
        #[test]
        fn no_second_ever_holds_more_calls_than_allowed(per_second in 1_u32..60, pauses in prop::collection::vec(0_u64..400, 1..300)) {
            let mut budget = CallBudget::new(per_second);
            let mut now = 0;
            let mut made: Vec<u64> = Vec::new();
            for pause in pauses {
                now += pause;
                match budget.take(at(now)) {
                    Ok(()) => made.push(now),
                    Err(wait) => {
                        prop_assert!(!wait.is_zero() && wait <= WINDOW);
                        now += wait.as_millis() as u64;
                        prop_assert_eq!(budget.take(at(now)), Ok(()), "the wait is long enough");
                        made.push(now);
                    }
                }
                let within = made.iter().filter(|call| **call + 1_000 > now).count();
                prop_assert!(within <= per_second as usize);
            }
        }
    }

    #[test]
    fn complaints_halve_the_budget_and_quiet_restores_it() {
        let mut budget = CallBudget::new(40);
        for millis in [0, 10, 20] {
            budget.throttled(at(millis));
        }
        assert_eq!(budget.allowed_per_second(), 20);
        budget.throttled(at(1_000));
        assert_eq!(budget.allowed_per_second(), 10);
        let _ = budget.take(at(2_000));
        assert_eq!(budget.allowed_per_second(), 20);
        let _ = budget.take(at(3_000));
        assert_eq!(budget.allowed_per_second(), 40);
        for second in 100..120 {
            budget.throttled(at(second * 1_000));
        }
        assert_eq!(budget.allowed_per_second(), 5, "never nothing");
        let _ = budget.take(at(122_000));
        assert_eq!(budget.allowed_per_second(), 40, "three quiet seconds");
    }
}
