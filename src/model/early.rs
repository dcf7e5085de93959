//! What one consumer does, from the first seconds in which it was never idle: good enough to size a fleet by until capacity is
//! learned, and corrected with every interval. For groups in which any consumer may take any message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fleet::{Interval, Told};
use super::quantity::Quantity;
use super::time::Timestamp;
use crate::model::tuning::early::{
    BELIEVED_RATIO, COUNT_SETTLES, FLOOR_RATIO, GONE_IS_SEEN, JUMP_RATIO, LEAST, LEAST_MESSAGES,
    LONGEST, PROVE_TOGETHER, PROVES, TOGETHER_WITHIN,
};

/// The estimate and the run it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Early {
    /// Consumers at work, and since when so many.
    count: Option<(u32, Timestamp)>,
    /// Ready replicas' consumers at the last poll, and when they became fewer.
    #[serde(default)]
    ready: Option<u32>,
    #[serde(default)]
    scaled_in_at: Option<Timestamp>,
    /// Messages that no consumer had taken at the last poll.
    undelivered: u64,
    /// Whether the interval before had acknowledgements: a run begins after one, so that what was in hand does not count.
    acknowledged: bool,
    run: Option<Run>,
    latest: Option<f64>,
    /// Runs that were too short to prove anything, and when the last of them ended.
    #[serde(default)]
    short_runs: Option<(Run, Timestamp)>,
    proven: f64,
    /// Intervals in a row with the same consumers, busy or not.
    #[serde(default)]
    steady: Option<Run>,
    /// The most that one consumer did in such a row.
    #[serde(default)]
    seen: f64,
}

