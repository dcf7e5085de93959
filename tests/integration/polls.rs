//! The same traffic, cut into other polls, with any partitions left out of any of them: the same target, and the same lessons.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::downstream::Breaker;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Position, Sample,
};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::scaled_object::ReplicasObserved;

const START: u64 = 1_700_000_000_000;
/// The rate changes once, and then there is time for every hold to end.
const CHANGE: u64 = 120_000;
const SETTLED: u64 = 480_000;
const END: u64 = 540_000;
const HOLD: Duration = Duration::from_secs(60);
/// Event Hubs call a partition unknown that waited for longer than two polls.
const LONGEST_WAIT: u64 = 45_000;
const COMMITS_EVERY: u64 = 10_000;

/// What flows, and who reads it.
#[derive(Clone, Debug)]
struct Traffic {
    /// Messages per second of each partition, before and after the change.
    rates: Vec<(u64, u64)>,
    assignment: Assignment,
    /// Messages per second one consumer does.
    capacity: u64,
    running: u32,
    /// Whether they do no more than their capacity.
    busy: bool,
}

impl Traffic {
    fn arrived(&self, partition: usize, millis: u64) -> u64 {
        let (before, after) = self.rates[partition];
        (before * millis.min(CHANGE) + after * millis.saturating_sub(CHANGE)) / 1_000
    }

    /// What consumers have processed, and committed where they commit in batches.
    fn committed(&self, partition: usize, millis: u64) -> (u64, u64) {
        let written = match self.assignment {
            Assignment::Shared => millis.saturating_sub(300),
            Assignment::Exclusive => {
                let offset = partition as u64 * 1_717 % COMMITS_EVERY;
                let since = millis.saturating_sub(offset);
                (offset + since / COMMITS_EVERY * COMMITS_EVERY).min(millis)
            }
        };
        let arrived = self.arrived(partition, written);
        let share =
            self.capacity * u64::from(self.running) * written / (1_000 * self.rates.len() as u64);
        (
            if self.busy {
                arrived.min(share)
            } else {
                arrived
            },
            written,
        )
    }

    fn sample(&self, partition: usize, millis: u64) -> PartitionSample {
        let arrived = self.arrived(partition, millis);
        let (committed, written) = self.committed(partition, millis);
        let exclusive = self.assignment == Assignment::Exclusive;
        let owner = format!("o{}", partition as u32 % self.running);
        PartitionSample {
            log_end: Some(arrived),
            length: arrived,
            lag: Some(Quantity::Exact(arrived - committed)),
            oldest_age_millis: Some(if arrived > committed {
                millis - written
            } else {
                0
            }),
            committed_at: exclusive.then(|| Timestamp::from_millis(START + written)),
            delivered: Some(Position {
                major: committed,
                minor: 0,
            }),
            delivered_count: Some(committed),
            owner: exclusive.then_some(owner),
            ..PartitionSample::default()
        }
    }
}

/// One poll: how long after the one before, and what becomes of each partition, over and over.
#[derive(Clone, Debug)]
struct Poll {
    after_millis: u64,
    fails: bool,
    partitions: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Asked,
    NotAsked,
    Failed,
}

fn target() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 1,
    }
}

struct Run {
    state: GroupState,
    asked_at: Vec<u64>,
    desired: BTreeMap<u64, u32>,
}

impl Run {
    fn of(traffic: &Traffic, polls: &[Poll], configured: bool) -> Self {
        let mut run = Self {
            state: GroupState::new(CapacityRules::default()),
            asked_at: vec![0; traffic.rates.len()],
            desired: BTreeMap::new(),
        };
        let settings = PolicySettings {
            capacity_per_replica: configured.then_some(traffic.capacity as f64),
            assignment: Some(traffic.assignment),
            scale_in_hold: Some(HOLD),
            ..PolicySettings::default()
        };
        let what = What::TargetRegistered(target(), Box::new(settings.resolve()));
        run.apply(0, what);
        let mut millis = 0;
        for poll in polls.iter().cycle() {
            millis += poll.after_millis;
            if millis > END {
                break;
            }
            run.poll(traffic, poll, millis);
        }
        run
    }

    fn apply(&mut self, millis: u64, what: What) {
        let at = Timestamp::from_millis(START + millis);
        self.state.apply(&Event { at, what });
    }

    fn poll(&mut self, traffic: &Traffic, poll: &Poll, millis: u64) {
        let reading = ReplicasObserved {
            current: Some(traffic.running),
            asked: Some(traffic.running),
            ready: Some(traffic.running),
            ..ReplicasObserved::default()
        };
        self.apply(
            millis,
            What::ReplicasObserved(target(), Box::new(Ok(reading))),
        );
        let timed_out = Failure::new(FailureKind::Timeout, "no answer in time");
        if poll.fails {
            return self.apply(millis, What::Observed(Err(timed_out)));
        }
        let mut partitions = BTreeMap::new();
        for n in 0..traffic.rates.len() {
            let due = millis - self.asked_at[n] > LONGEST_WAIT;
            let seen = match poll.partitions[n % poll.partitions.len()] {
                _ if due => Seen::Asked,
                seen => seen,
            };
            let observed = match seen {
                Seen::Asked => PartitionObservation::Present(traffic.sample(n, millis)),
                Seen::NotAsked => PartitionObservation::NotAsked,
                Seen::Failed => PartitionObservation::Failed(timed_out.clone()),
            };
            if seen == Seen::Asked {
                self.asked_at[n] = millis;
            }
            partitions.insert(PartitionId::new(format!("{n:03}")), observed);
        }
        let sample = Sample {
            partitions,
            consumers: Some(traffic.running),
            ..Sample::default()
        };
        self.apply(millis, What::Observed(Ok(sample)));
        let decision = &self.state.targets()[&target()].decision;
        let desired = decision.as_ref().and_then(|decision| decision.desired);
        self.desired
            .extend(desired.map(|desired| (millis, desired)));
    }

