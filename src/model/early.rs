//! What one consumer does, from the first seconds in which it was never idle: good enough to size a fleet by until capacity is
//! learned, and corrected with every interval. For groups in which any consumer may take any message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fleet::{Interval, Told};
use super::quantity::Quantity;
use super::time::Timestamp;

/// A run says something from this length on, and so many messages; shorter ones are mostly batches in hand.
const LEAST: Duration = Duration::from_secs(4);
const LEAST_MESSAGES: u64 = 20;
/// What a run of this length showed is proof: the estimate does not fall far below it again.
const PROVES: Duration = Duration::from_secs(10);
/// A run starts over after so long, so that it follows a change.
const LONGEST: Duration = Duration::from_secs(60);
/// The estimate never falls below this share of what was proven.
const FLOOR_RATIO: f64 = 0.92;
/// A count that source and replicas do not agree on is believed once it has stood for so long.
const COUNT_SETTLES: Duration = Duration::from_secs(10);
/// An interval in which so many times the most before was done had more consumers than were counted.
const JUMP_RATIO: f64 = 1.5;

/// The estimate and the run it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Early {
    /// Consumers at work, and since when so many.
    count: Option<(u32, Timestamp)>,
    /// Messages that no consumer had taken at the last poll.
    undelivered: u64,
    /// Whether the interval before had acknowledgements: a run begins after one, so that what was in hand does not count.
    acknowledged: bool,
    run: Option<Run>,
    latest: Option<f64>,
    proven: f64,
}

/// Intervals in a row in which the same consumers always had more to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Run {
    covered: Duration,
    processed: u64,
    /// The most within one interval.
    most: u64,
}

impl Early {
    /// Messages per second and consumer, as far as seen.
    pub fn per_consumer(&self) -> Option<f64> {
        let floor = self.proven * FLOOR_RATIO;
        self.latest.map(|latest| latest.max(floor))
    }

    /// Whether a run was long enough to be relied on.
    pub fn is_proven(&self) -> bool {
        self.proven > 0.0
    }

    /// What survives a restart.
    pub fn learned(&self) -> Self {
        Self {
            latest: self.latest,
            proven: self.proven,
            ..Self::default()
        }
    }

    /// Lets what was proven lose weight: `share` of it.
    pub fn forget_slowly(&mut self, share: f64) {
        self.proven *= (1.0 - share).max(0.0);
    }

    /// Takes in one interval. Runs of up to `distrusted` messages per second and consumer show no healthy one: they do not count.
    pub(super) fn observe(&mut self, interval: &Interval, told: Told, distrusted: f64) {
        let (now, before) = self.undelivered_now(interval.undelivered);
        let consumers = self.consumers(interval, told);
        let may_begin = std::mem::replace(&mut self.acknowledged, interval.processed > Some(0));
        let (Some(processed), Some(consumers)) = (interval.processed, consumers) else {
            self.run = None;
            return;
        };
        // They would have to have run out and fallen behind again within one interval: a second's arrivals are no such chance.
        let second = interval.arrived as f64 / interval.covered.as_secs_f64().max(0.001);
        let never_idle = now.min(before) as f64 >= second.max(f64::from(consumers));
        if !never_idle || self.run.is_none() && !may_begin {
            self.run = None;
            return;
        }
        self.add(interval.covered, processed, consumers, distrusted);
    }

    fn undelivered_now(&mut self, now: Option<Quantity>) -> (u64, u64) {
        let now = now.map_or(0, Quantity::value);
        (now, std::mem::replace(&mut self.undelivered, now))
    }

    /// How many were at work throughout the interval, if that is certain.
    fn consumers(&mut self, interval: &Interval, told: Told) -> Option<u32> {
        let Some((count, agreed)) = told.surely_at_work(interval.seen) else {
            self.count = None;
            return None;
        };
        let since = match self.count {
            Some((known, since)) if known == count => since,
            _ => {
                self.count = Some((count, interval.end));
                return None;
            }
        };
        let stood = interval.end.since(since);
        let settled = agreed || stood >= COUNT_SETTLES;
        (count > 0 && settled && stood >= interval.covered).then_some(count)
    }

