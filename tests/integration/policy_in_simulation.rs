//! The policy in the plant of `simulate`: what it does when replicas cannot help, whatever the seed.

use streamgauge::policy::spec::TargetSpec;
use streamgauge::simulation::plant::PlantSpec;
use streamgauge::simulation::policies::PolicyName;
use streamgauge::simulation::run::run;
use streamgauge::simulation::scenarios::Scenario;

/// The counts that exist during the event of a scenario, from its first tick to its last.
fn counts(scenario: &str, capacity: Option<f64>, seed: u64) -> Vec<(usize, String)> {
    let scenario = Scenario::named(scenario).expect("a scenario");
    let plant = scenario.plant(PlantSpec::default());
    let workload = scenario.workload(plant.capacity_per_second, seed);
    let target = TargetSpec {
        capacity_per_replica: capacity,
        ..TargetSpec::default()
    };
    let mut policy =
        PolicyName::streamgauge("streamgauge".to_owned(), target).build(&workload, &plant);
    let tick = |time: std::time::Duration| (time.as_secs() / 5) as usize;
    let load = scenario
        .events()
        .map(|(from, to, _)| (tick(from), tick(to)));
    let faults = workload.faults.iter().map(|fault| (fault.from, fault.to));
    let (from, to) = faults.chain(load).next().expect("an event");
    let mut seen = Vec::new();
    run(&workload, &plant, policy.as_mut(), seed, |plant, policy| {
        if (from..=to).contains(&plant.tick()) {
            let text = policy.decision().map_or("", |(_, text)| text).to_owned();
            seen.push((plant.replicas().len(), text));
        }
    });
    seen
}

#[test]
fn where_replicas_cannot_help_no_more_of_them_are_asked_for() {
    for (scenario, capacity, said) in [
        ("downstream-outage", None, "what they depend on is slow"),
        ("stuck-partition", None, "1 partition makes no progress"),
        (
            "hotter-than-a-replica",
            None,
            "more than one consumer can process",
        ),
        (
            "hotter-than-a-replica",
            Some(100.0),
            "more than one consumer can process",
        ),
    ] {
        for seed in 0..4 {
            let mut seen = counts(scenario, capacity, seed);
            // The last minute is the way back: what waits then can be worked off.
            seen.truncate(seen.len() - 12);
            if capacity.is_some() {
                // On its way there, for a minute, it is one that a replica of its own does cure.
                seen.drain(..24);
            }
            let first = seen.first().map_or(0, |(n, _)| *n);
            for (tick, (count, text)) in seen.iter().enumerate() {
                assert!(
                    *count <= first,
                    "{scenario}, seed {seed}: {first} → {count} at tick {tick}: {text}"
                );
            }
            assert!(
                seen.iter().any(|(_, text)| text.contains(said)),
                "{scenario}, seed {seed}: it is said"
            );
        }
    }
}
