//! Arguments of `simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::policy_choice::PolicyChoice;
use crate::config::duration;
use crate::model::identity::Assignment;
use crate::simulation::assignment::Rebalance;
use crate::simulation::plant::Commits;
use crate::simulation::scenarios::{ALL, COLD, Scenario};
use crate::simulation::steps::StepLength;

/// Arguments of `simulate`. Without any: every scenario with the usual policies.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = scenario_list())]
pub struct SimulateArgs {
    /// Arrivals to replay: CSV (plain or `.gz`) with the header `time_seconds,<partition>,…`. Each value counts the messages since the previous row. Repeatable.
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// Faults to inject into the traces: a YAML list (docs/simulate.md).
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub faults: Option<PathBuf>,
    /// Built-in scenario, `all`, or `cold` for all starts from zero. Repeatable.
    #[arg(long, value_name = "NAME", value_parser = parse_scenario)]
    pub scenario: Vec<ScenarioChoice>,
    /// List the scenarios and exit.
    #[arg(long)]
    pub list_scenarios: bool,
    /// Policy: streamgauge, streamgauge:KEY=VALUE,… (keys of trigger metadata), streamgauge:learned, keda-lag:N, keda-lag (the best N in hindsight), flink,
    /// flink-default, numaflow, static:N, cpu:PERCENT, clairvoyant. Repeatable [default: streamgauge, keda-lag, flink, numaflow].
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<PolicyChoice>,
    /// Time, or number of messages, between commits, such as `10s,60s,after:100` [default: 10s].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_commits)]
    pub commit_interval: Vec<Commits>,
    /// Capacities of one replica in messages per second, such as `100,400` [default: 100].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_capacity)]
    pub capacity: Vec<f64>,
    /// Mean start-up times of a replica, such as `40s,2m` [default: 40s].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_duration)]
    pub start_up: Vec<Duration>,
    /// How partitions are reassigned when replicas start or stop.
    #[arg(long, value_enum, default_value_t)]
    pub rebalance: RebalanceStyle,
    /// Whether a partition belongs to one replica at a time [default: exclusive].
    #[arg(long, value_enum)]
    pub assignment: Option<SharingStyle>,
    /// Minimum replicas; 0 allows scaling to zero.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_replicas: u32,
    /// Maximum replicas.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_replicas: u32,
    /// Time step of the simulation, in whole seconds; use `1s` to study starts from zero.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_step)]
    pub step: StepLength,
    /// streamgauge's poll interval, a multiple of the step. The defaults of `serve` are 5 s for Redis and 15 s for Event Hubs.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_poll_interval)]
    pub poll_interval: Duration,
    /// Runs of every cell, each with a different random seed [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: Option<u64>,
    /// Run the whole comparison: commit intervals 2, 10, 30, 60 s and capacities 100, 200, 400 over the traces and all scenarios,
    /// 5 seeds, all policies. Other options override these.
    #[arg(long)]
    pub grid: bool,
    /// Run a grid of starts from zero: arrivals of 20, 100, 400, 2,000/s × consumers of 5, 50, 500/s × start-up 3, 20, 60 s × polls 1, 5, 15 s × producers that start at
    /// once, ramp or burst. A filter selects cells: `--cold-grid=arrivals=400,start=burst`. Combine with `--seeds` and `--assignment` (default here: shared).
    #[arg(long, value_name = "FILTER", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub cold_grid: Option<String>,
    /// Measure incident detection on weeks of synthetic traffic, without faults and with every kind of fault. Takes minutes.
    #[arg(long, exclusive = true)]
    pub incidents: bool,
    /// Write all results to a JSON file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write an HTML report with the results and charts of every run.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl SimulateArgs {
    /// Of traces and scenarios.
    pub fn assignment(&self) -> Assignment {
        self.assignment.unwrap_or(SharingStyle::Exclusive).into()
    }

    /// Of starts from zero.
    pub fn assignment_of_starts(&self) -> Assignment {
        self.assignment.unwrap_or(SharingStyle::Shared).into()
    }
}

/// One scenario, or all.
#[derive(Clone, Debug)]
pub struct ScenarioChoice(pub Vec<&'static Scenario>);

/// How partitions move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RebalanceStyle {
    /// At once, moving as few partitions as possible
    #[default]
    Sticky,
    /// In cycles of 10 s, each replica claims its whole share
    Greedy,
    /// In cycles of 10 s, each replica claims one partition
    Balanced,
}

impl From<RebalanceStyle> for Rebalance {
    fn from(style: RebalanceStyle) -> Self {
        match style {
            RebalanceStyle::Sticky => Self::Sticky,
            RebalanceStyle::Greedy => Self::Greedy,
            RebalanceStyle::Balanced => Self::Balanced,
        }
    }
}

/// Which replica may take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SharingStyle {
    /// A partition belongs to one replica at a time
    Exclusive,
    /// Any replica may take any message
    Shared,
}

impl From<SharingStyle> for Assignment {
    fn from(style: SharingStyle) -> Self {
        match style {
            SharingStyle::Exclusive => Self::Exclusive,
            SharingStyle::Shared => Self::Shared,
        }
    }
}

/// The scenarios, a line each.
pub fn scenario_list() -> String {
    let line = |s: &Scenario| format!("  {:<22} {}", s.name, s.about);
    let lines = |of: &[Scenario]| of.iter().map(line).collect::<Vec<_>>().join("\n");
    format!(
        "Scenarios (`all`):\n{}\n\nStarts from zero (`cold`), each with its own settings:\n{}",
        lines(ALL),
        lines(COLD)
    )
}

fn parse_scenario(text: &str) -> Result<ScenarioChoice, String> {
    match text {
        "all" => return Ok(ScenarioChoice(ALL.iter().collect())),
        "cold" => return Ok(ScenarioChoice(COLD.iter().collect())),
        _ => {}
    }
    let found = Scenario::named(text).map(|scenario| ScenarioChoice(vec![scenario]));
    found.ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().chain(COLD).map(|s| s.name).collect();
        format!("must be one of: all, cold, {}", names.join(", "))
    })
}

fn parse_commits(text: &str) -> Result<Commits, String> {
    let expected = "must be a duration such as 10s, or after:N for every N messages";
    match text.strip_prefix("after:") {
        Some(count) => count
            .parse()
            .ok()
            .filter(|n| *n > 0)
            .map(Commits::After)
            .ok_or_else(|| expected.into()),
        None => parse_duration(text)
            .ok()
            .filter(|every| !every.is_zero())
            .map(Commits::Every)
            .ok_or_else(|| expected.into()),
    }
}

fn parse_capacity(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|n| (0.1..=1e6).contains(n))
        .ok_or_else(|| "must be messages per second, from 0.1 to 1,000,000".into())
}

fn parse_poll_interval(text: &str) -> Result<Duration, String> {
    duration::parse_metadata(text)
        .filter(|time| !time.is_zero() && *time <= Duration::from_secs(3_600))
        .ok_or_else(|| {
            "must be a multiple of the step and at most one hour, such as 5s or 15s".into()
        })
}

fn parse_step(text: &str) -> Result<StepLength, String> {
    let seconds = duration::parse_metadata(text)
        .filter(|time| (1..=60).contains(&time.as_secs()) && time.subsec_nanos() == 0);
    seconds
        .map(|time| StepLength::of_seconds(time.as_secs() as u32))
        .ok_or_else(|| "must be whole seconds and at most one minute, such as 1s or 5s".into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse_metadata(text)
        .filter(|time| *time <= Duration::from_secs(86_400))
        .ok_or_else(|| "must be a duration of at most one day, such as 30s or 2m".into())
}
