//! What is to be run: cells (a workload under conditions), policies, seeds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::checks;
use crate::cli::{PolicyChoice, SimulateArgs, THRESHOLDS};
use crate::config::MOST_BYTES;
use crate::files;
use crate::model::identity::Assignment;
use crate::policy::spec::TargetSpec;
use crate::simulation::fault_list::FaultList;
use crate::simulation::plant::{ClusterSpec, Commits, PlantSpec};
use crate::simulation::policies::PolicyName;
use crate::simulation::scenarios::{ALL, Scenario};
use crate::simulation::steps::StepLength;
use crate::simulation::trace::Trace;
use crate::simulation::workload::Workload;

/// Everything that is to be run.
#[derive(Debug)]
pub(super) struct Plan {
    pub cells: Vec<Cell>,
    /// Without repetition.
    pub policies: Vec<PolicyName>,
    /// Whether one of [`THRESHOLDS`] is to be chosen afterwards.
    pub choose_keda_lag: bool,
    /// Policies that were asked for by name, and stay in the table though another threshold is chosen.
    pub named: Vec<PolicyName>,
    pub seeds: u64,
}

/// A workload under conditions.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub subject: WorkloadSource,
    pub spec: PlantSpec,
}

/// Where the workload comes from.
#[derive(Clone, Debug)]
pub(super) enum WorkloadSource {
    Recorded(Workload),
    BuiltIn(&'static Scenario),
}

impl WorkloadSource {
    pub fn name(&self) -> &str {
        match self {
            Self::Recorded(workload) => &workload.trace.name,
            Self::BuiltIn(scenario) => scenario.name,
        }
    }

    pub fn about(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "",
            Self::BuiltIn(scenario) => scenario.about,
        }
    }

    /// The plant it runs in: as asked for, but for what makes a scenario.
    fn plant(&self, spec: PlantSpec) -> PlantSpec {
        match self {
            Self::Recorded(workload) => PlantSpec {
                step: workload.trace.step(),
                ..spec
            },
            Self::BuiltIn(scenario) => scenario.plant(spec),
        }
    }

    /// Partitions and length.
    pub fn size(&self) -> (usize, Duration) {
        match self {
            Self::Recorded(w) => (w.trace.partitions().len(), w.trace.duration()),
            Self::BuiltIn(scenario) => scenario.size(),
        }
    }
}

impl Cell {
    /// What arrives with this seed.
    pub fn workload(&self, seed: u64) -> Workload {
        match &self.subject {
            WorkloadSource::Recorded(workload) => workload.clone(),
            WorkloadSource::BuiltIn(scenario) => {
                scenario.workload(self.spec.capacity_per_second, seed)
            }
        }
    }

    /// The conditions in words.
    pub fn conditions(&self) -> String {
        let polls = self.spec.poll_interval;
        let usual = polls == PlantSpec::default().poll_interval;
        let consumers = match self.spec.assignment {
            Assignment::Exclusive => format!("commits {}", commits_in_words(&self.spec.commits)),
            Assignment::Shared => format!("shared, {} messages a batch", self.spec.batch),
        };
        format!(
            "{consumers}, {}/s per replica, start-up {} s{}",
            self.spec.capacity_per_second,
            self.spec.start_up.as_secs_f64(),
            if usual {
                String::new()
            } else {
                format!(", polls every {} s", polls.as_secs())
            },
        )
    }
}

pub(super) fn commits_in_words(commits: &Commits) -> String {
    match commits {
        Commits::Every(every) => format!("every {} s", every.as_secs_f64()),
        Commits::After(count) => format!("after {count} messages"),
    }
}

impl Plan {
    /// From the command line, reading traces and faults.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub fn of(args: &SimulateArgs) -> Result<Self> {
        checks::counts(args)?;
        checks::can_be_written(args)?;
        let mut cells: Vec<Cell> = Vec::new();
        let subjects = subjects(args)?;
        let usual = |s: &WorkloadSource| matches!(s, WorkloadSource::BuiltIn(s) if !s.is_cold());
        let recorded = |s: &WorkloadSource| matches!(s, WorkloadSource::Recorded(_));
        checks::polls(
            args,
            subjects.iter().any(recorded),
            subjects.iter().any(usual),
        )?;
        for subject in subjects {
            let first = cells.len();
            for spec in conditions(args) {
                let spec = subject.plant(spec);
                // A scenario with conditions of its own would come again and again.
                if !cells[first..].iter().any(|cell| cell.spec == spec) {
                    let subject = subject.clone();
                    cells.push(Cell { subject, spec });
                }
            }
        }
        let (policies, named, choose_keda_lag) = policies(args);
        Ok(Self {
            cells,
            policies,
            choose_keda_lag,
            named,
            seeds: args.seeds.unwrap_or(if args.grid { 5 } else { 1 }),
        })
    }
}

