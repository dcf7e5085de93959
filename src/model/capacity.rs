//! Messages per second one consumer does when it is never idle, learned from intervals in which it truly was not.
//!
//! Source of the rules: docs/policy.md, "Capacity". A plain backlog threshold would misfire on ramps; here an interval
//! counts only while the work done lies behind what had arrived half a minute ago.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::early::Early;
use super::time::Timestamp;
use crate::model::tuning::capacity::{
    BEHIND, BEST_FADES_OVER, BEST_OF, BUSY_POLLS, COMMITS_PER_SAMPLE, FLOOR_RATIO, KEPT,
    LONGEST_COUNTS, MIN_SAMPLES, SAMPLE_SPAN, SETTLED,
};

/// What the rule is set to; values and reasons: [`super::tuning::capacity`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityRules {
    /// The number of consumers must not have changed for this long.
    pub settled: Duration,
    /// Busy means: the position reached lies behind the log end of this long ago.
    pub behind: Duration,
    /// … at each of so many polls in a row.
    pub polls: u32,
    /// The time one sample is averaged over, so that bursts of acknowledgements even out.
    pub sample_span: Duration,
    /// Samples before the estimate is used.
    pub min_samples: u32,
    /// Who did q proves q: the estimate never falls below this share of the best.
    pub floor_ratio: f64,
}

impl Default for CapacityRules {
    fn default() -> Self {
        Self {
            settled: SETTLED,
            behind: BEHIND,
            polls: BUSY_POLLS,
            sample_span: SAMPLE_SPAN,
            min_samples: MIN_SAMPLES,
            floor_ratio: FLOOR_RATIO,
        }
    }
}

/// One interval between two complete polls, for the whole group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BusyInterval {
    /// When it ended.
    pub end: Timestamp,
    /// How long it was.
    pub covered: Duration,
    /// Messages processed in it; `None` if that cannot be trusted (loss, repositioning, an unknown partition).
    pub processed: Option<u64>,
    /// Unfinished messages at its end, if counted exactly.
    pub backlog: Option<u64>,
    /// Messages that arrived within [`CapacityRules::behind`] before its end.
    pub arrived_lately: u64,
    /// Consumers at work, if known.
    pub consumers: Option<u32>,
    /// Time between commits where they come in batches: a sample has to cover several.
    pub commit_interval: Duration,
}

/// What has been learned so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    rules: CapacityRules,
    consumers: Option<(u32, Timestamp)>,
    busy_polls: u32,
    covered: Duration,
    processed: u64,
    samples: VecDeque<f64>,
    taken: u32,
    best: f64,
    proven: f64,
    /// Until enough samples were taken, where any consumer may take any message.
    #[serde(default)]
    pub(super) early: Early,
}

