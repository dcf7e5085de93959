//! The count while nothing is known of what a replica does, where any consumer may take any message: a first step by what arrives,
//! what waits and what comes to it while a replica starts. Once consumers are busy their capacity shows within seconds, so this needs
//! to be right about the order of magnitude only; nothing of it is held.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::quantity::Quantity;

use super::bounds::ceil_replicas;
use super::forecast::surge;
use super::rule::{Explored, FirstStep, Rule, Started};
use super::spec::TargetSpec;
use super::steps::{Proposal, Steps};
use crate::policy::tuning::cold::{
    BUSY_RATIO, EXPLORED_RATIO, EXPLORED_RATIO_OWN, HANDFUL, KEEPS_UP_WITHIN, LARGEST_FIRST_STEP,
    LARGEST_FIRST_STEP_EXCLUSIVE, SECOND_STEP_RATIO, SUPPOSED_PER_SECOND, SUPPOSED_START,
    TOO_MUCH_RATIO,
};

/// What is known before capacity is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BeforeCapacity {
    /// Replicas that run, or were asked for last.
    pub present: u32,
    /// Replicas that run or start, while those that were asked for last had no time to show what they do.
    pub started: Option<u32>,
    /// Whether nothing ran when replicas were asked for first.
    pub began_here: bool,
    /// How long a replica takes to start.
    pub start_takes: Option<Duration>,
    /// More than one replica does, messages per second: so many were too few.
    pub too_much_for_one: Option<f64>,
}

/// Replicas to ask for; at least 1, as there is something to run for.
pub fn recommend(facts: &GroupFacts, spec: &TargetSpec, known: BeforeCapacity) -> Steps {
    let present = known.present;
    if present == 0 || !keeps_up(facts) {
        let mut steps = Steps::begin(first(facts, spec, known.start_takes, arriving(facts)));
        steps.apply((present > steps.replicas()).then_some(Proposal::to(present, Rule::Kept)));
        steps.apply(started(steps.replicas(), known));
        return steps;
    }
    let Some(seen) = facts.seen_per_consumer else {
        return Steps::begin(Proposal::to(present, Rule::Kept));
    };
    let explored = if known.began_here {
        EXPLORED_RATIO_OWN
    } else {
        let idle_left = facts.busy_ratio.map(|busy| BUSY_RATIO / busy);
        EXPLORED_RATIO.min(idle_left.unwrap_or(f64::INFINITY).max(1.0))
    };
    let per_replica = seen * explored * f64::from(spec.consumers_per_replica);
    let arrivals = steady_arrivals(facts);
    let enough = (arrivals / per_replica).ceil() as u32;
    // The mean of a minute lags behind: what arrives now was too much.
    let now = facts.arrival_per_second.unwrap_or(arrivals);
    let more_than_too_few = known.too_much_for_one.map_or(0, |of_one| {
        ((now / of_one).floor() as u32).saturating_add(1)
    });
    Steps::begin(Proposal::to(
        enough.max(more_than_too_few).clamp(1, present),
        Rule::Explored(Explored {
            consumer_seen_per_second: seen,
        }),
    ))
}

/// What waits grows until the replicas of the first step are there. That was counted in, and is no reason for a few more.
fn started(count: u32, known: BeforeCapacity) -> Option<Proposal> {
    let replicas = known.started.filter(|started| *started > 0)?;
    let figures = Started {
        replicas,
        larger_by_ratio: SECOND_STEP_RATIO,
    };
    let is_little = f64::from(count) <= f64::from(replicas) * (1.0 + SECOND_STEP_RATIO);
    let after = count.min(known.present);
    is_little.then_some(Proposal::to(after, Rule::Started(figures)))
}

/// What is too much for one replica, messages per second, as all `present` are at work and do not keep up. `kept_up`: they did
/// when their count was decided on.
pub fn too_much_for_one(facts: &GroupFacts, present: u32, kept_up: bool) -> Option<f64> {
    let arrivals = facts.arrival_per_second.filter(|rate| *rate > 0.0)?;
    let falls_behind = kept_up || facts.processing_per_second? < arrivals;
    let too_much = present > 0 && falls_behind && !keeps_up(facts);
    too_much.then(|| arrivals * TOO_MUCH_RATIO / f64::from(present))
}

