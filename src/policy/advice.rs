//! How many partitions a group needs where each belongs to one consumer. Rules and where they come from: docs/policy.md,
//! "Partition count".

mod trend;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::identity::Assignment;
use crate::model::peaks::Peaks;
use crate::model::time::Timestamp;

use super::spec::TargetSpec;
use super::tuning::utilization::Utilization;
use crate::policy::tuning::advice::{
    CLEAR_RATIO, NEVER_TOO_MANY, REMEMBERED, SPARE_RATIO, TOO_MANY_RATIO,
};
use trend::Trend;

/// Fewer partitions are advised only once a whole day was seen.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is remembered for the advice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advisor {
    /// Since when the stream has had so many partitions.
    partitions: Option<(u32, Timestamp)>,
    /// Largest loads, as [`load`].
    loads: Peaks,
    trend: Trend,
    advised: Option<u32>,
}

impl Advisor {
    /// Partitions that would do, the present count if that is right; `capacity` is what one replica does, messages per second.
    /// `None` while that or every load is unknown, and where any consumer may take any message.
    pub fn advise(
        &mut self,
        now: Timestamp,
        facts: &GroupFacts,
        spec: &TargetSpec,
        capacity: Option<f64>,
    ) -> Option<u32> {
        let partitions = facts.partitions.len() as u32;
        if spec.assignment != Assignment::Exclusive || partitions == 0 {
            return None;
        }
        let since = match self.partitions {
            Some((same, since)) if same == partitions => since,
            _ => self.start_over(now, partitions),
        };
        if let Some(load) = load(facts) {
            self.loads.add(now, load, REMEMBERED);
            self.trend.add(facts.wall.on_the_wall(now), load);
        }
        let usable =
            capacity? / f64::from(spec.consumers_per_replica) * Utilization::of(spec.assignment).up;
        let needed = self.loads.largest()? * self.trend.growth() / usable;
        let least = if now.since(since) < DAY {
            partitions
        } else {
            0
        };
        let advised = steady(partitions, needed, self.advised).max(least);
        self.advised = Some(advised);
        Some(advised)
    }

    fn start_over(&mut self, now: Timestamp, partitions: u32) -> Timestamp {
        *self = Self {
            partitions: Some((partitions, now)),
            ..Self::default()
        };
        now
    }
}

/// Messages per second if every partition were as hot as the hottest; `None` unless the arrivals of all are known.
fn load(facts: &GroupFacts) -> Option<f64> {
    let mut rates = facts.partitions.values();
    let hottest = rates.try_fold(0.0, |most: f64, p| {
        Some(most.max(p.steady_arrival_per_second?))
    })?;
    Some(hottest * facts.partitions.len() as f64)
}

/// As [`fitting`], but below what was advised `before` only if that is clear.
fn steady(partitions: u32, needed: f64, before: Option<u32>) -> u32 {
    let fresh = fitting(partitions, needed);
    match before {
        Some(before) if fresh < before => fitting(partitions, needed * CLEAR_RATIO).min(before),
        _ => fresh,
    }
}

/// The count itself if it is enough and not far too large; else a power of two.
fn fitting(partitions: u32, needed: f64) -> u32 {
    let far_too_many = f64::from(partitions) > needed * TOO_MANY_RATIO;
    if needed > f64::from(partitions) {
        power_of_two(needed)
    } else if far_too_many && partitions > NEVER_TOO_MANY {
        power_of_two(needed * SPARE_RATIO).max(NEVER_TOO_MANY)
    } else {
        partitions
    }
}

