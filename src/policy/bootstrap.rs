//! The target while capacity is unknown: follow the delay. Double when messages wait too long, wait for the step to land,
//! explore downwards when idle.

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::quantity::Quantity;
use crate::model::standstill::may_be_a_rest;
use crate::model::time::Timestamp;

use super::spec::TargetSpec;
use crate::policy::tuning::bootstrap::{
    EXPLORE_AFTER, EXPLORE_DOWN_RATIO, STEP_LANDS_BLIND, STEP_SETTLES, TRIED_RATIO,
};
use crate::policy::tuning::fleet::{CATCHES_UP_RATIO, DOUBLE, TOO_LONG_RATIO};

/// The step last taken and the idle spell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    step: Option<StepTaken>,
    idle_since: Option<Timestamp>,
    /// A count that was too few, and the arrivals per second then.
    too_few: Option<(u32, f64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StepTaken {
    replicas: u32,
    taken_at: Timestamp,
    landed_at: Option<Timestamp>,
    /// Whether it was a try with fewer.
    is_down: bool,
}

impl Bootstrap {
    /// Replicas to recommend now; at least 1, as there is something to run for. `first` of them until as many have started and done something.
    pub fn recommend(
        &mut self,
        now: Timestamp,
        facts: &GroupFacts,
        spec: &TargetSpec,
        current: Option<u32>,
        first: u32,
    ) -> u32 {
        let known = self.step.as_ref().map(|step| step.replicas);
        let base = known.or(current).unwrap_or(0);
        self.note_landing(now, current);
        let nothing_done = facts.processing_per_second.is_none_or(|rate| rate == 0.0);
        let step = self.step.as_ref();
        let starts = step.is_some_and(|step| step.landed_at.is_none() || nothing_done);
        if base == 0 || starts && first > base {
            return self.step_to(first.max(1), now);
        }
        if known.is_none() {
            return self.step_to(base, now);
        }
        if too_slow(facts, spec) {
            self.idle_since = None;
            let settled = self
                .step
                .as_ref()
                .and_then(|s| s.landed_at)
                .is_some_and(|at| now.since(at) >= STEP_SETTLES);
            return if settled && !catching_up(facts) {
                if self.step.as_ref().is_some_and(|step| step.is_down) {
                    self.too_few = facts.arrival_per_second.map(|rate| (base, rate));
                }
                self.step_to(base.saturating_mul(DOUBLE), now)
            } else {
                base
            };
        }
        self.explore_down(now, facts, base)
    }

    /// Forgets the steps, once capacity is known or the target went to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn step_to(&mut self, replicas: u32, now: Timestamp) -> u32 {
        self.idle_since = None;
        self.step = Some(StepTaken {
            replicas,
            taken_at: now,
            landed_at: None,
            is_down: false,
        });
        replicas
    }

    fn note_landing(&mut self, now: Timestamp, current: Option<u32>) {
        if let Some(step) = self.step.as_mut().filter(|step| step.landed_at.is_none()) {
            let landed = current.map_or(now.since(step.taken_at) >= STEP_LANDS_BLIND, |c| {
                c >= step.replicas
            });
            step.landed_at = landed.then_some(now);
        }
    }

    fn explore_down(&mut self, now: Timestamp, facts: &GroupFacts, base: u32) -> u32 {
        if !nothing_waits(facts) {
            self.idle_since = None;
            return base;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.since(since) < EXPLORE_AFTER || base <= 1 {
            return base;
        }
        let fewer = ((f64::from(base) * (1.0 - EXPLORE_DOWN_RATIO)).floor() as u32).max(1);
        let arrivals = facts.arrival_per_second.unwrap_or(f64::INFINITY);
        if self
            .too_few
            .is_some_and(|(count, then)| fewer <= count && arrivals > then * TRIED_RATIO)
        {
            return base;
        }
        self.step_to(fewer, now);
        if let Some(step) = &mut self.step {
            step.is_down = true;
        }
        fewer
    }
}

/// Certainly nothing to work on, be there something to commit.
fn nothing_waits(facts: &GroupFacts) -> bool {
    facts.backlog == Some(Quantity::Exact(0))
        || facts.backlog.is_some_and(Quantity::is_exact)
            && facts.partitions.values().any(|p| p.uncommitted.is_some())
            && facts.partitions.values().all(|p| p.waiting() == 0)
}

/// Messages wait longer than half the target delay; by their age, or where that is unknown by backlog ÷ processing rate. What may
/// only be the rest of a batch does not count.
fn too_slow(facts: &GroupFacts, spec: &TargetSpec) -> bool {
    let backlog = facts.backlog.map_or(0, Quantity::value);
    let mut beyond_rests = facts.partitions.values().filter(|p| !may_be_a_rest(p));
    let sure: u64 = beyond_rests.clone().map(|p| p.waiting()).sum();
    if backlog == 0 || sure == 0 && !facts.partitions.is_empty() {
        return false;
    }
    let oldest = beyond_rests.try_fold(0.0_f64, |oldest, p| Some(oldest.max(p.waiting_seconds()?)));
    let delay = oldest.or_else(|| {
        facts
            .processing_per_second
            .filter(|rate| *rate > 0.0)
            .map(|rate| sure as f64 / rate)
    });
    delay.is_none_or(|delay| delay > spec.target_delay.as_secs_f64() * TOO_LONG_RATIO)
}

/// The backlog shrinks by itself.
fn catching_up(facts: &GroupFacts) -> bool {
    facts
        .processing_per_second
        .zip(facts.arrival_per_second)
        .is_some_and(|(done, arrived)| done > arrived * CATCHES_UP_RATIO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::PartitionFacts;
    use crate::model::identity::PartitionId;

    fn waiting(age: f64) -> GroupFacts {
        let backlog = Some(Quantity::Exact(if age > 0.0 { 100 } else { 0 }));
        let partition = PartitionFacts {
            backlog,
            oldest_age_seconds: Some(age),
            ..PartitionFacts::default()
        };
        GroupFacts {
            backlog,
            partitions: [(PartitionId::new("0"), partition)].into(),
            ..GroupFacts::default()
        }
    }

    #[test]
    fn it_doubles_on_delay_only_after_the_last_step_has_landed_and_settled() {
        let spec = TargetSpec::default();
        let mut bootstrap = Bootstrap::default();
        let mut check = |second: u64, age: f64, current: u32, expect: u32| {
            let got = bootstrap.recommend(
                Timestamp::from_millis(second * 1000),
                &waiting(age),
                &spec,
                Some(current),
                1,
            );
            assert_eq!(got, expect, "at {second} s");
        };
        check(0, 40.0, 0, 1);
        check(100, 60.0, 0, 1);
        check(110, 60.0, 1, 1);
        check(160, 60.0, 1, 1);
        check(170, 60.0, 1, 2);
        check(180, 60.0, 2, 2);
        check(240, 60.0, 2, 4);
        check(300, 3.0, 4, 4);
        check(310, 0.0, 4, 4);
        check(609, 0.0, 4, 4);
        check(610, 0.0, 4, 3);
    }

    #[test]
    fn a_count_that_was_too_few_is_not_tried_again_while_as_much_arrives() {
        let spec = TargetSpec::default();
        let mut bootstrap = Bootstrap::default();
        let mut check = |second: u64, age: f64, arrivals: f64, current: u32, expect: u32| {
            let facts = GroupFacts {
                arrival_per_second: Some(arrivals),
                ..waiting(age)
            };
            let now = Timestamp::from_millis(second * 1000);
            let got = bootstrap.recommend(now, &facts, &spec, Some(current), 1);
            assert_eq!(got, expect, "at {second} s");
        };
        check(0, 0.0, 180.0, 2, 2);
        check(5, 0.0, 180.0, 2, 2);
        check(305, 0.0, 180.0, 2, 1);
        check(320, 5.0, 180.0, 1, 1);
        check(400, 40.0, 180.0, 1, 2);
        check(480, 0.0, 180.0, 2, 2);
        check(2_000, 0.0, 180.0, 2, 2);
        check(2_005, 0.0, 143.0, 2, 1);
    }

    #[test]
    fn the_rest_of_batches_calls_nobody_until_it_is_known_how_often_they_come() {
        let of = |backlog: u64, interval: Option<f64>| GroupFacts {
            backlog: Some(Quantity::Exact(backlog)),
            partitions: [(
                PartitionId::new("0"),
                PartitionFacts {
                    backlog: Some(Quantity::Exact(backlog)),
                    oldest_age_seconds: Some(300.0),
                    owner: Some("a".to_owned()),
                    commit_interval_seconds: interval,
                    ..PartitionFacts::default()
                },
            )]
            .into(),
            ..GroupFacts::default()
        };
        let after = |facts: &GroupFacts| {
            let mut bootstrap = Bootstrap::default();
            let mut at = |second: u64| {
                let now = Timestamp::from_millis(second * 1000);
                bootstrap.recommend(now, facts, &TargetSpec::default(), Some(1), 1)
            };
            (at(0), at(5), at(400)).2
        };
        assert_eq!(after(&of(1_000, None)), 1);
        assert_eq!(after(&of(1_001, None)), 2, "no batch is so large");
        assert_eq!(after(&of(900, Some(60.0))), 2, "of that the rest is known");
    }

    #[test]
    fn until_as_many_have_started_and_done_something_the_first_step_may_grow() {
        let spec = TargetSpec::default();
        let mut bootstrap = Bootstrap::default();
        let mut check = |second: u64, current: u32, first: u32, done: Option<f64>, expect: u32| {
            let facts = GroupFacts {
                processing_per_second: done,
                ..waiting(second as f64)
            };
            let now = Timestamp::from_millis(second * 1000);
            let got = bootstrap.recommend(now, &facts, &spec, Some(current), first);
            assert_eq!(got, expect, "at {second} s");
        };
        check(5, 0, 2, None, 2);
        check(10, 2, 4, Some(0.0), 4);
        check(15, 3, 6, Some(30.0), 6);
        check(20, 6, 8, Some(30.0), 6);
    }

    #[test]
    fn it_starts_from_the_replicas_that_run_already() {
        let mut bootstrap = Bootstrap::default();
        let got = bootstrap.recommend(
            Timestamp::from_millis(0),
            &waiting(60.0),
            &TargetSpec::default(),
            Some(7),
            1,
        );
        assert_eq!(got, 7);
    }
}