    /// The smallest and the largest target once everything has settled.
    fn settled(&self) -> (u32, u32) {
        let settled = || self.desired.range(SETTLED..).map(|(_, desired)| *desired);
        (settled().min().unwrap_or(0), settled().max().unwrap_or(0))
    }
}

/// Every partition at every poll.
fn regular() -> Vec<Poll> {
    vec![Poll {
        after_millis: 5_000,
        fails: false,
        partitions: vec![Seen::Asked],
    }]
}

/// While a partition cannot be read no target falls: so at the end of every round all can.
fn polls() -> impl Strategy<Value = Vec<Poll>> {
    let gap = prop_oneof![2 => 1_000_u64..2_000, 4 => 2_000_u64..8_000, 2 => 8_000_u64..30_000];
    let seen =
        prop_oneof![5 => Just(Seen::Asked), 4 => Just(Seen::NotAsked), 1 => Just(Seen::Failed)];
    let partitions = prop_oneof![
        1 => Just(vec![Seen::Asked]),
        4 => prop::collection::vec(seen, 1..30),
    ];
    let poll = (gap, prop::bool::weighted(0.1), partitions).prop_map(
        |(after_millis, fails, partitions)| Poll {
            after_millis,
            fails,
            partitions,
        },
    );
    let rounds = prop::collection::vec(poll, 1..10);
    rounds.prop_map(|mut polls| {
        polls.extend(regular());
        polls
    })
}

/// Loads for at most 12 replicas: what is a difference of one there is more elsewhere, as targets fall at another utilization
/// than they rise.
fn traffic() -> impl Strategy<Value = Traffic> {
    let rates = prop::collection::vec((0_u64..40, 0_u64..40), 4..24);
    let assignment = prop_oneof![Just(Assignment::Shared), Just(Assignment::Exclusive)];
    (rates, assignment, 2_u64..8).prop_map(|(rates, assignment, replicas)| {
        let total: u64 = rates.iter().map(|(a, b)| a.max(b)).sum();
        Traffic {
            // Where partitions are held, more is asked for step by step until all that was asked for hold some: enough do.
            running: (replicas as u32 * 2).min(rates.len() as u32),
            capacity: (total / replicas).max(41),
            rates,
            assignment,
            busy: false,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn other_polls_of_the_same_traffic_give_the_same_target_within_one_replica(traffic in traffic(), polls in polls()) {
        let expected = Run::of(&traffic, &regular(), true).settled();
        let found = Run::of(&traffic, &polls, true).settled();
        // Where partitions are held, the next count that helps is the next at which somebody holds one partition less.
        let held = |replicas: u32| (traffic.rates.len() as u32).div_ceil(replicas.max(1));
        let is_near = |found: u32, expected: u32| {
            found.abs_diff(expected) <= 1
                || traffic.assignment == Assignment::Exclusive && held(found).abs_diff(held(expected)) <= 1
        };
        prop_assert!(is_near(found.0, expected.0) && is_near(found.1, expected.1), "{found:?} instead of {expected:?}");
    }

    #[test]
    fn other_polls_of_the_same_traffic_teach_the_same_capacity_and_no_outage(
        traffic in traffic(), polls in polls(),
    ) {
        let rates = vec![(30, 30); traffic.rates.len()];
        let traffic = Traffic { rates, running: 4, busy: true, capacity: 20, assignment: Assignment::Shared };
        let expected = Run::of(&traffic, &regular(), false);
        let found = Run::of(&traffic, &polls, false);
        prop_assert_eq!(found.state.facts().breaker, Breaker::Closed);
        let capacity = |run: &Run| {
            let facts = run.state.facts();
            facts.capacity_per_consumer.or(facts.early_capacity_per_consumer)
        };
        if let (Some(expected), Some(found)) = (capacity(&expected), capacity(&found)) {
            prop_assert!((found / expected - 1.0).abs() < 0.15, "{found} instead of {expected}");
        }
    }
}

/// Partitions in turn, a part of them at each poll.
fn in_turns(parts: usize, seen: Seen) -> Vec<Poll> {
    (0..parts)
        .map(|turn| Poll {
            after_millis: 5_000,
            fails: false,
            partitions: (0..parts)
                .map(|n| if n == turn { Seen::Asked } else { seen })
                .collect(),
        })
        .collect()
}

#[test]
fn constant_arrivals_on_partitions_that_take_turns_are_no_surge() {
    for (assignment, running) in [(Assignment::Shared, 14), (Assignment::Exclusive, 4)] {
        let traffic = Traffic {
            rates: vec![(25, 25); 40],
            assignment,
            capacity: if assignment == Assignment::Shared {
                90
            } else {
                330
            },
            running,
            busy: false,
        };
        let expected = Run::of(&traffic, &regular(), true).settled();
        for parts in 2..6 {
            for seen in [Seen::NotAsked, Seen::Failed] {
                let found = Run::of(&traffic, &in_turns(parts, seen), true);
                let most = found
                    .desired
                    .range(60_000..)
                    .map(|(_, n)| *n)
                    .max()
                    .unwrap_or(0);
                assert!(
                    most <= expected.1 + 1,
                    "{assignment:?}: {most} of {expected:?}"
                );
                let least = found.settled().0;
                assert!(
                    least + 1 >= expected.0,
                    "{assignment:?}: {least} of {expected:?}"
                );
            }
        }
    }
}