    fn add(&mut self, covered: Duration, processed: u64, consumers: u32, distrusted: f64) {
        let run = self.run.get_or_insert_default();
        if run.jumps(processed) {
            self.run = None;
            return;
        }
        run.covered += covered;
        run.processed += processed;
        run.most = run.most.max(processed);
        // Between acknowledgements the rate only sinks.
        let says_something =
            run.covered >= PROVES || run.covered >= LEAST && run.processed >= LEAST_MESSAGES;
        if processed == 0 || !says_something {
            return;
        }
        let rate = run.processed as f64 / run.covered.as_secs_f64() / f64::from(consumers);
        if rate <= distrusted {
            self.run = None;
            return;
        }
        self.latest = Some(rate);
        if run.covered >= PROVES {
            self.proven = self.proven.max(rate);
        }
        if run.covered >= LONGEST {
            self.run = Some(Run::default());
        }
    }
}

impl Run {
    fn jumps(&self, processed: u64) -> bool {
        // Of few messages one batch more is no sign.
        self.most > 0 && processed as f64 > self.most as f64 * JUMP_RATIO + 20.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays intervals of `poll` seconds through; `at` gives what was processed, what lies undelivered, and the consumers.
    fn after(polls: u64, poll: u64, at: impl Fn(u64) -> (u64, u64, u32)) -> Option<f64> {
        let mut early = Early::default();
        for n in 1..=polls {
            let (processed, undelivered, consumers) = at(n);
            let interval = Interval {
                end: Timestamp::from_millis(n * poll * 1_000),
                covered: Duration::from_secs(poll),
                processed: Some(processed),
                arrived: 400 * poll,
                undelivered: Some(Quantity::Exact(undelivered)),
                seen: Some(consumers),
                consumers: Some(consumers),
                processed_per_second: None,
            };
            let told = Told {
                is_shared: true,
                ready_consumers: Some(consumers),
                asked_consumers: Some(consumers),
                ..Told::default()
            };
            early.observe(&interval, told, 0.0);
        }
        early.per_consumer()
    }

    #[test]
    fn a_busy_consumer_shows_what_it_does_within_ten_seconds() {
        assert_eq!(after(3, 1, |n| (50, 400 * n, 1)), None);
        assert_eq!(after(6, 1, |n| (50, 400 * n, 1)), Some(50.0));
        assert_eq!(after(3, 5, |n| (250, 2_000 * n, 1)), Some(50.0));
        assert_eq!(after(3, 5, |n| (1_000, 2_000 * n, 4)), Some(50.0));
    }

    #[test]
    fn who_keeps_up_shows_nothing() {
        assert_eq!(after(60, 5, |_| (2_000, 30, 10)), None);
    }

    #[test]
    fn acknowledgements_in_large_batches_even_out() {
        // 5 a second, a batch of 100 every 20 s.
        let rate = after(100, 5, |n| (if n % 4 == 0 { 100 } else { 0 }, 2_000 * n, 1));
        assert_eq!(rate, Some(5.0));
    }

    #[test]
    fn consumers_that_join_unseen_do_not_count_for_those_that_were_there() {
        let rate = after(12, 1, |n| (if n < 11 { 50 } else { 700 }, 400 * n, 1));
        assert_eq!(rate, Some(50.0));
    }

    #[test]
    fn a_fleet_that_kubernetes_does_not_tell_of_yet_is_not_taken_for_one_consumer() {
        let mut early = Early::default();
        for n in 1..=60_u64 {
            let interval = Interval {
                end: Timestamp::from_millis(n * 1_000),
                covered: Duration::from_secs(1),
                processed: Some(700),
                arrived: 400,
                undelivered: Some(Quantity::Exact(50_000)),
                seen: Some(14),
                consumers: Some(1),
                processed_per_second: None,
            };
            let stale = Told {
                is_shared: true,
                ready_consumers: Some(1),
                asked_consumers: Some(1),
                ..Told::default()
            };
            early.observe(&interval, stale, 0.0);
        }
        assert_eq!(early.per_consumer(), Some(50.0));
    }

    #[test]
    fn a_slow_spell_lowers_it_by_a_few_percent_only() {
        let rate = after(200, 5, |n| (if n < 50 { 250 } else { 100 }, 2_000 * n, 1));
        assert_eq!(rate, Some(46.0));
    }
}