/// What arrives, and what waits by the time the first could work, in what replicas are supposed to do within the target delay.
pub fn first(
    facts: &GroupFacts,
    spec: &TargetSpec,
    start_takes: Option<Duration>,
    arrivals: f64,
) -> Proposal {
    step_of(FirstStep {
        counted_per_second: arrivals,
        catch_up_seconds: spec.target_delay.as_secs_f64(),
        largest: LARGEST_FIRST_STEP,
        ..supposed(facts, start_takes)
    })
}

/// As that, where partitions belong to replicas: in half the time.
pub fn first_exclusive(
    facts: &GroupFacts,
    spec: &TargetSpec,
    start_takes: Option<Duration>,
) -> u32 {
    let step = step_of(FirstStep {
        counted_per_second: arriving(facts),
        catch_up_seconds: (spec.target_delay / 2).as_secs_f64(),
        largest: LARGEST_FIRST_STEP_EXCLUSIVE,
        ..supposed(facts, start_takes)
    });
    step.after
}

fn supposed(facts: &GroupFacts, start_takes: Option<Duration>) -> FirstStep {
    FirstStep {
        counted_per_second: 0.0,
        waiting: facts.backlog.map_or(0, Quantity::value),
        start_seconds: start_takes.unwrap_or(SUPPOSED_START).as_secs_f64(),
        catch_up_seconds: 0.0,
        supposed_per_second: SUPPOSED_PER_SECOND,
        largest: 0,
    }
}

fn step_of(step: FirstStep) -> Proposal {
    let meanwhile = step.counted_per_second * step.start_seconds;
    let backlog = (step.waiting as f64 + meanwhile) / step.catch_up_seconds;
    let replicas = ceil_replicas((step.counted_per_second + backlog) / step.supposed_per_second);
    Proposal::to(replicas.clamp(1, step.largest), Rule::FirstStep(step))
}

/// Arrivals per second, by the newest interval alone where that shows a surge: after a quiet time the mean still tells of that.
pub fn arriving(facts: &GroupFacts) -> f64 {
    facts.arrival_per_second.unwrap_or(0.0) * surge(facts)
}

fn keeps_up(facts: &GroupFacts) -> bool {
    let arrivals = facts.arrival_per_second.unwrap_or(0.0);
    let undelivered = facts.lag.map_or(0, Quantity::value);
    undelivered as f64 <= arrivals * KEEPS_UP_WITHIN.as_secs_f64() + HANDFUL as f64
}