impl Capacity {
    /// Starts with nothing learned.
    pub fn new(rules: CapacityRules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// By which it learns.
    pub const fn rules(&self) -> CapacityRules {
        self.rules
    }

    /// Goes on with what was learned before a restart, by the rules of now. What was under way then is not.
    pub fn restore(&mut self, learned: Self) {
        *self = Self {
            rules: self.rules,
            samples: learned.samples,
            taken: learned.taken,
            best: learned.best,
            proven: learned.proven,
            early: learned.early.learned(),
            ..Self::default()
        };
    }

    /// Messages per second and consumer; `None` until enough busy samples were taken.
    pub fn per_consumer(&self) -> Option<f64> {
        (self.taken >= self.rules.min_samples)
            .then(|| median(&self.samples).max(self.best * self.rules.floor_ratio))
    }

    /// As far as that can be told before: what was seen in the first busy seconds.
    pub fn early_per_consumer(&self) -> Option<f64> {
        self.early.per_consumer()
    }

    /// As that, once it can be relied on.
    pub fn proven_early(&self) -> Option<f64> {
        self.early.per_consumer().filter(|_| self.early.is_proven())
    }

    /// Busy samples taken so far.
    pub const fn samples_taken(&self) -> u32 {
        self.taken
    }

    /// Busy samples needed before an estimate is given.
    pub const fn samples_needed(&self) -> u32 {
        self.rules.min_samples
    }

    /// Takes in one interval. Samples of up to `distrusted` messages per second and consumer show no healthy one: they do not
    /// count.
    pub fn observe(&mut self, interval: &BusyInterval, distrusted: f64) {
        self.forget_slowly(interval.covered);
        let settled = self.settled(interval);
        let Some((processed, consumers)) = interval
            .processed
            .zip(interval.consumers)
            .filter(|_| settled)
        else {
            return self.start_over();
        };
        if interval
            .backlog
            .is_none_or(|backlog| backlog <= interval.arrived_lately)
            || consumers == 0
        {
            return self.start_over();
        }
        self.busy_polls += 1;
        if self.busy_polls <= self.rules.polls {
            return;
        }
        self.covered += interval.covered;
        self.processed += processed;
        let span = interval.commit_interval * COMMITS_PER_SAMPLE;
        if self.covered < span.max(self.rules.sample_span) {
            return;
        }
        let rate = self.processed as f64 / self.covered.as_secs_f64() / f64::from(consumers);
        if distrusted > 0.0 && rate <= distrusted {
            self.next_sample();
        } else {
            self.take(rate);
        }
    }

    /// Takes in what one consumer did, busy or not.
    pub fn prove(&mut self, rate: f64) {
        self.proven = self.proven.max(rate);
    }

    /// The most that one consumer was seen to do.
    pub fn proven(&self) -> Option<f64> {
        (self.proven > 0.0).then_some(self.proven)
    }

    /// Forgets everything: it is not as it was.
    pub fn forget(&mut self) {
        *self = Self::new(self.rules);
    }

    /// As [`CapacityRules::behind`].
    pub const fn behind(&self) -> Duration {
        self.rules.behind
    }

    fn settled(&mut self, interval: &BusyInterval) -> bool {
        let Some(count) = interval.consumers else {
            self.consumers = None;
            return false;
        };
        match self.consumers {
            Some((known, since)) if known == count => {
                interval.end.since(since) >= self.rules.settled
            }
            _ => {
                self.consumers = Some((count, interval.end));
                false
            }
        }
    }

    fn start_over(&mut self) {
        self.busy_polls = 0;
        self.next_sample();
    }

    /// Takes in what one consumer did that was never idle for `covered`; for sources that tell who does what. A long time
    /// counts as several samples.
    pub fn take_over(&mut self, rate: f64, covered: Duration) {
        let times = covered.as_secs_f64() / self.rules.sample_span.as_secs_f64();
        for _ in 0..(times.round() as u32).clamp(1, LONGEST_COUNTS) {
            self.take(rate);
        }
    }

    fn next_sample(&mut self) {
        self.covered = Duration::ZERO;
        self.processed = 0;
    }

    fn take(&mut self, rate: f64) {
        self.next_sample();
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(rate);
        self.taken = self.taken.saturating_add(1);
        // Three in a row, so that one lucky burst proves nothing.
        if self.samples.len() >= BEST_OF {
            let lately = self.samples.iter().rev().take(BEST_OF).sum::<f64>() / BEST_OF as f64;
            self.best = self.best.max(lately);
        }
    }

    /// Lets the best rate lose weight with time.
    pub fn forget_slowly(&mut self, passed: Duration) {
        let share = passed.as_secs_f64() / BEST_FADES_OVER.as_secs_f64();
        self.best *= (1.0 - share).max(0.0);
        self.proven *= (1.0 - share).max(0.0);
        self.early.forget_slowly(share);
    }
}

fn median(samples: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = samples.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(capacity: &mut Capacity, from: u64, polls: u64, make: impl Fn(u64) -> BusyInterval) {
        for poll in from..from + polls {
            capacity.observe(&make(poll), 0.0);
        }
    }

    fn busy(poll: u64) -> BusyInterval {
        BusyInterval {
            end: Timestamp::from_millis(poll * 5_000),
            covered: Duration::from_secs(5),
            processed: Some(1_000),
            backlog: Some(10_000),
            arrived_lately: 6_000,
            consumers: Some(2),
            commit_interval: Duration::ZERO,
        }
    }

    #[test]
    fn eight_busy_samples_with_settled_consumers_make_an_estimate() {
        let mut capacity = Capacity::default();
        feed(&mut capacity, 0, 31, busy);
        assert_eq!(
            (capacity.samples_taken(), capacity.per_consumer()),
            (7, None)
        );
        feed(&mut capacity, 31, 2, busy);
        assert_eq!(capacity.per_consumer(), Some(100.0));
    }

    #[test]
    fn idle_moving_or_untrusted_intervals_teach_nothing() {
        let check = |why: &str, change: fn(&mut BusyInterval, u64)| {
            let mut capacity = Capacity::default();
            feed(&mut capacity, 0, 200, |poll| {
                let mut interval = busy(poll);
                change(&mut interval, poll);
                interval
            });
            assert_eq!(capacity.samples_taken(), 0, "{why}");
        };
        check("keeping up on a ramp", |i, _| i.arrived_lately = 10_000);
        check("consumers come and go", |i, poll| {
            i.consumers = Some(2 + (poll / 10 % 2) as u32)
        });
        check("consumers unknown", |i, _| i.consumers = None);
        check("lost messages in every fourth", |i, poll| {
            i.processed = i.processed.filter(|_| poll % 4 != 0)
        });
        check("backlog only bounded", |i, _| i.backlog = None);
        check("nobody there", |i, _| i.consumers = Some(0));
    }

    #[test]
    fn a_slow_spell_does_not_pull_the_estimate_below_what_was_proven() {
        let mut capacity = Capacity::default();
        feed(&mut capacity, 0, 100, busy);
        feed(&mut capacity, 100, 100, |poll| BusyInterval {
            processed: Some(300),
            ..busy(poll)
        });
        let estimate = capacity.per_consumer().unwrap();
        assert!((91.0..93.0).contains(&estimate), "{estimate}");
    }

    #[test]
    fn what_a_collapsed_fleet_does_is_no_sample() {
        let mut capacity = Capacity::default();
        feed(&mut capacity, 0, 100, busy);
        let taken = capacity.samples_taken();
        for poll in 100..200 {
            let collapsed = BusyInterval {
                processed: Some(300),
                ..busy(poll)
            };
            capacity.observe(&collapsed, 55.0);
        }
        assert_eq!(
            (capacity.samples_taken(), capacity.per_consumer()),
            (taken, Some(100.0))
        );
    }
}