/// Intervals in a row in which the same consumers always had more to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Run {
    covered: Duration,
    /// Time of all consumers together; not in the state of older versions, where a run under way is dropped anyway.
    #[serde(default)]
    worked: Duration,
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

    /// The most that one consumer was seen to do on average, busy or not, messages per second.
    pub fn seen_per_consumer(&self) -> Option<f64> {
        (self.seen > 0.0).then_some(self.seen)
    }

    /// The configured capacity, once a consumer was seen to do about as much: a wish is no measure of an outage.
    pub(super) fn believed(&self, told: Told) -> Option<f64> {
        told.capacity_per_consumer
            .filter(|capacity| self.seen >= capacity * BELIEVED_RATIO)
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
            seen: self.seen,
            ..Self::default()
        }
    }

    /// Lets what was proven lose weight: `share` of it.
    pub fn forget_slowly(&mut self, share: f64) {
        self.proven *= (1.0 - share).max(0.0);
        self.seen *= (1.0 - share).max(0.0);
    }

    /// Takes in one interval. Runs of up to `distrusted` messages per second and consumer show no healthy one: they do not count.
    pub(super) fn observe(&mut self, interval: &Interval, told: Told, distrusted: f64) {
        let (now, before) = self.undelivered_now(interval.undelivered);
        let consumers = self.consumers(interval, told);
        let may_begin = std::mem::replace(&mut self.acknowledged, interval.processed > Some(0));
        let (Some(processed), Some(consumers)) = (interval.processed, consumers) else {
            self.end_run(interval.end, distrusted);
            self.steady = None;
            return;
        };
        self.see(interval.covered, processed, consumers);
        // They would have to have run out and fallen behind again within one interval: a second's arrivals are no such chance.
        let second = interval.arrived as f64 / interval.covered.as_secs_f64().max(0.001);
        let never_idle = now.min(before) as f64 >= second.max(f64::from(consumers));
        if !never_idle || self.run.is_none() && !may_begin {
            self.end_run(interval.end, distrusted);
            return;
        }
        self.add(interval.covered, processed, consumers, distrusted);
    }

    /// Takes in an interval of a group whose partitions belong to `owners`. What was seen counts as long as all of them are behind:
    /// batches in hand and partitions that move make it too little, so it is good for going up, not for staying there.
    pub(super) fn observe_owned(
        &mut self,
        covered: Duration,
        processed: Option<u64>,
        owners: u32,
        all_behind: bool,
    ) {
        let Some(processed) = processed.filter(|_| owners > 0 && all_behind) else {
            self.run = None;
            self.latest = None;
            return;
        };
        let run = self.run.get_or_insert_default();
        run.add(covered, processed, owners);
        if run.covered >= LEAST * 2 && run.processed >= LEAST_MESSAGES {
            self.latest = Some(run.per_consumer());
        }
    }

    fn undelivered_now(&mut self, now: Option<Quantity>) -> (u64, u64) {
        let now = now.map_or(0, Quantity::value);
        (now, std::mem::replace(&mut self.undelivered, now))
    }

    /// How many were at work throughout the interval, if that is certain.
    fn consumers(&mut self, interval: &Interval, told: Told) -> Option<u32> {
        let before = std::mem::replace(&mut self.ready, told.ready_consumers);
        if before > self.ready && self.ready.is_some() {
            self.scaled_in_at = Some(interval.end);
        }
        let still_seen = |at: Timestamp| interval.end.since(at) < GONE_IS_SEEN;
        let sees_gone = interval.seen > self.ready && self.scaled_in_at.is_some_and(still_seen);
        let at_work = told.surely_at_work(interval.seen).filter(|_| !sees_gone);
        let Some((count, agreed)) = at_work else {
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

    /// What the run showed is not lost if it was too short.
    fn end_run(&mut self, now: Timestamp, distrusted: f64) {
        let Some(run) = self.run.take() else {
            return;
        };
        if run.covered >= PROVES || !run.says_something() || run.per_consumer() <= distrusted {
            return;
        }
        let before = self
            .short_runs
            .take()
            .filter(|(before, ended)| now.since(*ended) < TOGETHER_WITHIN && before.is_like(&run));
        let all = before.map_or(run, |(before, _)| before.and(run));
        if all.covered >= PROVE_TOGETHER {
            self.proven = self.proven.max(all.per_consumer());
        } else {
            self.short_runs = Some((all, now));
        }
    }

    fn see(&mut self, covered: Duration, processed: u64, consumers: u32) {
        let steady = self.steady.get_or_insert_default();
        if steady.jumps(processed) {
            self.steady = None;
            return;
        }
        steady.add(covered, processed, consumers);
        if steady.covered >= PROVES {
            let rate = steady.per_consumer();
            self.seen = self.seen.max(rate);
            self.steady = None;
        }
    }

    fn add(&mut self, covered: Duration, processed: u64, consumers: u32, distrusted: f64) {
        let run = self.run.get_or_insert_default();
        if run.jumps(processed) {
            self.run = None;
            return;
        }
        run.add(covered, processed, consumers);
        // Between acknowledgements the rate only sinks.
        if processed == 0 || !run.says_something() {
            return;
        }
        let rate = run.per_consumer();
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
    fn add(&mut self, covered: Duration, processed: u64, consumers: u32) {
        self.covered += covered;
        self.worked += covered.saturating_mul(consumers);
        self.processed += processed;
        self.most = self.most.max(processed);
    }

    fn and(self, other: Self) -> Self {
        Self {
            covered: self.covered + other.covered,
            worked: self.worked + other.worked,
            processed: self.processed + other.processed,
            most: self.most.max(other.most),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let (one, two) = (self.per_consumer(), other.per_consumer());
        one.max(two) <= one.min(two) * JUMP_RATIO
    }

    fn says_something(&self) -> bool {
        self.covered >= PROVES || self.covered >= LEAST && self.processed >= LEAST_MESSAGES
    }

    /// Messages per second and consumer.
    fn per_consumer(&self) -> f64 {
        self.processed as f64 / self.worked.as_secs_f64()
    }

    fn jumps(&self, processed: u64) -> bool {
        // Of few messages one batch more is no sign.
        self.most > 0 && processed as f64 > self.most as f64 * JUMP_RATIO + 20.0
    }
}

#[cfg(test)]
mod tests;
