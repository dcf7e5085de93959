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
    (commits, assignment, rebalance, 0_u32..2).prop_map(
        |(commits, assignment, rebalance, min_replicas)| PlantSpec {
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
            let most = f64::from(outcome.replicas) * spec.capacity_per_second * TICK.as_secs_f64();
            prop_assert!(outcome.done <= most + 1e-6 && outcome.late <= outcome.done + 1e-6);
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
