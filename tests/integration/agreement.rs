//! The simulator beside the real loop: what `make e2e` measured on a real KEDA, and what `simulate` makes of the same load.
//!
//! Every folder below `tests/agreement` is a run of `make e2e`, its `load.csv` and `summary.json` as they were written. What differs from
//! the harness's usual conditions stands in a `plant.json` beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use streamgauge::cli::PolicyChoice;
use streamgauge::model::identity::Assignment;
use streamgauge::simulation::comparison::ComparisonEntry;
use streamgauge::simulation::plant::{ClusterSpec, PlantSpec};
use streamgauge::simulation::policies::PolicyName;
use streamgauge::simulation::run::{RunOutcome, run};
use streamgauge::simulation::steps::StepLength;
use streamgauge::simulation::trace::Trace;
use streamgauge::simulation::workload::Workload;

/// Runs of the simulator, each with other phases of polls and syncs: a real run is one of them.
const SEEDS: u64 = 15;

/// Figures agree within this share of the measured one …
const WITHIN: f64 = 0.15;
/// … late shares within one percentage point, too …
const LATE_POINTS: f64 = 1.0;
/// … and changes within one.
const CHANGES: f64 = 1.0;

/// The service watches an empty stream for so long before the load, and is watched for so long after it.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(900);

/// What a run is made of, where that is not what the harness usually does.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Conditions {
    capacity_per_second: f64,
    start_up_seconds: f64,
    poll_interval_seconds: u64,
    polling_interval_seconds: u64,
    cooldown_seconds: u64,
    max_replicas: u32,
    /// What a batch costs a consumer beside its messages.
    fetch_millis: u64,
    /// After how long a consumer that found nothing reads again; 0: it blocks.
    idle_read_millis: u64,
    /// What `learned` saw before: messages per second, seconds.
    lesson: (u32, usize),
    /// Contenders whose name begins so say nothing here, and why.
    left_out: BTreeMap<String, String>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            capacity_per_second: 50.0,
            start_up_seconds: 3.0,
            poll_interval_seconds: 5,
            polling_interval_seconds: 5,
            cooldown_seconds: 60,
            max_replicas: 30,
            fetch_millis: 0,
            idle_read_millis: 250,
            lesson: (200, 240),
            left_out: BTreeMap::new(),
        }
    }
}

impl Conditions {
    fn plant(&self) -> PlantSpec {
        PlantSpec {
            step: StepLength::SECOND,
            capacity_per_second: self.capacity_per_second,
            start_up: Duration::from_secs_f64(self.start_up_seconds),
            assignment: Assignment::Shared,
            min_replicas: 0,
            max_replicas: self.max_replicas,
            fetch: Duration::from_millis(self.fetch_millis),
            idle_read: Duration::from_millis(self.idle_read_millis),
            poll_interval: Duration::from_secs(self.poll_interval_seconds),
            cluster: Some(ClusterSpec {
                polling_interval: Duration::from_secs(self.polling_interval_seconds),
                cooldown: Duration::from_secs(self.cooldown_seconds),
            }),
            ..PlantSpec::default()
        }
    }

    fn workload(&self, folder: &Path) -> Workload {
        let file = fs::File::open(folder.join("load.csv")).expect("load.csv");
        let trace = Trace::read_in_steps("load", file, StepLength::SECOND).expect("a trace");
        let (per_second, seconds) = self.lesson;
        let lesson = Trace::generate("lesson", trace.partitions().len(), seconds, |_, _| {
            per_second
        })
        .in_steps(StepLength::SECOND);
        let watched =
            |trace: Trace| Arc::new(trace.after_nothing(BEFORE).followed_by_nothing(AFTER));
        Workload {
            trace: watched(trace),
            faults: Vec::new(),
            lesson: Some(watched(lesson)),
        }
    }

    /// The policy that a workload of the harness stands for.
    fn policy(&self, workload: &str) -> Option<PolicyName> {
        let text = match workload.split_once('-')? {
            ("sg", "cold") => format!("streamgauge:maxReplicas={}", self.max_replicas),
            ("sg", "learned") => format!("streamgauge:learned,maxReplicas={}", self.max_replicas),
            ("sg", "configured") => format!(
                "streamgauge:capacityPerReplica={},maxReplicas={}",
                self.capacity_per_second, self.max_replicas
            ),
            ("keda", threshold) => format!("keda-lag:{threshold}"),
            _ => return None,
        };
        match text.parse().expect("a policy") {
            PolicyChoice::One(policy) => Some(policy),
            PolicyChoice::BestKedaLag => None,
        }
    }
}