/// Arrivals per second of the last minute.
pub fn steady_arrivals(facts: &GroupFacts) -> f64 {
    let loads = facts.tally().loads.iter();
    loads.map(|load| load.steady_arrival_per_second).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::PartitionFacts;
    use crate::model::identity::PartitionId;

    fn facts(arrivals: f64, lag: u64, seen: Option<f64>) -> GroupFacts {
        let partition = PartitionFacts {
            arrival_per_second: Some(arrivals),
            steady_arrival_per_second: Some(arrivals),
            ..PartitionFacts::default()
        };
        GroupFacts {
            backlog: Some(Quantity::Exact(lag)),
            lag: Some(Quantity::Exact(lag)),
            arrival_per_second: Some(arrivals),
            seen_per_consumer: seen,
            partitions: [(PartitionId::new("0"), partition)].into(),
            ..GroupFacts::default()
        }
    }

    #[test]
    fn the_first_step_goes_by_what_waits_and_by_how_long_a_start_takes_and_is_bounded() {
        let check = |arrivals, lag, starts: Option<u64>, present, expect| {
            let starts = starts.map(Duration::from_secs);
            let spec = TargetSpec::default();
            let known = BeforeCapacity {
                present,
                start_takes: starts,
                ..BeforeCapacity::default()
            };
            let got = recommend(&facts(arrivals, lag, None), &spec, known).replicas();
            assert_eq!(got, expect, "{arrivals}/s, {lag} wait, {starts:?}");
        };
        check(20.0, 40, Some(3), 0, 1);
        check(200.0, 400, Some(3), 0, 5);
        check(200.0, 400, None, 0, 6);
        check(200.0, 400, Some(20), 0, 7);
        check(2_000.0, 4_000, Some(60), 0, 12);
        check(0.0, 20_000, Some(3), 0, 12);
        // What runs is never taken away before it is known.
        check(400.0, 3_000, Some(3), 30, 30);
        check(400.0, 20, Some(3), 30, 30);
    }

    #[test]
    fn consumers_that_always_have_something_in_hand_are_not_tried_with_more() {
        let check = |busy_ratio, began_here, expect| {
            let facts = GroupFacts {
                busy_ratio,
                ..facts(650.0, 20, Some(46.0))
            };
            let known = BeforeCapacity {
                present: 14,
                began_here,
                ..BeforeCapacity::default()
            };
            let got = recommend(&facts, &TargetSpec::default(), known).replicas();
            assert_eq!(got, expect, "{busy_ratio:?}");
        };
        check(None, false, 12);
        check(Some(0.5), false, 12);
        check(Some(0.87), false, 13);
        check(Some(0.93), false, 14);
        check(Some(1.0), false, 14);
        check(Some(0.93), true, 8);
    }

    #[test]
    fn a_second_step_is_made_only_for_much_more_than_started() {
        let check = |started, present, expect| {
            let known = BeforeCapacity {
                present,
                started,
                ..BeforeCapacity::default()
            };
            let needs_ten = facts(300.0, 2_000, None);
            let got = recommend(&needs_ten, &TargetSpec::default(), known).replicas();
            assert_eq!(got, expect, "{started:?} of {present}");
        };
        check(None, 0, 10);
        check(Some(1), 6, 10);
        check(Some(7), 7, 10);
        check(Some(8), 8, 8);
        check(Some(8), 9, 9);
        check(Some(8), 11, 11);
        check(None, 8, 10);
    }

    #[test]
    fn after_a_quiet_time_the_first_step_goes_by_what_arrives_now() {
        let quiet = facts(40.0, 800, None);
        let surging = GroupFacts {
            newest_arrival_per_second: Some(400.0),
            ..facts(40.0, 800, None)
        };
        let one = BeforeCapacity {
            present: 1,
            ..BeforeCapacity::default()
        };
        let first = |facts| recommend(facts, &TargetSpec::default(), one).replicas();
        assert_eq!((first(&quiet), first(&surging)), (2, 12));
        let exclusive = |facts| first_exclusive(facts, &TargetSpec::default(), None);
        assert_eq!((exclusive(&quiet), exclusive(&surging)), (3, 15));
    }

    #[test]
    fn who_keeps_up_is_tried_with_more_than_was_seen_of_one_and_with_most_where_the_count_was_a_guess()
     {
        let check = |arrivals, seen, present, of_others, began_here| {
            let (facts, spec) = (facts(arrivals, 10, seen), TargetSpec::default());
            let got = |began_here, too_much_for_one| {
                let known = BeforeCapacity {
                    present,
                    began_here,
                    too_much_for_one,
                    ..BeforeCapacity::default()
                };
                recommend(&facts, &spec, known).replicas()
            };
            assert_eq!((got(false, None), got(true, None)), (of_others, began_here));
            // Eight were too few for 400/s.
            assert_eq!(
                got(true, Some(50.0)),
                began_here.max((arrivals / 50.0) as u32 + 1)
            );
        };
        check(400.0, Some(40.0), 10, 9, 5);
        check(40.0, Some(40.0), 10, 1, 1);
        check(400.0, Some(10.0), 10, 10, 10);
        check(0.0, Some(40.0), 10, 1, 1);
    }
}
