//! Incidents in the plant of `simulate`: every kind of fault is noticed, and named for what it is.

use std::time::Duration;

use streamgauge::group::GroupState;
use streamgauge::group::remembered::Remembered;
use streamgauge::model::incident::{Incident, IncidentKind};
use streamgauge::policy::spec::TargetSpec;
use streamgauge::simulation::plant::PlantSpec;
use streamgauge::simulation::policies::PolicyName;
use streamgauge::simulation::run::run;
use streamgauge::simulation::scenarios::Scenario;
use streamgauge::simulation::steps::at;

/// Whatever a run teaches can be kept: no number of it is lost on the way through JSON.
fn keep_and_read_again(state: &GroupState) {
    let remembered = state.remembered();
    let text = serde_json::to_string(&remembered.sections()).expect("can be written");
    let sections = serde_json::from_str(&text).expect("can be read");
    let (read, problems) = Remembered::read(sections);
    assert_eq!(problems, Vec::<String>::new());
    assert!(read == remembered, "to the bit");
}

/// The incidents of a scenario, and the first tick at which something goes wrong in it.
fn incidents(scenario: &str, seed: u64) -> (Vec<Incident>, usize) {
    let scenario = Scenario::named(scenario).expect("a scenario");
    let plant = scenario.plant(PlantSpec::default());
    let workload = scenario.workload(plant.capacity_per_second, seed);
    let partitions = workload.trace.partitions();
    let mut ours = PolicyName::ours(TargetSpec::default(), partitions, &plant);
    run(&workload, &plant, &mut ours, seed, |_, _| {});
    let load = scenario
        .events()
        .map(|(from, ..)| from.as_secs() as usize / 5);
    let faults = workload.faults.iter().map(|fault| fault.from);
    let from = faults.chain(load).min().unwrap_or(0);
    keep_and_read_again(ours.state());
    (ours.state().incidents().iter().cloned().collect(), from)
}

#[test]
fn every_fault_is_noticed_and_named_for_what_it_is() {
    for (scenario, kind) in [
        ("crash", IncidentKind::ConsumerCrash),
        ("downstream-outage", IncidentKind::DownstreamOutage),
        ("slow-consumer", IncidentKind::SlowConsumer),
        ("stuck-partition", IncidentKind::StuckPartition),
        ("hotter-than-a-replica", IncidentKind::HotPartition),
        ("producer-stop", IncidentKind::ProducerStop),
    ] {
        for seed in 0..3 {
            let (all, from) = incidents(scenario, seed);
            let first = all.iter().find(|i| i.noticed_at >= at(from));
            let Some(first) = first else {
                panic!("{scenario}, seed {seed}: nothing noticed")
            };
            let mut kinds = all
                .iter()
                .filter(|i| i.noticed_at >= at(from))
                .map(|i| i.kind);
            assert!(
                kinds.any(|k| k == kind),
                "{scenario}, seed {seed}: {all:#?}"
            );
            let within = first.noticed_at.since(at(from));
            assert!(
                within <= Duration::from_secs(180),
                "{scenario}, seed {seed}: {within:?}"
            );
            assert!(!first.text.is_empty() && first.started_at <= first.noticed_at);
        }
    }
}

#[test]
fn an_incident_ends_and_tells_its_partitions() {
    let (all, from) = incidents("stuck-partition", 1);
    let stuck = all.iter().find(|i| i.kind == IncidentKind::StuckPartition);
    let stuck = stuck.expect("noticed");
    let names: Vec<&str> = stuck.partitions.iter().map(|id| id.as_str()).collect();
    assert_eq!(names, ["2"]);
    let end = stuck.ended_at.expect("over");
    assert!(
        end > at(from) && end.since(stuck.noticed_at) < Duration::from_secs(3_600),
        "{stuck:?}"
    );
}

#[test]
fn where_nothing_goes_wrong_nothing_is_noticed() {
    for scenario in ["diurnal", "rolling-deploy", "eviction", "slow-nodes"] {
        for seed in 0..2 {
            let (all, _) = incidents(scenario, seed);
            assert!(all.is_empty(), "{scenario}, seed {seed}: {all:#?}");
        }
    }
}
