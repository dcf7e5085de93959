//! Arguments of `simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::commands::simulate::choice::PolicyChoice;
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
    /// What arrived: CSV (`.gz` too) with the header `time_seconds,<partition>,…`, each value the messages since the row before; repeatable.
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// What goes wrong during the traces: a YAML list of faults (docs/simulate.md).
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub faults: Option<PathBuf>,
    /// A built-in workload, `all`, or `cold` for all starts from zero; repeatable.
    #[arg(long, value_name = "NAME", value_parser = parse_scenario)]
    pub scenario: Vec<ScenarioChoice>,
    /// Lists the scenarios and ends.
    #[arg(long)]
    pub list_scenarios: bool,
    /// streamgauge, streamgauge:KEY=VALUE,… (as in trigger metadata), keda-lag:N, keda-lag (the best N in hindsight), flink,
    /// flink-default, numaflow, static:N, cpu:PERCENT, clairvoyant; repeatable [default: streamgauge, keda-lag, flink, numaflow].
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<PolicyChoice>,
    /// How often consumers commit, or after how many messages: `10s,60s,after:100` [default: 10s].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_commits)]
    pub commit_interval: Vec<Commits>,
    /// Messages per second that one replica does: `100,400` [default: 100].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_capacity)]
    pub capacity: Vec<f64>,
    /// Mean time that a replica takes to start: `40s,2m` [default: 40s].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_duration)]
    pub start_up: Vec<Duration>,
    /// How partitions move when replicas come and go.
    #[arg(long, value_enum, default_value_t)]
    pub rebalance: RebalanceStyle,
    /// Whether a partition belongs to one replica at a time [default: exclusive].
    #[arg(long, value_enum)]
    pub assignment: Option<SharingStyle>,
    /// Never fewer replicas; 0 lets policies go to zero.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_replicas: u32,
    /// Never more replicas.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_replicas: u32,
    /// How long a step of the traces is, in whole seconds: `1s` where a start from zero matters.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_step)]
    pub step: StepLength,
    /// How often streamgauge looks at its source: whole steps. `serve` does every 5 s on Redis, every 15 s on Event Hubs.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_poll_interval)]
    pub poll_interval: Duration,
    /// Runs of every cell, each with other chances [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: Option<u64>,
    /// The whole comparison: commit intervals 2, 10, 30, 60 s and capacities 100, 200, 400 over the traces and all scenarios,
    /// 5 seeds, all policies. What is said beside it goes first.
    #[arg(long)]
    pub grid: bool,
    /// Starts from zero, a line each: arrivals 20, 100, 400, 2000/s × consumers of 5, 50, 500/s × start-up 3, 20, 60 s × polls 1, 5, 15 s × producers that start at
    /// once, ramp or burst. A filter keeps some: `--cold-grid=arrivals=400,start=burst`. Goes with `--seeds` and `--assignment` (shared unless said).
    #[arg(long, value_name = "FILTER", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub cold_grid: Option<String>,
    /// How well incidents are noticed: weeks of made-up traffic without faults, and struck by every kind of fault. Takes minutes.
    #[arg(long, exclusive = true)]
    pub incidents: bool,
    /// Writes all figures.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Writes a page with the figures and how every run went.
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
    /// At once, as few as possible
    #[default]
    Sticky,
    /// At cycles of 10 s, everyone claims all of its share
    Greedy,
    /// At cycles of 10 s, everyone claims one
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

/// Who may take which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SharingStyle {
    /// A partition belongs to one replica at a time
    Exclusive,
    /// Any replica takes any message
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
        "Scenarios (`all`):\n{}\n\nStarts from zero (`cold`), each with its own plant:\n{}",
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
        format!("known are all, cold, {}", names.join(", "))
    })
}

fn parse_commits(text: &str) -> Result<Commits, String> {
    let expected = "must be a time such as 10s, or after:N messages";
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
        .ok_or_else(|| "must be messages per second, from 0.1 to 1000000".into())
}

fn parse_poll_interval(text: &str) -> Result<Duration, String> {
    duration::parse_metadata(text)
        .filter(|time| !time.is_zero() && *time <= Duration::from_secs(3_600))
        .ok_or_else(|| "must be whole steps, at most an hour, such as 5s or 15s".into())
}

fn parse_step(text: &str) -> Result<StepLength, String> {
    let seconds = duration::parse_metadata(text)
        .filter(|time| (1..=60).contains(&time.as_secs()) && time.subsec_nanos() == 0);
    seconds
        .map(|time| StepLength::of_seconds(time.as_secs() as u32))
        .ok_or_else(|| "must be whole seconds, at most a minute, such as 1s or 5s".into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse_metadata(text)
        .filter(|time| *time <= Duration::from_secs(86_400))
        .ok_or_else(|| "must be a time of a day at most, such as 30s or 2m".into())
}
