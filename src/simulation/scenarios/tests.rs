//! Scenarios are the same for the same seed, and of the size and load that they are meant to be.

use super::*;
use crate::simulation::plant::PlantSpec;

#[test]
fn a_seed_makes_the_same_workload_and_another_one_another() {
    for scenario in ALL {
        let trace = |seed| scenario.workload(100.0, seed).trace;
        assert_eq!(trace(1), trace(1), "{}", scenario.name);
        assert_ne!(trace(1), trace(2), "{}", scenario.name);
    }
}

#[test]
fn loads_grow_with_the_capacity_so_that_replicas_are_needed_alike() {
    for scenario in ALL {
        let messages = |capacity| scenario.workload(capacity, 0).trace.messages() as f64;
        let ratio = messages(400.0) / messages(100.0);
        assert!((3.9..4.1).contains(&ratio), "{}: {ratio}", scenario.name);
    }
}

#[test]
fn names_are_told_apart_and_sizes_stay_small() {
    for scenario in ALL {
        let (partitions, length) = scenario.size();
        assert!((6..=12).contains(&partitions), "{}", scenario.name);
        assert!(
            length <= Duration::from_secs(26 * 3600),
            "{}",
            scenario.name
        );
        let found = Scenario::named(scenario.name).unwrap();
        assert_eq!(found.about, scenario.about);
    }
}

#[test]
fn starts_from_zero_have_names_and_plants_of_their_own() {
    for scenario in COLD {
        assert!(scenario.name.starts_with("cold-"), "{}", scenario.name);
        assert!(scenario.is_cold() && !ALL.iter().any(|s| s.is_cold() || s.name == scenario.name));
        let plant = scenario.plant(PlantSpec::default());
        let trace = scenario.workload(100.0, 0).trace;
        assert_eq!((plant.min_replicas, plant.step), (0, trace.step()));
        assert_eq!(
            (trace.partitions().len(), trace.duration()),
            scenario.size()
        );
    }
}