/// What the harness writes of a run; more than this stands there.
#[derive(Debug, Deserialize)]
struct Summary {
    scenes: BTreeMap<String, Vec<Measured>>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    workload: String,
    late_percent: Option<f64>,
    worst_delay_seconds: f64,
    mean_delay_seconds: Option<f64>,
    replica_seconds: f64,
    changes: f64,
    /// What its consumers did when busy: on a machine with other work less than their nominal rate.
    per_second_achieved: Option<f64>,
}

/// One figure of one contender: measured, and as the simulator has it (mean over seeds, least, most).
struct Pair {
    what: &'static str,
    measured: f64,
    mean: f64,
    range: (f64, f64),
    /// Differences up to this are none.
    within: f64,
}

impl Pair {
    fn agrees(&self) -> bool {
        (self.mean - self.measured).abs() <= self.within
    }

    /// A real run has one phase of polls and syncs: it may be any of those that the simulator tried.
    fn is_possible(&self) -> bool {
        let (least, most) = self.range;
        (least - self.within..=most + self.within).contains(&self.measured)
    }
}

fn pairs(measured: &Measured, outcomes: &[RunOutcome]) -> Vec<Pair> {
    let mean = ComparisonEntry::of(String::new(), outcomes).mean;
    let pair = |what, measured: f64, least: f64, of: fn(&RunOutcome) -> f64| {
        let all = outcomes.iter().map(of);
        Pair {
            what,
            measured,
            mean: of(&mean),
            range: (
                all.clone().fold(f64::INFINITY, f64::min),
                all.fold(0.0, f64::max),
            ),
            within: (measured * WITHIN).max(least),
        }
    };
    vec![
        pair(
            "late %",
            measured.late_percent.unwrap_or(0.0),
            LATE_POINTS,
            |o| o.late_percent,
        ),
        pair("changes", measured.changes, CHANGES, |o| o.changes),
        pair("replica-s", measured.replica_seconds, 0.0, |o| {
            o.replica_seconds
        }),
        pair("worst s", measured.worst_delay_seconds, 0.0, |o| {
            o.worst_delay_seconds
        }),
        pair(
            "mean s",
            measured.mean_delay_seconds.unwrap_or(0.0),
            0.0,
            |o| o.mean_delay_seconds,
        ),
    ]
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement");
    let entries = fs::read_dir(root).into_iter().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    folders
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every contender of a run with its figures.
fn compare(folder: &Path, conditions: &Conditions) -> Vec<(String, Vec<Pair>)> {
    let summary: Summary = read(&folder.join("summary.json"));
    let scenes = summary.scenes.into_values();
    // Of a run with several scenes the one of the side-by-side: the one with the most contenders.
    let measured = scenes.max_by_key(Vec::len).expect("a scene");
    let (workload, plant) = (conditions.workload(folder), conditions.plant());
    let counts = |measured: &&Measured| {
        let left_out = &mut conditions.left_out.iter();
        let why = left_out.find(|(begin, _)| measured.workload.starts_with(begin.as_str()));
        if let Some((_, why)) = why {
            println!(
                "{}: {} is left out: {why}",
                folder.display(),
                measured.workload
            );
        }
        why.is_none()
    };
    let contender = |measured: &Measured| {
        let policy = conditions.policy(&measured.workload)?;
        let nominal = conditions.capacity_per_second;
        let plant = PlantSpec {
            capacity_per_second: measured.per_second_achieved.unwrap_or(nominal),
            ..plant.clone()
        };
        let one = |seed| {
            let mut built = policy.build(&workload, &plant);
            run(&workload, &plant, built.as_mut(), seed, |_, _| {})
        };
        let outcomes: Vec<RunOutcome> = (0..SEEDS).map(one).collect();
        Some((measured.workload.clone(), pairs(measured, &outcomes)))
    };
    measured
        .iter()
        .filter(counts)
        .filter_map(contender)
        .collect()
}

#[test]
fn the_simulator_agrees_with_the_real_loop() {
    let mut faults = Vec::new();
    for folder in folders() {
        let run = folder.file_name().unwrap().to_string_lossy().into_owned();
        let conditions: Conditions = match folder.join("plant.json") {
            file if file.exists() => read(&file),
            _ => Conditions::default(),
        };
        for (contender, pairs) in compare(&folder, &conditions) {
            for pair in &pairs {
                let line = format!(
                    "{run:<14} {contender:<14} {:<10} measured {:>9.2}, simulated {:>9.2} ({:.2} to {:.2})",
                    pair.what, pair.measured, pair.mean, pair.range.0, pair.range.1
                );
                println!(
                    "{line}{}",
                    if pair.agrees() {
                        ""
                    } else if pair.is_possible() {
                        "  within the seeds"
                    } else {
                        "  DIFFERS"
                    }
                );
                // Delays are told, not held to anything: they hang on the second in which the first poll comes.
                let held = ["late %", "changes", "replica-s"].contains(&pair.what);
                if held && !pair.agrees() && !pair.is_possible() {
                    faults.push(line);
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