/// Those to run, those asked for by name, whether a threshold is to be chosen.
fn policies(args: &SimulateArgs) -> (Vec<PolicyName>, Vec<PolicyName>, bool) {
    let ours = PolicyName::streamgauge("streamgauge".into(), TargetSpec::default());
    let thresholds = || THRESHOLDS.into_iter().map(PolicyName::KedaLag);
    let usual = |best: Vec<PolicyChoice>| {
        let one = PolicyChoice::One;
        let mut all = vec![one(ours.clone())];
        all.extend(best);
        all.extend([one(PolicyName::Flink), one(PolicyName::Numaflow)]);
        all
    };
    let choices = match (args.policy.is_empty(), args.grid) {
        (false, _) => args.policy.clone(),
        (true, false) => usual(vec![PolicyChoice::BestKedaLag]),
        (true, true) => {
            let mut all = usual(thresholds().map(PolicyChoice::One).collect());
            all.push(PolicyChoice::One(PolicyName::Clairvoyant));
            all
        }
    };
    let mut run: Vec<PolicyName> = Vec::new();
    let mut named: Vec<PolicyName> = Vec::new();
    for choice in &choices {
        let meant = match choice {
            PolicyChoice::One(name) => vec![name.clone()],
            PolicyChoice::BestKedaLag => thresholds().collect(),
        };
        if let PolicyChoice::One(name) = choice {
            named.push(name.clone());
        }
        for name in meant {
            if !run.contains(&name) {
                run.push(name);
            }
        }
    }
    let choose = args.grid || choices.contains(&PolicyChoice::BestKedaLag);
    (run, named, choose)
}

fn conditions(args: &SimulateArgs) -> Vec<PlantSpec> {
    let usual = PlantSpec::default();
    let seconds = |n| Commits::Every(Duration::from_secs(n));
    let or = |given: &[Commits], grid: Vec<Commits>, one| match (given.is_empty(), args.grid) {
        (false, _) => given.to_vec(),
        (true, true) => grid,
        (true, false) => vec![one],
    };
    let commits = or(
        &args.commit_interval,
        [2, 10, 30, 60].map(seconds).to_vec(),
        usual.commits,
    );
    let capacities = match (args.capacity.is_empty(), args.grid) {
        (false, _) => args.capacity.clone(),
        (true, true) => vec![100.0, 200.0, 400.0],
        (true, false) => vec![usual.capacity_per_second],
    };
    let start_ups = match args.start_up.is_empty() {
        false => args.start_up.clone(),
        true => vec![usual.start_up],
    };
    let shared = args.assignment() == Assignment::Shared;
    let cluster = shared.then(ClusterSpec::default);
    let mut all = Vec::new();
    for commits in &commits {
        for capacity in &capacities {
            for start_up in &start_ups {
                all.push(PlantSpec {
                    commits: *commits,
                    capacity_per_second: *capacity,
                    start_up: *start_up,
                    rebalance: args.rebalance.into(),
                    assignment: args.assignment(),
                    min_replicas: args.min_replicas,
                    poll_interval: args.poll_interval,
                    max_replicas: args.max_replicas,
                    cluster: cluster.clone(),
                    ..usual.clone()
                });
            }
        }
    }
    all
}

/// Traces first, then scenarios; all of these if there is neither, or for the grid.
fn subjects(args: &SimulateArgs) -> Result<Vec<WorkloadSource>> {
    let mut traces = Vec::new();
    for path in &args.trace {
        let trace = read_trace(path, args.step)?;
        checks::is_new(&trace, &traces, path)?;
        traces.push(trace);
    }
    let faults = match &args.faults {
        None => FaultList::default(),
        Some(path) => read_faults(path, &traces)?,
    };
    let mut subjects = Vec::new();
    for trace in traces {
        let faults = faults.of(&trace).with_context(|| shown(&args.faults))?;
        let trace = Arc::new(trace);
        subjects.push(WorkloadSource::Recorded(Workload {
            trace,
            faults,
            lesson: None,
        }));
    }
    let mut scenarios: Vec<&'static Scenario> = Vec::new();
    for scenario in args.scenario.iter().flat_map(|choice| &choice.0) {
        if !scenarios.iter().any(|known| known.name == scenario.name) {
            scenarios.push(scenario);
        }
    }
    if scenarios.is_empty() && (args.grid || subjects.is_empty()) {
        scenarios.extend(ALL);
    }
    subjects.extend(scenarios.into_iter().map(WorkloadSource::BuiltIn));
    Ok(subjects)
}

fn read_faults(path: &Path, traces: &[Trace]) -> Result<FaultList> {
    let text = files::read_text(path, MOST_BYTES).with_context(|| path.display().to_string())?;
    let list = FaultList::parse(&text).with_context(|| path.display().to_string())?;
    list.check(traces)
        .with_context(|| path.display().to_string())?;
    Ok(list)
}

fn shown(path: &Option<std::path::PathBuf>) -> String {
    path.iter().map(|path| path.display().to_string()).collect()
}

/// A trace is called as its file, without `.csv` and `.gz`.
fn read_trace(path: &Path, step: StepLength) -> Result<Trace> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".gz").trim_end_matches(".csv");
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut file = BufReader::new(file);
    let input: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        let is_gzip = file
            .fill_buf()
            .is_ok_and(|bytes| bytes.starts_with(&[0x1f, 0x8b]));
        if !is_gzip {
            bail!(
                "{}: the name ends in .gz but it is not a gzip file",
                path.display()
            );
        }
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Trace::read_in_steps(name, input, step).with_context(|| path.display().to_string())
}
