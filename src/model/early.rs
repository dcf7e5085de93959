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
/// A configured capacity is believed once this share of it was seen.
const BELIEVED_RATIO: f64 = 0.8;
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
            self.run = None;
            self.steady = None;
            return;
        };
        self.see(interval.covered, processed, consumers);
        // They would have to have run out and fallen behind again within one interval: a second's arrivals are no such chance.
        let second = interval.arrived as f64 / interval.covered.as_secs_f64().max(0.001);
        let never_idle = now.min(before) as f64 >= second.max(f64::from(consumers));
        if !never_idle || self.run.is_none() && !may_begin {
            self.run = None;
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
        let says_something =
            run.covered >= PROVES || run.covered >= LEAST && run.processed >= LEAST_MESSAGES;
        if processed == 0 || !says_something {
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
mod tests {
    use super::*;

    /// Messages processed, messages undelivered, consumers that the source sees, and those that are ready and asked for.
    type Poll = (u64, u64, u32, (u32, u32));

    /// What is known after `polls` intervals of `seconds`.
    fn after(polls: u64, seconds: u64, at: impl Fn(u64) -> Poll) -> Early {
        let mut early = Early::default();
        for n in 1..=polls {
            let (processed, undelivered, seen, (ready, asked)) = at(n);
            let interval = Interval {
                end: Timestamp::from_millis(n * seconds * 1_000),
                covered: Duration::from_secs(seconds),
                processed: Some(processed),
                arrived: 400 * seconds,
                undelivered: Some(Quantity::Exact(undelivered)),
                seen: Some(seen),
                consumers: Some(seen.min(ready)),
            };
            let told = Told {
                is_shared: true,
                ready_consumers: Some(ready),
                asked_consumers: Some(asked),
                ..Told::default()
            };
            early.observe(&interval, told, 0.0);
        }
        early
    }

    /// As that, where source and replicas agree.
    fn agreed(polls: u64, seconds: u64, at: impl Fn(u64) -> (u64, u64, u32)) -> Option<f64> {
        let early = after(polls, seconds, |n| {
            let (processed, undelivered, consumers) = at(n);
            (processed, undelivered, consumers, (consumers, consumers))
        });
        early.per_consumer()
    }

    #[test]
    fn a_busy_consumer_shows_what_it_does_within_ten_seconds() {
        assert_eq!(agreed(3, 1, |n| (50, 400 * n, 1)), None);
        assert_eq!(agreed(6, 1, |n| (50, 400 * n, 1)), Some(50.0));
        assert_eq!(agreed(3, 5, |n| (250, 2_000 * n, 1)), Some(50.0));
        assert_eq!(agreed(3, 5, |n| (1_000, 2_000 * n, 4)), Some(50.0));
    }

    #[test]
    fn who_keeps_up_shows_only_that_it_can_do_so_much() {
        let early = after(60, 5, |_| (2_000, 30, 10, (10, 10)));
        assert_eq!(early.per_consumer(), None);
        assert_eq!(early.seen_per_consumer(), Some(40.0));
    }

    #[test]
    fn a_configured_capacity_is_believed_once_most_of_it_was_seen() {
        let believed = |processed| {
            let told = Told {
                capacity_per_consumer: Some(50.0),
                ..Told::default()
            };
            after(20, 5, |_| (processed, 30, 10, (10, 10))).believed(told)
        };
        assert_eq!(believed(1_950), None);
        assert_eq!(believed(2_000), Some(50.0));
    }

    #[test]
    fn acknowledgements_in_large_batches_even_out() {
        // 5 a second, a batch of 100 every 20 s.
        let rate = agreed(100, 5, |n| (if n % 4 == 0 { 100 } else { 0 }, 2_000 * n, 1));
        assert_eq!(rate, Some(5.0));
    }

    #[test]
    fn consumers_that_join_unseen_do_not_count_for_those_that_were_there() {
        let early = after(14, 1, |n| {
            (if n < 13 { 50 } else { 700 }, 400 * n, 1, (1, 1))
        });
        assert_eq!(early.per_consumer(), Some(50.0));
        assert_eq!(early.seen_per_consumer(), Some(50.0));
    }

    #[test]
    fn a_fleet_that_kubernetes_does_not_tell_of_yet_is_not_taken_for_one_consumer() {
        let early = after(60, 1, |_| (700, 50_000, 14, (1, 1)));
        assert_eq!(early.per_consumer(), Some(50.0));
    }

    #[test]
    fn replicas_of_which_the_source_sees_fewer_count_so_that_a_shared_name_is_no_fast_consumer() {
        let early = after(20, 5, |n| (2_000, 2_000 * n, 1, (8, 8)));
        assert_eq!(early.per_consumer(), Some(50.0));
    }

    #[test]
    fn while_others_start_those_at_work_show_what_they_do_once_they_were_as_many_for_a_while() {
        let starting = |polls| after(polls, 1, |n| (50, 400 * n, 1, (1, 8))).per_consumer();
        assert_eq!(starting(10), None);
        assert_eq!(starting(20), Some(50.0));
    }

    #[test]
    fn a_state_of_the_version_before_is_read_and_its_run_is_dropped() {
        let before = r#"{"count":null,"undelivered":5,"acknowledged":true,"latest":49.0,"proven":50.0,
            "run":{"covered":{"secs":5,"nanos":0},"processed":250,"most":250}}"#;
        let early: Early = serde_json::from_str(before).expect("what was written before is read");
        assert_eq!(early.learned().run, None);
        assert_eq!(early.learned().per_consumer(), Some(49.0));
    }

    #[test]
    fn owners_of_partitions_show_what_they_did_together_for_as_long_as_all_are_behind() {
        let mut early = Early::default();
        let mut observe = |processed, owners, all_behind| {
            let poll = Duration::from_secs(5);
            early.observe_owned(poll, Some(processed), owners, all_behind);
            early.per_consumer()
        };
        assert_eq!(observe(0, 1, true), None);
        assert_eq!(observe(500, 1, true), Some(50.0));
        // More of them do more, and no spell begins with that.
        assert_eq!(observe(1_500, 6, true), Some(50.0));
        assert_eq!(observe(1_500, 6, false), None);
    }
}
