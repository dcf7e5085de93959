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
use streamgauge::policy::target::TargetState;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CAPACITY: f64 = 100.0;

/// A partition: arrivals per second now, by how many times more in the newest interval and in the last hours; messages that wait,
/// for how many seconds behind; who holds it, for how many seconds; how long it stands still.
#[derive(Clone, Debug)]
struct Part {
    arrival: f64,
    newest_ratio: f64,
    peak_ratio: f64,
    backlog: u64,
    behind: Option<u64>,
    owner: Option<u32>,
    owned: u64,
    stalled: Option<u64>,
    known: bool,
}

#[derive(Clone, Debug)]
struct Case {
    parts: Vec<Part>,
    last: u32,
    min_replicas: u32,
    max_replicas: u32,
    consumers_per_replica: u32,
    /// Where capacity is not known: what one consumer was seen to do.
    seen: Option<f64>,
}

fn part(hottest: f64, holders: u32) -> impl Strategy<Value = Part> {
    let backlog = prop_oneof![2 => 0_u64..300, 1 => 0_u64..50_000];
    let owner = prop_oneof![8 => (0..holders).prop_map(Some), 1 => Just(None)];
    let often =
        |seconds: std::ops::Range<u64>| prop_oneof![3 => Just(None), 1 => seconds.prop_map(Some)];
    (
        (0.0..hottest, 0.5..1.5, 1.0..3.0),
        (backlog, often(0..200), often(60..120)),
        (owner, 0_u64..200),
    )
        .prop_map(
            |((arrival, newest_ratio, peak_ratio), (backlog, behind, stalled), (owner, owned))| {
                Part {
                    arrival,
                    newest_ratio,
                    peak_ratio,
                    backlog,
                    behind,
                    owner,
                    owned,
                    stalled,
                    known: true,
                }
            },
        )
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
                    seen: None,
                },
            )
    })
}

/// As [`case`], with a capacity that is known or only known to be at least so much.
fn any_knowledge(hottest: f64) -> impl Strategy<Value = Case> {
    let seen = prop_oneof![Just(None), (20.0..200.0).prop_map(Some)];
    (case(hottest), seen).prop_map(|(case, seen)| Case { seen, ..case })
}

impl Case {
    fn spec(&self) -> TargetSpec {
        PolicySettings {
            assignment: Some(Assignment::Exclusive),
            capacity_per_replica: match self.seen {
                Some(_) => None,
                None => Some(CAPACITY * f64::from(self.consumers_per_replica)),
            },
            consumers_per_replica: Some(self.consumers_per_replica),
            min_replicas: Some(self.min_replicas),
            max_replicas: Some(self.max_replicas),
            ..PolicySettings::default()
        }
        .resolve()
    }

    fn facts(&self) -> GroupFacts {
        let ago = |seconds: u64| NOW.minus(Duration::from_secs(seconds));
        let facts = self.parts.iter().map(|part| PartitionFacts {
            // One more, so that there is work for certain.
            backlog: part.known.then_some(Quantity::Exact(part.backlog + 1)),
            arrival_per_second: part.known.then_some(part.arrival),
            newest_arrival_per_second: part.known.then_some(part.arrival * part.newest_ratio),
            steady_arrival_per_second: part.known.then_some(part.arrival),
            peak_arrival_per_second: Some(part.arrival * part.peak_ratio),
            owner: part.owner.map(|n| n.to_string()),
            owned_since: Some(ago(part.owned)),
            behind_since: part.behind.map(ago),
            stalled_since: part.stalled.map(ago),
            moved_at: Some(ago(part.stalled.unwrap_or(0))),
            oldest_age_seconds: part.known.then_some(0.0),
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
            backlog: Quantity::sum(partitions.values().map(|p| p.backlog)),
            waiting_seconds: (unknown == 0).then_some(0.0),
            arrival_per_second: partitions.values().map(|p| p.arrival_per_second).sum(),
            consumers: Some(owners.len() as u32),
            unknown_partitions: unknown,
            proven_per_consumer: self.seen,
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

    /// ⌈Σ min(λ, μ) ÷ μ⌉ replicas, if partitions could be shared out evenly; without those that nobody gets on with.
    fn needed(&self) -> u32 {
        let moving = self.parts.iter().filter(|p| p.stalled.is_none());
        let arrivals: f64 = moving.map(|p| p.arrival.min(CAPACITY)).sum();
        let per_replica = CAPACITY * f64::from(self.consumers_per_replica);
        (arrivals / per_replica - 1e-6).ceil() as u32
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_target_is_never_below_what_arrivals_need(case in case(3.0 * CAPACITY)) {
        let decision = case.decide();
        prop_assert!(decision.desired >= Some(case.needed().min(case.most())), "{decision:?}");
    }

    #[test]
    fn a_target_is_never_above_its_caps_nor_below_its_least(case in any_knowledge(3.0 * CAPACITY)) {
        let decision = case.decide();
        prop_assert!(decision.desired <= Some(case.most()), "{decision:?}");
        prop_assert!(decision.desired >= Some(case.min_replicas), "{decision:?}");
        prop_assert!(decision.metric.map(|m| m.ceil()) <= Some(case.most().into()), "{decision:?}");
    }

    #[test]
    fn more_backlog_never_asks_for_less(case in any_knowledge(2.0 * CAPACITY), which in 0_usize..33, more in 0_u64..20_000) {
        let mut fuller = case.clone();
        let which = which % fuller.parts.len();
        fuller.parts[which].backlog += more;
        let (fuller, case) = (fuller.decide(), case.decide());
        // But where it is the sign that a partition is stuck rather than waiting for its next batch: no replica helps that one.
        prop_assume!(fuller.inputs.stuck_partitions == case.inputs.stuck_partitions);
        prop_assert!(fuller.desired >= case.desired, "{} {}", case.text, fuller.text);
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(case in any_knowledge(2.0 * CAPACITY)) {
        prop_assert_eq!(case.decide(), case.decide());
    }

    #[test]
    fn a_partition_that_cannot_be_read_never_lowers_a_target(mut case in any_knowledge(2.0 * CAPACITY), unread in prop::collection::vec(0_usize..33, 1..8)) {
        let parts = case.parts.len();
        for n in unread {
            case.parts[n % parts].known = false;
        }
        let decision = case.decide();
        prop_assert!(decision.desired.is_none() || decision.desired >= Some(case.last.min(case.most())), "{decision:?}");
    }
}
