//! Reasons that many connections can have are logged once in a while, however many come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A reason is logged this often at most.
const EVERY: Duration = Duration::from_secs(60);

/// Which reasons were logged, and when.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Vec<(&'static str, Instant)>>);

impl Seldom {
    /// Whether the reason is to be logged now.
    pub fn is_due(&self, reason: &'static str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(_, at)| at.elapsed() < EVERY);
        let is_due = told.iter().all(|(of, _)| *of != reason);
        if is_due {
            told.push((reason, Instant::now()));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_in_a_while() {
        let seldom = Seldom::default();
        assert!(seldom.is_due("a") && seldom.is_due("b"));
        assert!(!seldom.is_due("a") && !seldom.is_due("b"));
    }
}
