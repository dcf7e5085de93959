//! How many replicas the work asks for, and the bounds on the answer. Formulas: docs/policy.md.

use crate::model::facts::GroupFacts;
use crate::model::identity::Assignment;

use super::rule::{Bound, Rule, Work};
use super::spec::TargetSpec;
use crate::policy::tuning::bounds::READ_LIMIT_REACHED;
use crate::policy::tuning::utilization::{self, Utilization};

impl Utilization {
    /// By who may take what.
    pub const fn of(assignment: Assignment) -> Self {
        match assignment {
            Assignment::Shared => utilization::SHARED,
            Assignment::Exclusive => utilization::EXCLUSIVE,
        }
    }
}

/// The work per second of every partition, and what share of it is backlog.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupWork {
    /// w_p = λ_p ÷ ρ + b'_p ÷ T, messages per second; b' is without what is only yet to be committed.
    per_partition: Vec<f64>,
    /// The part of the sum that comes from backlog.
    pub from_backlog: f64,
    /// The part of the sum that comes from arrivals.
    pub from_arrivals: f64,
    /// Σ λ_p.
    counted_per_second: f64,
    /// Σ b'_p.
    waiting: u64,
    utilization_ratio: f64,
    catch_up_seconds: f64,
}

impl GroupWork {
    /// The work that meets `raise` times the arrivals at `utilization` and clears the backlog within the catch-up time (= target
    /// delay).
    pub fn of(facts: &GroupFacts, spec: &TargetSpec, utilization: f64, raise: f64) -> Self {
        let catch_up = spec.target_delay.as_secs_f64();
        let mut work = Self {
            per_partition: Vec::with_capacity(facts.partitions.len()),
            from_backlog: 0.0,
            from_arrivals: 0.0,
            counted_per_second: 0.0,
            waiting: 0,
            utilization_ratio: utilization,
            catch_up_seconds: catch_up,
        };
        for load in facts.tally().loads.iter().filter(|p| !p.lacks_group) {
            let counted = load.arrival_per_second * raise;
            let arrivals = counted / utilization;
            let backlog = load.waiting as f64 / catch_up;
            work.counted_per_second += counted;
            work.waiting += load.waiting;
            work.from_arrivals += arrivals;
            work.from_backlog += backlog;
            work.per_partition.push(arrivals + backlog);
        }
        work
    }

    /// Without arrivals: whoever takes the backlog takes them, too.
    pub fn without_arrivals(self) -> Self {
        Self {
            from_arrivals: 0.0,
            counted_per_second: 0.0,
            ..self
        }
    }

    /// As the figures of a rule, done by replicas of `capacity` messages per second.
    pub fn figures(&self, capacity: f64) -> Work {
        Work {
            counted_per_second: self.counted_per_second,
            waiting: self.waiting,
            utilization_ratio: self.utilization_ratio,
            catch_up_seconds: self.catch_up_seconds,
            work_per_second: self.total(),
            capacity_per_second: capacity,
            replicas_if_shared: ceil_replicas(self.total() / capacity),
        }
    }

    /// All of it, messages per second.
    pub fn total(&self) -> f64 {
        self.from_arrivals + self.from_backlog
    }

    /// Replicas that do it at `capacity` messages per second each, with so many `consumers` in each.
    ///
    /// Shared assignment: ⌈Σ w ÷ μ⌉. Exclusive: partitions are shared out by count, not by load; the smallest n for
    /// which even the ⌈N÷n⌉ hottest partitions fit one consumer. A partition hotter than a consumer counts as one consumer's
    /// worth: more replicas cannot cure it.
    pub fn replicas(&self, capacity: f64, consumers: u32, assignment: Assignment) -> u32 {
        match assignment {
            Assignment::Shared => ceil_replicas(self.total() / capacity),
            Assignment::Exclusive => self
                .consumers_by_count(capacity / f64::from(consumers))
                .div_ceil(consumers),
        }
    }

    fn consumers_by_count(&self, capacity: f64) -> u32 {
        let partitions = self.per_partition.len();
        if self.total() <= 0.0 {
            return 0;
        }
        let mut hottest_first = self.per_partition.clone();
        hottest_first.sort_unstable_by(|a, b| b.total_cmp(a));
        let fits = |consumers: usize| {
            let hottest = partitions.div_ceil(consumers);
            let load: f64 = hottest_first[..hottest]
                .iter()
                .map(|w| w.min(capacity))
                .sum();
            load <= capacity
        };
        (1..partitions).find(|n| fits(*n)).unwrap_or(partitions) as u32
    }
}

/// Rounds up, forgiving the last bits of a float sum, so that 2.0000000001 replicas are 2.
pub fn ceil_replicas(exact: f64) -> u32 {
    let rounded = exact.round();
    let whole = if (exact - rounded).abs() < 1e-6 {
        rounded
    } else {
        exact.ceil()
    };
    if whole >= f64::from(u32::MAX) {
        u32::MAX
    } else {
        whole as u32
    }
}

