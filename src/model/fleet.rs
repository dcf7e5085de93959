//! Whether the consumers of a group do what they can, where any of them may take any message. Source of the rules:
//! docs/policy.md, "Downstream outage".

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::downstream::Fleet;
use super::quantity::Quantity;
use super::time::Timestamp;
use crate::model::tuning::fleet::{LEAST_EXPECTED, SETTLED, SPAN};

/// What users tell of a group's consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Any consumer may take any message.
    pub is_shared: bool,
    /// Messages per second one consumer does, if configured.
    pub capacity_per_consumer: Option<f64>,
    /// Consumers of the ready replicas, where these can be seen.
    pub ready_consumers: Option<u32>,
    /// Consumers of the replicas asked for, likewise.
    pub asked_consumers: Option<u32>,
}

impl Told {
    /// Consumers that can be at work, of those that the source saw: it takes a while to see that one has gone, and may not see
    /// one that is busy for long.
    pub(super) fn at_work(&self, seen: Option<u32>) -> Option<u32> {
        match (seen, self.ready_consumers) {
            (Some(seen), Some(ready)) => Some(seen.min(ready)),
            (seen, ready) => seen.or(ready),
        }
    }

    /// As that, with whether source and replicas agree on it and nobody is about to come. Either may be behind: a count that is too low
    /// would make consumers look faster than they are, so the larger one counts, and without agreement it has to last.
    pub(super) fn surely_at_work(&self, seen: Option<u32>) -> Option<(u32, bool)> {
        match (self.ready_consumers, self.asked_consumers, seen) {
            (Some(ready), asked, Some(seen)) => {
                let all_there = asked.is_none_or(|asked| asked == ready);
                Some((seen.max(ready), seen == ready && all_there))
            }
            (Some(ready), Some(asked), None) if ready != asked => None,
            (ready, _, seen) => ready.or(seen).map(|count| (count, false)),
        }
    }
}

/// The group between two polls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// When it ended.
    pub end: Timestamp,
    /// How long it was.
    pub covered: Duration,
    /// Messages processed in it, if that can be trusted.
    pub processed: Option<u64>,
    /// Messages that arrived in it, as far as known.
    pub arrived: u64,
    /// Messages at its end that no consumer has taken.
    pub undelivered: Option<Quantity>,
    /// Consumers at its end as the source sees them.
    pub seen: Option<u32>,
    /// Consumers at its end that can be at work.
    pub consumers: Option<u32>,
}

/// The consumers of a group over the last minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetWatch {
    /// How many there were at the polls of [`SETTLED`], and at one before.
    counts: VecDeque<(Timestamp, u32)>,
    /// Messages that no consumer had taken at the last poll.
    undelivered: u64,
    covered: Duration,
    processed: u64,
    /// Messages that a healthy fleet would have processed in the same time.
    expected: f64,
}

impl FleetWatch {
    /// Takes in an interval. A fleet that finds more at its start than it can do until its end is never idle in it.
    pub(super) fn observe(&mut self, interval: &Interval, known: Option<f64>) -> Fleet {
        self.count(interval);
        let now = interval.undelivered;
        let before = std::mem::replace(&mut self.undelivered, now.map_or(0, Quantity::value));
        let Some((known, consumers)) = known.zip(self.least()) else {
            return self.start_over(Fleet::Unknown);
        };
        let doable = known * f64::from(consumers) * interval.covered.as_secs_f64();
        let keeps_up = now
            .and_then(Quantity::exact)
            .is_some_and(|n| (n as f64) < doable);
        match interval.processed.filter(|_| before as f64 >= doable) {
            Some(processed) => self.add(interval.covered, processed, doable),
            None if keeps_up => self.start_over(Fleet::Idle),
            None => self.start_over(Fleet::Unknown),
        }
    }

