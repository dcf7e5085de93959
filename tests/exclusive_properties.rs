//! Properties of decisions under exclusive assignment: whoever holds what, and however the loads are.

use std::time::Duration;

use proptest::prelude::*;

use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::facts::{GroupFacts, PartitionFacts};
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decide::decide;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::spec::{PolicySettings, TargetSpec};
use streamgauge::policy::state::TargetState;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CAPACITY: f64 = 100.0;

/// A partition: arrivals per second now, and by how many times more in the last hours; messages that wait; who holds it.
#[derive(Clone, Debug)]
struct Part {
    arrival: f64,
    peak_ratio: f64,
    backlog: u64,
    owner: Option<u32>,
    known: bool,
}

#[derive(Clone, Debug)]
struct Case {
    parts: Vec<Part>,
    last: u32,
    min_replicas: u32,
    max_replicas: u32,
    consumers_per_replica: u32,
}

fn part(hottest: f64, holders: u32) -> impl Strategy<Value = Part> {
    let backlog = prop_oneof![2 => 0_u64..300, 1 => 0_u64..50_000];
    let owner = prop_oneof![8 => (0..holders).prop_map(Some), 1 => Just(None)];
    (0.0..hottest, 1.0..3.0, backlog, owner).prop_map(|(arrival, peak_ratio, backlog, owner)| {
        Part {
            arrival,
            peak_ratio,
            backlog,
            owner,
            known: true,
        }
    })
}

/// With partitions of up to `hottest` messages per second.
fn case(hottest: f64) -> impl Strategy<Value = Case> {
    (1_u32..12).prop_flat_map(move |holders| {
        (
            prop::collection::vec(part(hottest, holders), 1..33),
            1_u32..40,
            0_u32..3,
            3_u32..40,
            1_u32..3,
        )
            .prop_map(
                |(parts, last, min_replicas, max_replicas, consumers_per_replica)| Case {
                    parts,
                    last: last.min(max_replicas),
                    min_replicas,
                    max_replicas,
                    consumers_per_replica,
                },
            )
    })
}

impl Case {
    fn spec(&self) -> TargetSpec {
        PolicySettings {
            assignment: Some(Assignment::Exclusive),
            capacity_per_replica: Some(CAPACITY * f64::from(self.consumers_per_replica)),
            consumers_per_replica: Some(self.consumers_per_replica),
            min_replicas: Some(self.min_replicas),
            max_replicas: Some(self.max_replicas),
            ..PolicySettings::default()
        }
        .resolve()
    }

    fn facts(&self) -> GroupFacts {
        let long_ago = NOW.minus(Duration::from_secs(3_600));
        let facts = self.parts.iter().map(|part| PartitionFacts {
            // One more, so that there is work for certain.
            backlog: part.known.then_some(Quantity::Exact(part.backlog + 1)),
            arrival_per_second: part.known.then_some(part.arrival),
            newest_arrival_per_second: part.known.then_some(part.arrival),
            steady_arrival_per_second: part.known.then_some(part.arrival),
            peak_arrival_per_second: Some(part.arrival * part.peak_ratio),
            owner: part.owner.map(|n| n.to_string()),
            owned_since: Some(long_ago),
            moved_at: Some(NOW),
            ..PartitionFacts::default()
        });
        let partitions = facts
            .enumerate()
            .map(|(n, facts)| (PartitionId::new(n.to_string()), facts));
        let owners: std::collections::BTreeSet<_> =
            self.parts.iter().filter_map(|p| p.owner).collect();
        let unknown = self.parts.iter().filter(|p| !p.known).count() as u32;
        let partitions: std::collections::BTreeMap<_, _> = partitions.collect();
        GroupFacts {
            observed_at: Some(NOW),
            backlog: Quantity::sum(partitions.values().map(|p| p.backlog)),
            waiting_seconds: (unknown == 0).then_some(0.0),
            arrival_per_second: partitions.values().map(|p| p.arrival_per_second).sum(),
            consumers: Some(owners.len() as u32),
            unknown_partitions: unknown,
            partitions,
            ..GroupFacts::default()
        }
    }

    fn decide(&self) -> Decision {
        let mut target = TargetState::new(self.spec(), NOW.minus(Duration::from_secs(86_400)));
        target.last_desired = Some(self.last);
        let model = GroupModel::new(CapacityRules::default());
        decide(NOW, &model, &self.facts(), &mut target)
    }

    fn most(&self) -> u32 {
        self.max_replicas
            .min(self.parts.len() as u32)
            .max(self.min_replicas)
    }

    /// ⌈Σ min(λ, μ) ÷ μ⌉ replicas, if partitions could be shared out evenly. Not so with partitions hotter than a consumer: the
    /// policy counts these as nothing.
    fn needed(&self) -> u32 {
        let arrivals: f64 = self.parts.iter().map(|p| p.arrival.min(CAPACITY)).sum();
        let per_replica = CAPACITY * f64::from(self.consumers_per_replica);
        (arrivals / per_replica - 1e-6).ceil() as u32
    }
}

fn desired(case: &Case) -> u32 {
    case.decide().desired.unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_target_is_never_below_what_arrivals_need(case in case(CAPACITY)) {
        let decision = case.decide();
        prop_assert!(decision.desired >= Some(case.needed().min(case.most())), "{decision:?}");
    }

    #[test]
    fn a_target_is_never_above_its_caps_nor_below_its_least(case in case(3.0 * CAPACITY)) {
        let decision = case.decide();
        prop_assert!(decision.desired <= Some(case.most()), "{decision:?}");
        prop_assert!(decision.desired >= Some(case.min_replicas), "{decision:?}");
        prop_assert!(decision.metric.map(|m| m.ceil()) <= Some(case.most().into()), "{decision:?}");
    }

    #[test]
    fn more_backlog_never_asks_for_less(case in case(2.0 * CAPACITY), which in 0_usize..33, more in 0_u64..20_000) {
        let mut fuller = case.clone();
        let which = which % fuller.parts.len();
        fuller.parts[which].backlog += more;
        prop_assert!(desired(&fuller) >= desired(&case));
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(case in case(2.0 * CAPACITY)) {
        prop_assert_eq!(case.decide(), case.decide());
    }

    #[test]
    fn a_partition_that_cannot_be_read_never_lowers_a_target(mut case in case(2.0 * CAPACITY), unread in prop::collection::vec(0_usize..33, 1..8)) {
        let parts = case.parts.len();
        for n in unread {
            case.parts[n % parts].known = false;
        }
        let decision = case.decide();
        prop_assert!(decision.desired.is_none() || decision.desired >= Some(case.last.min(case.most())), "{decision:?}");
    }
}
