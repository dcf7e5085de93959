//! What those who ask for a group tell of its consumers.

use std::collections::BTreeMap;

use crate::model::fleet::Told;
use crate::model::identity::Assignment;
use crate::model::time::Timestamp;

use super::event::TargetKey;
use crate::policy::target::TargetState;
use crate::scaled_object::ReplicasObserved;

/// All of it together: the least capacity of several; shared only if all say so.
pub(super) fn told(now: Timestamp, targets: &BTreeMap<TargetKey, Box<TargetState>>) -> Told {
    let specs = || targets.values().map(|target| &target.spec);
    let capacities = specs().filter_map(|spec| {
        Some(spec.capacity_per_replica? / f64::from(spec.consumers_per_replica))
    });
    let count = |of: fn(&ReplicasObserved) -> Option<u32>| consumers(now, targets, of);
    Told {
        is_shared: specs().all(|spec| spec.assignment == Assignment::Shared),
        capacity_per_consumer: capacities.reduce(f64::min),
        ready_consumers: count(|seen| seen.ready),
        asked_consumers: count(|seen| seen.asked.or(seen.current)),
    }
}

/// Consumers in so many replicas of all ScaledObjects together; `None` unless these are known of each.
fn consumers(
    now: Timestamp,
    targets: &BTreeMap<TargetKey, Box<TargetState>>,
    count: impl Fn(&ReplicasObserved) -> Option<u32>,
) -> Option<u32> {
    let named = targets.iter().filter(|(key, _)| !key.is_unnamed());
    let of_object = named.map(|(key, target)| {
        let replicas = count(target.replicas.seen_at(now)?)?;
        let consumers = replicas.saturating_mul(target.spec.consumers_per_replica);
        Some(((&key.namespace, &key.name), consumers))
    });
    let of_objects: BTreeMap<_, u32> = of_object.collect::<Option<_>>()?;
    let sum = of_objects
        .values()
        .fold(0, |sum: u32, n| sum.saturating_add(*n));
    (!of_objects.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::spec::PolicySettings;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// Targets by ScaledObject, with the number of a trigger, settings and ready replicas.
    fn of(targets: &[(&str, u64, PolicySettings, Option<u32>)]) -> Told {
        let targets = targets.iter().map(|(name, trigger, settings, ready)| {
            let key = TargetKey {
                name: (*name).to_owned(),
                metadata_hash: *trigger,
                ..TargetKey::default()
            };
            let mut target = TargetState::new(settings.resolve(), NOW);
            let reading = ReplicasObserved {
                ready: *ready,
                ..ReplicasObserved::default()
            };
            target.replicas.observed(NOW, &Ok(reading));
            (key, Box::new(target))
        });
        told(NOW, &targets.collect())
    }

    #[test]
    fn the_least_capacity_counts_per_consumer_and_one_exclusive_target_makes_the_group_so() {
        let of_two = PolicySettings {
            capacity_per_replica: Some(60.0),
            consumers_per_replica: Some(2),
            ..PolicySettings::default()
        };
        let exclusive = PolicySettings {
            capacity_per_replica: Some(50.0),
            assignment: Some(Assignment::Exclusive),
            ..PolicySettings::default()
        };
        let shared = of(&[
            ("a", 1, of_two.clone(), None),
            ("", 0, PolicySettings::default(), None),
        ]);
        assert_eq!(
            (shared.capacity_per_consumer, shared.is_shared),
            (Some(30.0), true)
        );
        let mixed = of(&[("a", 1, of_two, None), ("b", 1, exclusive, None)]);
        assert_eq!(
            (mixed.capacity_per_consumer, mixed.is_shared),
            (Some(30.0), false)
        );
    }

    #[test]
    fn ready_replicas_count_once_per_scaled_object_and_only_if_they_are_known_of_each() {
        let plain = PolicySettings::default;
        let of_two = PolicySettings {
            consumers_per_replica: Some(2),
            ..plain()
        };
        let a = |trigger| ("a", trigger, of_two.clone(), Some(4));
        let check = |targets: &[_], expect| assert_eq!(of(targets).ready_consumers, expect);
        check(
            &[
                a(1),
                a(2),
                ("b", 1, plain(), Some(3)),
                ("", 0, plain(), None),
            ],
            Some(11),
        );
        check(&[a(1), ("b", 1, plain(), None)], None);
        check(&[("", 0, plain(), Some(3))], None);
    }
}
