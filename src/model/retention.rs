//! How long until messages leave the log that the group has not finished: at present rates, and if its consumers stood still.
//!
//! What a log drops first are messages that the group is done with. How many of these are kept is its reserve: it falls while messages
//! are dropped faster than they are finished.

use serde::{Deserialize, Serialize};

use super::drift::Drift;
use super::sample::PartitionSample;
use super::time::Timestamp;
use crate::model::tuning::retention::{LEAST, LEAST_OF_DROPPED_RATIO, LEAST_RATIO};

/// What is kept of one partition's log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// Kept messages that the group is done with.
    reserve: Drift,
    /// Messages that were ever dropped.
    dropped: Drift,
    /// Messages kept, and those of them that consumers have in hand.
    length: u64,
    pending: u64,
}

impl Retention {
    /// Takes in what a poll saw. What it does not tell exactly changes nothing.
    pub(super) fn observe(&mut self, at: Timestamp, sample: &PartitionSample) {
        let is_known = !sample.lacks_length && !sample.lacks_pending;
        let Some(lag) = sample.lag.and_then(|lag| lag.exact()).filter(|_| is_known) else {
            return;
        };
        self.length = sample.length;
        self.pending = sample.pending;
        let unfinished = lag.saturating_add(sample.pending);
        self.reserve
            .observe(at, sample.length.saturating_sub(unfinished));
        let dropped = sample
            .log_end
            .and_then(|end| end.checked_sub(sample.length));
        if let Some(dropped) = dropped {
            self.dropped.observe(at, dropped);
        }
    }

    /// Seconds until unfinished messages are dropped if all goes on as now; `None` if they will not be.
    pub(super) fn trim_horizon_seconds(&self) -> Option<f64> {
        let (left, fall) = (self.reserve.last()?, self.reserve.fall_per_second()?);
        let first = self.reserve.marks().next()?;
        let least = (first as f64 * LEAST_RATIO).max(LEAST);
        let dropped = self.dropped.rise_per_second();
        let is_trimmed = dropped.is_none_or(|dropped| fall >= dropped * LEAST_OF_DROPPED_RATIO);
        let is_real = first.saturating_sub(left) as f64 >= least && first > self.pending;
        (is_trimmed && is_real).then_some(left as f64 / fall)
    }

    /// Seconds for which the consumers may stand still before unfinished messages are dropped; `None` where the log is not trimmed.
    pub(super) fn outage_reserve_seconds(&self) -> Option<f64> {
        let (left, rate) = (self.reserve.last()?, self.dropped.rise_per_second()?);
        let least = (self.length as f64 * LEAST_RATIO).max(self.pending as f64);
        // Where as good as nothing is left, the consumers are the ones who delete.
        let is_trimmed = self
            .reserve
            .marks()
            .all(|kept| kept as f64 >= least.max(LEAST));
        is_trimmed.then_some(left as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::quantity::Quantity;

    /// A log and its group, polled every ten seconds.
    #[derive(Default)]
    struct Log {
        at: u64,
        end: u64,
        first: u64,
        done: u64,
        pending: u64,
        retention: Retention,
    }

    impl Log {
        /// `seconds` in which so many per second arrive and are finished, with at most so many kept, if any.
        fn pass(&mut self, seconds: u64, arrive: u64, finish: u64, most: Option<u64>) {
            for second in 1..=seconds {
                self.end += arrive;
                self.done = (self.done + finish).min(self.end);
                if let Some(most) = most {
                    self.first = self.first.max(self.end.saturating_sub(most));
                }
                self.at += 1;
                if second % 10 == 0 {
                    self.poll();
                }
            }
        }

        fn poll(&mut self) {
            let done = self.done.max(self.first);
            let pending = self.pending.min(self.end - done);
            let sample = PartitionSample {
                log_end: Some(self.end),
                length: self.end - self.first,
                lag: Some(Quantity::Exact(self.end - done - pending)),
                pending,
                ..PartitionSample::default()
            };
            let at = Timestamp::from_millis(self.at * 1_000);
            self.retention.observe(at, &sample);
        }
    }

    #[test]
    fn a_group_that_falls_behind_a_trimmed_log_is_told_when_trimming_reaches_it() {
        let mut log = Log::default();
        log.pass(400, 400, 400, Some(100_000));
        assert_eq!(log.retention.trim_horizon_seconds(), None);
        let reserve = log.retention.outage_reserve_seconds().expect("a reserve");
        assert!((reserve - 250.0).abs() < 1.0, "{reserve}");
        // 300 more arrive per second than are finished: 100,000 ÷ 300 s in all.
        log.pass(100, 400, 100, Some(100_000));
        let horizon = log.retention.trim_horizon_seconds().expect("a horizon");
        assert!((horizon - 233.0).abs() < 10.0, "{horizon}");
        log.pass(230, 400, 100, Some(100_000));
        let horizon = log.retention.trim_horizon_seconds().expect("a horizon");
        assert!(horizon < 10.0, "{horizon}");
        // It catches up.
        log.pass(150, 400, 900, Some(100_000));
        assert_eq!(log.retention.trim_horizon_seconds(), None);
    }

    #[test]
    fn a_log_that_nobody_trims_has_no_horizon() {
        let mut log = Log::default();
        log.pass(300, 400, 400, None);
        log.pass(300, 400, 0, None);
        assert_eq!(log.retention.trim_horizon_seconds(), None);
        assert_eq!(log.retention.outage_reserve_seconds(), None);
    }

    proptest! {
        #[test]
        fn consumers_that_delete_what_they_did_make_no_horizon(seed in any::<u64>(), pending in 1_u64..500, arrive in 0_u64..300, finish in 1_u64..300) {
            let (mut log, mut random) = (Log { pending, ..Log::default() }, seed);
            for _ in 0..100 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                log.pass(8, arrive, finish, None);
                // What was done in the last second or two may not be deleted yet.
                let before = log.done;
                log.pass(2, arrive, finish, None);
                let kept = (random >> 33) % (log.done - before + 1);
                log.first = log.first.max(log.done - kept);
                log.poll();
                prop_assert_eq!(log.retention.trim_horizon_seconds(), None);
            }
        }
    }
}
