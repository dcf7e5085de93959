//! The count while nothing is known of what a replica does, where any consumer may take any message: a first step by what arrives,
//! what waits and what comes to it while a replica starts. Once consumers are busy their capacity shows within seconds, so this needs
//! to be right about the order of magnitude only; nothing of it is held.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::quantity::Quantity;

use super::spec::TargetSpec;
use super::surge::surge;

/// A replica is taken to do so many messages per second until it is seen: of the field's consumers few are slower.
const SUPPOSED_PER_SECOND: f64 = 50.0;
/// How long a start takes where none was seen.
const SUPPOSED_START: Duration = Duration::from_secs(10);
/// No first step is larger: one of 16 made a little less late over the cold grid, but cost more where consumers are fast.
const LARGEST_FIRST_STEP: u32 = 12;
/// Where partitions belong to replicas a second step moves them once more, so the first may be larger.
const LARGEST_FIRST_STEP_EXCLUSIVE: u32 = 16;
/// As long as consumers keep up, so much more than was seen of one is tried: of a fleet that others sized …
const EXPLORED_RATIO: f64 = 1.2;
/// … and of one that rests on the supposition above: consumers that do ten times as much would keep ten times too many for minutes …
const EXPLORED_RATIO_OWN: f64 = 2.0;
/// … and they do while less waits than arrives in this time, and a handful.
const KEEPS_UP_WITHIN: Duration = Duration::from_secs(3);
const HANDFUL: u64 = 20;

/// Replicas to ask for, `present` being those that run or were asked for last, `began_here` whether nothing ran when it was asked for first; at least 1, as there
/// is something to run for.
pub fn replicas(
    facts: &GroupFacts,
    spec: &TargetSpec,
    present: u32,
    began_here: bool,
    start_takes: Option<Duration>,
) -> u32 {
    if present == 0 || !keeps_up(facts) {
        return first(facts, spec, start_takes, arriving(facts)).max(present);
    }
    match facts.seen_per_consumer {
        Some(seen) => {
            let explored = if began_here {
                EXPLORED_RATIO_OWN
            } else {
                EXPLORED_RATIO
            };
            let per_replica = seen * explored * f64::from(spec.consumers_per_replica);
            let enough = (steady_arrivals(facts) / per_replica).ceil() as u32;
            enough.clamp(1, present)
        }
        None => present,
    }
}

/// What arrives, and what waits by the time the first could work, in what replicas are supposed to do within the target delay.
pub fn first(
    facts: &GroupFacts,
    spec: &TargetSpec,
    start_takes: Option<Duration>,
    arrivals: f64,
) -> u32 {
    within(facts, spec.target_delay, start_takes, arrivals).clamp(1, LARGEST_FIRST_STEP)
}

/// As that, where partitions belong to replicas: in half the time.
pub fn first_exclusive(
    facts: &GroupFacts,
    spec: &TargetSpec,
    start_takes: Option<Duration>,
) -> u32 {
    let arrivals = arriving(facts);
    let replicas = within(facts, spec.target_delay / 2, start_takes, arrivals);
    replicas.clamp(1, LARGEST_FIRST_STEP_EXCLUSIVE)
}

/// Arrivals per second, by the newest interval alone where that shows a surge: after a quiet time the mean still tells of that.
pub fn arriving(facts: &GroupFacts) -> f64 {
    facts.arrival_per_second.unwrap_or(0.0) * surge(facts)
}

fn within(facts: &GroupFacts, time: Duration, start_takes: Option<Duration>, arrivals: f64) -> u32 {
    let waiting = facts.backlog.map_or(0, Quantity::value) as f64;
    let meanwhile = arrivals * start_takes.unwrap_or(SUPPOSED_START).as_secs_f64();
    let work = arrivals + (waiting + meanwhile) / time.as_secs_f64();
    (work / SUPPOSED_PER_SECOND).ceil() as u32
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
            let got = replicas(&facts(arrivals, lag, None), &spec, present, true, starts);
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
    fn after_a_quiet_time_the_first_step_goes_by_what_arrives_now() {
        let quiet = facts(40.0, 800, None);
        let surging = GroupFacts {
            newest_arrival_per_second: Some(400.0),
            ..facts(40.0, 800, None)
        };
        let first = |facts| replicas(facts, &TargetSpec::default(), 1, true, None);
        assert_eq!((first(&quiet), first(&surging)), (2, 12));
        let exclusive = |facts| first_exclusive(facts, &TargetSpec::default(), None);
        assert_eq!((exclusive(&quiet), exclusive(&surging)), (3, 15));
    }

    #[test]
    fn who_keeps_up_is_tried_with_more_than_was_seen_of_one_and_with_most_where_the_count_was_a_guess()
     {
        let check = |arrivals, seen, present, of_others, began_here| {
            let (facts, spec) = (facts(arrivals, 10, seen), TargetSpec::default());
            let got = |here| replicas(&facts, &spec, present, here, None);
            assert_eq!((got(false), got(true)), (of_others, began_here));
        };
        check(400.0, Some(40.0), 10, 9, 5);
        check(40.0, Some(40.0), 10, 1, 1);
        check(400.0, Some(10.0), 10, 10, 10);
        check(0.0, Some(40.0), 10, 1, 1);
    }
}