/// A count that is not exceeded, and the rule that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Cap {
    /// Replicas.
    pub most: u32,
    /// Why.
    pub rule: Rule,
}

impl Cap {
    /// A cap by a rule that has no other figure.
    pub fn of(most: u32, rule: fn(Bound) -> Rule) -> Self {
        let bound = u64::from(most);
        Self {
            most,
            rule: rule(Bound { bound }),
        }
    }

    /// The smaller of the two.
    pub fn or_less(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.most < self.most => other,
            _ => self,
        }
    }
}

/// The target's cap: `maxReplicas`; under exclusive assignment at most the partition count; where the source limits reading, at
/// most what can read that much. Never less than `minReplicas`.
pub fn cap(
    facts: &GroupFacts,
    spec: &TargetSpec,
    capacity: Option<f64>,
    running: Option<u32>,
) -> Cap {
    let partitions = u32::try_from(facts.partitions.len())
        .unwrap_or(u32::MAX)
        .max(1);
    let least = |most: u32| most.max(spec.min_replicas);
    let by_partitions = (spec.assignment == Assignment::Exclusive)
        .then(|| Cap::of(least(partitions), Rule::PartitionCount));
    let by_reading = read_limit(facts, capacity, running)
        .map(|most| Cap::of(least(most), Rule::ThroughputUnits));
    Cap::of(least(spec.max_replicas), Rule::MaxReplicas)
        .or_less(by_partitions)
        .or_less(by_reading)
}

/// Replicas that read all that the source gives out. Where capacity is unknown: no more than run, once they get nearly that much.
fn read_limit(facts: &GroupFacts, capacity: Option<f64>, running: Option<u32>) -> Option<u32> {
    let limit = facts.read_limit_per_second?;
    let most = match capacity {
        Some(capacity) => ceil_replicas(limit / capacity),
        None => {
            let reached = facts.processing_per_second? >= limit * READ_LIMIT_REACHED;
            reached.then_some(running)??
        }
    };
    Some(most.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::facts::PartitionFacts;
    use crate::model::identity::PartitionId;
    use crate::model::quantity::Quantity;

    fn group(partitions: &[(f64, u64)]) -> GroupFacts {
        let partitions = partitions.iter().enumerate().map(|(n, (rate, backlog))| {
            let facts = PartitionFacts {
                arrival_per_second: Some(*rate),
                backlog: Some(Quantity::Exact(*backlog)),
                ..PartitionFacts::default()
            };
            (PartitionId::new(n.to_string()), facts)
        });
        GroupFacts {
            partitions: partitions.collect(),
            ..GroupFacts::default()
        }
    }

    fn replicas(partitions: &[(f64, u64)], capacity: f64, assignment: Assignment) -> u32 {
        GroupWork::of(
            &group(partitions),
            &TargetSpec::default(),
            Utilization::of(assignment).up,
            1.0,
        )
        .replicas(capacity, 1, assignment)
    }

    #[test]
    fn the_work_bound_meets_arrivals_at_the_utilization_and_clears_backlog_in_the_target_delay() {
        let check = |partitions: &[(f64, u64)], shared, exclusive| {
            assert_eq!(
                replicas(partitions, 100.0, Assignment::Shared),
                shared,
                "{partitions:?} shared"
            );
            assert_eq!(
                replicas(partitions, 100.0, Assignment::Exclusive),
                exclusive,
                "{partitions:?} exclusive"
            );
        };
        check(&[(0.0, 0)], 0, 0);
        check(&[(1.0, 0)], 1, 1);
        check(&[(95.0, 0)], 1, 1);
        check(&[(95.8, 0)], 2, 1);
        check(&[(0.0, 3_000); 2], 2, 2);
        check(&[(40.0, 0); 4], 2, 2);
        // One hot partition among four: its fellow on the same replica must fit too.
        check(&[(70.0, 0), (20.0, 0), (20.0, 0), (20.0, 0)], 2, 4);
        // Hotter than a replica: four are not better than what the rest needs.
        check(&[(400.0, 0), (8.0, 0), (8.0, 0), (8.0, 0)], 5, 4);
    }

    proptest! {
        #[test]
        fn more_work_never_asks_for_fewer_replicas(
            partitions in prop::collection::vec((0.0_f64..500.0, 0_u64..50_000), 1..20),
            which in 0_usize..20, more in 0_u64..10_000, capacity in 1.0_f64..500.0,
        ) {
            let mut fuller = partitions.clone();
            let which = which % fuller.len();
            fuller[which].1 += more;
            for assignment in [Assignment::Shared, Assignment::Exclusive] {
                prop_assert!(replicas(&fuller, capacity, assignment) >= replicas(&partitions, capacity, assignment));
            }
            prop_assert!(replicas(&partitions, capacity, Assignment::Exclusive) as usize <= partitions.len());
        }
    }
}