fn power_of_two(least: f64) -> u32 {
    let least = least.ceil() as u32;
    least.checked_next_power_of_two().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::facts::PartitionFacts;
    use crate::model::identity::PartitionId;
    use crate::policy::spec::PolicySettings;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn facts(rates: &[f64]) -> GroupFacts {
        let partitions = rates.iter().enumerate().map(|(n, rate)| {
            let facts = PartitionFacts {
                steady_arrival_per_second: Some(*rate),
                ..PartitionFacts::default()
            };
            (PartitionId::new(n.to_string()), facts)
        });
        GroupFacts {
            partitions: partitions.collect(),
            ..GroupFacts::default()
        }
    }

    fn exclusive() -> TargetSpec {
        let settings = PolicySettings {
            assignment: Some(Assignment::Exclusive),
            ..PolicySettings::default()
        };
        settings.resolve()
    }

    /// What is advised after a day and a bit of the same rates.
    fn after_a_day(rates: &[f64], capacity: f64) -> Option<u32> {
        let mut advisor = Advisor::default();
        let facts = facts(rates);
        advisor.advise(START, &facts, &exclusive(), Some(capacity));
        advisor.advise(START.plus(DAY), &facts, &exclusive(), Some(capacity))
    }

    #[test]
    fn too_few_is_what_cannot_carry_the_hottest_partition_and_far_too_many_is_what_costs() {
        let check = |partitions: usize, rate: f64, hottest: f64, expect: u32| {
            let mut rates = vec![rate; partitions];
            rates[0] = hottest;
            assert_eq!(
                after_a_day(&rates, 100.0),
                Some(expect),
                "{partitions} × {rate}, {hottest}"
            );
        };
        check(4, 80.0, 80.0, 4);
        check(4, 81.0, 81.0, 8);
        check(4, 10.0, 400.0, 32);
        check(12, 70.0, 70.0, 12);
        check(32, 0.0, 0.0, 32);
        check(256, 1.0, 1.0, 32);
        check(256, 7.0, 7.0, 64);
        check(256, 10.0, 10.0, 256);
        check(48, 1.0, 1.0, 32);
    }

    #[test]
    fn nothing_is_advised_without_capacity_or_arrivals_or_where_it_does_not_matter() {
        let spec = exclusive();
        let advise = |facts: &GroupFacts, spec: &TargetSpec, capacity| {
            Advisor::default().advise(START, facts, spec, capacity)
        };
        let known = facts(&[10.0; 4]);
        assert_eq!(advise(&known, &spec, Some(100.0)), Some(4));
        assert_eq!(advise(&known, &spec, None), None, "no capacity");
        assert_eq!(
            advise(&known, &TargetSpec::default(), Some(100.0)),
            None,
            "shared"
        );
        let unread = GroupFacts {
            partitions: [(PartitionId::new("0"), PartitionFacts::default())].into(),
            ..GroupFacts::default()
        };
        assert_eq!(advise(&unread, &spec, Some(100.0)), None, "no arrivals");
        assert_eq!(
            advise(&GroupFacts::default(), &spec, Some(100.0)),
            None,
            "no partitions"
        );
    }

    #[test]
    fn a_peak_counts_for_a_week_and_a_day_has_to_be_seen_before_fewer_are_advised() {
        let mut advisor = Advisor::default();
        let mut at_hour = |hour: u64, rate: f64| {
            let now = START.plus(Duration::from_secs(hour * 3_600));
            advisor.advise(now, &facts(&vec![rate; 256]), &exclusive(), Some(100.0))
        };
        assert_eq!(at_hour(0, 1.0), Some(256));
        assert_eq!(at_hour(23, 1.0), Some(256));
        assert_eq!(at_hour(24, 1.0), Some(32));
        assert_eq!(at_hour(25, 20.0), Some(256));
        assert_eq!(at_hour(30, 1.0), Some(256));
        assert_eq!(at_hour(24 * 8 + 2, 1.0), Some(32));
    }

    #[test]
    fn the_advice_falls_only_if_that_is_clear_and_starts_anew_with_another_count() {
        assert_eq!(steady(4, 9.0, Some(16)), 16);
        assert_eq!(steady(4, 7.0, Some(16)), 16, "8.75 with a quarter more");
        assert_eq!(steady(4, 6.4, Some(16)), 8);
        assert_eq!(steady(4, 3.9, Some(8)), 8);
        assert_eq!(steady(4, 3.2, Some(8)), 4);
        let mut advisor = Advisor::default();
        let spec = exclusive();
        let mut advise = |rates: &[f64]| advisor.advise(START, &facts(rates), &spec, Some(100.0));
        assert_eq!(advise(&[160.0; 4]), Some(8));
        assert_eq!(advise(&[80.0; 8]), Some(8), "as it was told");
    }

    proptest! {
        #[test]
        fn more_arrivals_never_need_fewer_partitions(
            rates in prop::collection::vec(0.0_f64..500.0, 1..200), which in 0_usize..200, more in 0.0_f64..2_000.0, capacity in 1.0_f64..2_000.0,
        ) {
            let mut hotter = rates.clone();
            hotter[which % rates.len()] += more;
            prop_assert!(after_a_day(&hotter, capacity) >= after_a_day(&rates, capacity));
        }

        #[test]
        fn never_fewer_are_advised_than_the_hottest_partition_s_share_needs(
            rates in prop::collection::vec(0.0_f64..500.0, 1..200), capacity in 1.0_f64..2_000.0, before in prop::option::of(1_u32..10_000),
        ) {
            let needed = load(&facts(&rates)).unwrap() / (capacity * Utilization::of(Assignment::Exclusive).up);
            let advised = steady(rates.len() as u32, needed, before);
            prop_assert!(f64::from(advised) >= needed, "{advised} for {needed}");
            let all: f64 = rates.iter().sum();
            prop_assert!(f64::from(advised) * capacity * Utilization::of(Assignment::Exclusive).up >= all - 1e-6);
        }
    }
}