    /// Forgets everything: it is not as it was.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn add(&mut self, covered: Duration, processed: u64, doable: f64) -> Fleet {
        self.covered += covered;
        self.processed += processed;
        self.expected += doable;
        if self.covered < SPAN || self.expected < LEAST_EXPECTED {
            return Fleet::Unknown;
        }
        let ratio = self.processed as f64 / self.expected;
        self.start_over(Fleet::Busy(ratio))
    }

    fn start_over(&mut self, fleet: Fleet) -> Fleet {
        self.covered = Duration::ZERO;
        self.processed = 0;
        self.expected = 0.0;
        fleet
    }

    fn count(&mut self, interval: &Interval) {
        let Some(consumers) = interval.consumers else {
            return self.counts.clear();
        };
        self.counts.push_back((interval.end, consumers));
        let settled = |at: Timestamp| interval.end.since(at) >= SETTLED;
        while self.counts.get(1).is_some_and(|(at, _)| settled(*at)) {
            self.counts.pop_front();
        }
    }

    /// Consumers that were there all the time; `None` before that was watched, or if none was.
    fn least(&self) -> Option<u32> {
        let ((first, _), (last, _)) = (self.counts.front()?, self.counts.back()?);
        let least = self.counts.iter().map(|(_, count)| *count).min();
        least.filter(|n| *n > 0 && last.since(*first) >= SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(5);

    /// What is seen at the last of 25 polls, where a ratio is due, of ten consumers that can do 50/s each.
    fn last_of(change: impl Fn(u64, &mut Interval)) -> Fleet {
        let mut watch = FleetWatch::default();
        let mut fleet = Fleet::Unknown;
        for poll in 0..=25 {
            let mut interval = Interval {
                end: Timestamp::from_millis(poll * 5_000),
                covered: POLL,
                processed: Some(2_500),
                arrived: 2_500,
                seen: Some(10),
                undelivered: Some(Quantity::Exact(2_500)),
                consumers: Some(10),
            };
            change(poll, &mut interval);
            fleet = watch.observe(&interval, Some(50.0));
        }
        fleet
    }

    #[test]
    fn a_fleet_that_finds_more_than_it_can_do_is_judged_by_what_it_does() {
        assert_eq!(last_of(|_, _| {}), Fleet::Busy(1.0));
        let slow = |_, i: &mut Interval| i.processed = Some(300);
        assert_eq!(last_of(slow), Fleet::Busy(0.12));
        let bounded = |_, i: &mut Interval| i.undelivered = Some(Quantity::AtLeast(2_500));
        assert_eq!(last_of(bounded), Fleet::Busy(1.0));
    }

    #[test]
    fn a_fleet_that_may_have_run_out_of_messages_keeps_up() {
        let little = |_, i: &mut Interval| {
            i.undelivered = Some(Quantity::Exact(2_400));
            i.processed = Some(300);
        };
        assert_eq!(last_of(little), Fleet::Idle);
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        let check = |why: &str, change: fn(u64, &mut Interval)| {
            assert_eq!(last_of(change), Fleet::Unknown, "{why}");
        };
        check("nobody tells who is at work", |_, i| i.consumers = None);
        check("nobody was at work a minute ago", |poll, i| {
            i.consumers = Some(if poll < 14 { 0 } else { 10 });
        });
        check("messages were lost", |_, i| i.processed = None);
        check("few wait, at least", |_, i| {
            i.undelivered = Some(Quantity::AtLeast(10));
        });
        check("the backlog came just now", |poll, i| {
            i.undelivered = Some(Quantity::Exact(if poll == 25 { 9_000 } else { 0 }));
        });
    }

    #[test]
    fn consumers_that_come_meanwhile_are_no_reason_to_see_nothing_and_none_to_expect_more() {
        let growing = |poll, i: &mut Interval| {
            i.consumers = Some(10 + poll as u32);
            i.undelivered = Some(Quantity::Exact(20_000));
        };
        // 23 were there a minute ago, 35 are now.
        let Fleet::Busy(ratio) = last_of(growing) else {
            panic!("judged")
        };
        assert!((ratio - 10.0 / 22.5).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn at_work_are_the_consumers_seen_but_no_more_than_replicas_are_ready() {
        let check = |seen, ready_consumers, expect: Option<u32>| {
            let told = Told {
                ready_consumers,
                ..Told::default()
            };
            assert_eq!(told.at_work(seen), expect, "{seen:?} {ready_consumers:?}");
        };
        check(Some(20), Some(10), Some(10));
        check(Some(8), Some(10), Some(8));
        check(None, Some(10), Some(10));
        check(Some(8), None, Some(8));
        check(None, None, None);
    }

    #[test]
    fn surely_at_work_are_as_many_as_both_tell_or_the_larger_count() {
        let check = |ready, asked, seen, expect: Option<(u32, bool)>| {
            let told = Told {
                ready_consumers: ready,
                asked_consumers: asked,
                ..Told::default()
            };
            assert_eq!(
                told.surely_at_work(seen),
                expect,
                "{ready:?} {asked:?} {seen:?}"
            );
        };
        check(Some(4), Some(4), Some(4), Some((4, true)));
        check(Some(1), Some(1), Some(14), Some((14, false)));
        check(Some(4), Some(4), Some(3), Some((4, false)));
        check(Some(1), Some(4), Some(1), Some((1, false)));
        check(Some(1), Some(4), None, None);
        check(Some(4), Some(4), None, Some((4, false)));
        check(None, None, Some(4), Some((4, false)));
        check(None, None, None, None);
    }
}
