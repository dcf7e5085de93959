//! What holds in every plant, whatever arrives, goes wrong or is decided.

use proptest::prelude::*;

use super::*;
use crate::simulation::faults::FaultKind;

const TICKS: usize = 200;
const PARTITIONS: usize = 5;

fn fault() -> impl Strategy<Value = Fault> {
    let kind = prop_oneof![
        (1.0..200.0).prop_map(|per_second| FaultKind::Downstream { per_second }),
        (0.1..1.0).prop_map(|ratio| FaultKind::SlowReplica { ratio }),
        Just(FaultKind::Crash),
        (0..PARTITIONS).prop_map(|partition| FaultKind::Stuck { partition }),
        (1_u32..4).prop_map(|replicas| FaultKind::Evict { replicas }),
        (5_u64..60).prop_map(|s| FaultKind::RollingDeploy {
            every: Duration::from_secs(s)
        }),
        (1.0..6.0).prop_map(|ratio| FaultKind::SlowStart { ratio }),
    ];
    (0..TICKS, 1_usize..60, kind).prop_map(|(from, ticks, kind)| Fault {
        from,
        to: from + ticks,
        kind,
    })
}

fn spec() -> impl Strategy<Value = PlantSpec> {
    let commits = prop_oneof![
        (2_u64..60).prop_map(|s| Commits::Every(Duration::from_secs(s))),
        (1_u64..300).prop_map(Commits::After),
    ];
    let assignment = prop_oneof![Just(Assignment::Exclusive), Just(Assignment::Shared)];
    let rebalance = prop_oneof![
        Just(Rebalance::Sticky),
        Just(Rebalance::Greedy),
        Just(Rebalance::Balanced)
    ];
    let step = prop_oneof![Just(1), Just(5)].prop_map(StepLength::of_seconds);
    (commits, assignment, rebalance, 0_u32..2, step).prop_map(
        |(commits, assignment, rebalance, min_replicas, step)| PlantSpec {
            step,
            commits,
            assignment,
            rebalance,
            min_replicas,
            max_replicas: 8,
            ..PlantSpec::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_gets_lost_or_is_done_twice(
        spec in spec(),
        faults in prop::collection::vec(fault(), 0..4),
        arrivals in prop::collection::vec(prop::collection::vec(0_u32..600, PARTITIONS), TICKS),
        wanted in prop::collection::vec(0_u32..10, TICKS / 10),
        seed in any::<u64>(),
    ) {
        let mut plant = Plant::new(spec.clone(), faults, PARTITIONS, 2, seed);
        let (mut arrived, mut done, mut committed) = (0, 0.0, vec![0; PARTITIONS]);
        for (tick, row) in arrivals.iter().enumerate() {
            let outcome = plant.advance(row);
            arrived += row.iter().map(|n| u64::from(*n)).sum::<u64>();
            done += outcome.done;
            let waiting: f64 = plant.partitions().iter().map(PlantPartition::waiting).sum();
            let produced: u64 = plant.partitions().iter().map(|p| p.produced).sum();
            prop_assert_eq!(produced, arrived);
            prop_assert!((done + waiting - arrived as f64).abs() < 1e-3, "{done} + {waiting} = {arrived}");
            let most = f64::from(outcome.replicas) * spec.capacity_per_second * spec.step.seconds();
            prop_assert!(outcome.late <= outcome.done + 1e-6);
            prop_assert!(outcome.worst_seconds * outcome.done + 1e-6 >= outcome.waited_seconds);
            match spec.assignment {
                Assignment::Exclusive => prop_assert!(outcome.done <= most + 1e-6),
                // A batch counts when it is done, and who was told to stop finishes its own.
                Assignment::Shared => for p in plant.partitions() {
                    prop_assert!(p.done() <= p.delivered && p.delivered <= p.produced);
                }
            }
            for (partition, before) in plant.partitions().iter().zip(&mut committed) {
                prop_assert!(partition.committed >= *before);
                prop_assert!(partition.committed as f64 <= partition.produced as f64 - partition.waiting() + 1e-3);
                *before = partition.committed;
            }
            if tick % 10 == 0 {
                plant.scale(wanted[tick / 10]);
            }
        }
    }
}

/// One stream, consumers of 10/s that fetch 10 at a time; what was seen after every second: delivered, done.
fn pool(
    replicas: u32,
    seconds: usize,
    arrivals: impl Fn(usize) -> u32,
) -> (Plant, Vec<(u64, u64)>) {
    let spec = PlantSpec {
        step: StepLength::SECOND,
        assignment: Assignment::Shared,
        capacity_per_second: 10.0,
        start_up: Duration::ZERO,
        min_replicas: 0,
        ..PlantSpec::default()
    };
    let mut plant = Plant::new(spec, Vec::new(), 1, replicas, 0);
    let seen = (0..seconds).map(|second| {
        plant.advance(&[arrivals(second)]);
        let partition = &plant.partitions()[0];
        (partition.delivered, partition.done())
    });
    let seen = seen.collect();
    (plant, seen)
}

#[test]
fn consumers_hold_what_they_fetched_until_all_of_it_is_done() {
    let (_, seen) = pool(2, 4, |second| if second == 0 { 100 } else { 0 });
    // Both fetch as soon as the first messages come, then batches of 10 that take a second each.
    for (delivered, done) in &seen {
        assert!((1..=20).contains(&(delivered - done)), "{seen:?}");
    }
    let (_, seen) = pool(3, 60, |_| 20);
    let (_, done) = seen[59];
    assert!((1_170..=1_200).contains(&done), "{done}");
}

#[test]
fn who_is_told_to_stop_finishes_its_batch_and_stays_in_the_listing() {
    let (mut plant, _) = pool(2, 3, |_| 100);
    plant.scale(0);
    for _ in 0..3 {
        plant.advance(&[0]);
    }
    let partition = &plant.partitions()[0];
    assert_eq!(partition.delivered, partition.done());
    let listed: Vec<ListedReplica> = plant.listing().collect();
    assert_eq!(listed.len(), 2);
    let silent = |l: &ListedReplica| (1_000..3_000).contains(&l.silent_millis);
    assert!(
        listed.iter().all(|l| l.pending == 0 && silent(l)),
        "{listed:?}"
    );
}

#[test]
fn what_a_crashed_consumer_held_is_taken_over_after_a_while() {
    let (mut plant, _) = pool(2, 3, |second| if second == 0 { 100 } else { 0 });
    plant.faults = vec![Fault {
        from: 3,
        to: 4,
        kind: FaultKind::Crash,
    }];
    for _ in 0..30 {
        plant.advance(&[0]);
    }
    assert!(plant.partitions()[0].waiting() > 0.0);
    assert!(plant.partitions()[0].oldest_millis(33) > 32_000);
    assert!(plant.waiting_late() > 0.0);
    for _ in 0..40 {
        plant.advance(&[0]);
    }
    assert_eq!(plant.partitions()[0].waiting(), 0.0);
}
