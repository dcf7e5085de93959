//! `simulate --cold-grid`: every start from zero, a line each, beside what configured capacity costs.

use std::fmt::Write as _;

use rayon::prelude::*;

use crate::model::identity::Assignment;
use crate::policy::spec::TargetSpec;
use crate::simulation::cold::Cold;
use crate::simulation::comparison::ComparisonEntry;
use crate::simulation::plant::PlantSpec;
use crate::simulation::policies::PolicyName;
use crate::simulation::run::{RunOutcome, run};

/// Goals for a cold start.
const AIM_LATE_PERCENT: f64 = 1.0;
const AIM_WORST_SECONDS: f64 = 40.0;
const AIM_COST_RATIO: f64 = 1.15;
const AIM_CHANGES: f64 = 6.0;

/// Of every cell, what each policy made of it.
pub(super) struct ColdRow {
    cold: Cold,
    entries: Vec<ComparisonEntry>,
}

/// The policies of a cell; the second one is what the others are measured by.
fn policies(cold: &Cold) -> Vec<PolicyName> {
    let ours = |label: &str, target| PolicyName::streamgauge(label.to_owned(), target);
    let configured = TargetSpec {
        capacity_per_replica: Some(cold.capacity_per_second),
        ..settings(cold)
    };
    let mut all = vec![
        ours("streamgauge", settings(cold)),
        ours("configured", configured),
    ];
    all.extend([100, 250, 500].map(PolicyName::KedaLag));
    all
}

fn settings(cold: &Cold) -> TargetSpec {
    TargetSpec {
        max_replicas: cold.plant(PlantSpec::default()).max_replicas,
        ..TargetSpec::default()
    }
}

/// Cells that the filter leaves: `arrivals=400,consumers=50,start-up=3,polls=5,start=burst`, any of them.
///
/// # Errors
/// Something else than that.
pub(super) fn cells(assignment: Assignment, filter: &str) -> Result<Vec<Cold>, String> {
    let mut cells = Cold::grid(assignment);
    for part in filter.split(',').filter(|part| !part.is_empty()) {
        let known = "must use arrivals, consumers, start-up, polls or start, as in `arrivals=400,start=burst`";
        let (key, value) = part.split_once('=').ok_or(known)?;
        if !["arrivals", "consumers", "start-up", "polls", "start"].contains(&key) {
            return Err(known.into());
        }
        cells.retain(|cold| shown(cold, key) == value);
        if cells.is_empty() {
            return Err(format!(
                "no cell matches {part}: see the columns of the grid"
            ));
        }
    }
    Ok(cells)
}

fn shown(cold: &Cold, key: &str) -> String {
    match key {
        "arrivals" => cold.arrivals_per_second.to_string(),
        "consumers" => cold.capacity_per_second.to_string(),
        "start-up" => cold.start_up.as_secs().to_string(),
        "polls" => cold.poll_interval.as_secs().to_string(),
        _ => cold.start.as_str().to_owned(),
    }
}

/// Runs the cells; means over the seeds.
pub(super) fn rows(cells: &[Cold], seeds: u64) -> Vec<ColdRow> {
    let row = |cold: &Cold| {
        let entry = |policy: &PolicyName| {
            let plant = cold.plant(PlantSpec::default());
            let outcomes: Vec<RunOutcome> = (0..seeds)
                .map(|seed| {
                    let workload = cold.workload("cold", seed);
                    let mut built = policy.build(&workload, &plant);
                    run(&workload, &plant, built.as_mut(), seed, |_, _| {})
                })
                .collect();
            ComparisonEntry::of(policy.to_string(), &outcomes)
        };
        ColdRow {
            cold: *cold,
            entries: policies(cold).iter().map(entry).collect(),
        }
    };
    cells.par_iter().with_max_len(1).map(row).collect()
}

/// A line per cell, then how many of them are as they are to be.
pub(super) fn render(rows: &[ColdRow]) -> String {
    let mut out = String::from(
        "Columns per policy: late %, worst delay in s, replica-seconds ÷ those with configured capacity (absolute for that policy), scaling changes\n",
    );
    let _ = write!(
        out,
        "{:>8} {:>9} {:>8} {:>5} {:<8}",
        "arrivals", "consumers", "start-up", "polls", "start"
    );
    for entry in rows.first().iter().flat_map(|row| &row.entries) {
        let _ = write!(out, " | {:<26}", entry.policy);
    }
    out.push('\n');
    for row in rows {
        let keys = ["arrivals", "consumers", "start-up", "polls", "start"];
        let [arrivals, consumers, start_up, polls, start] = keys.map(|key| shown(&row.cold, key));
        let _ = write!(
            out,
            "{arrivals:>8} {consumers:>9} {start_up:>8} {polls:>5} {start:<8}"
        );
        for (n, entry) in row.entries.iter().enumerate() {
            let _ = write!(
                out,
                " | {}",
                figures(entry, (n != 1).then(|| row.configured()))
            );
        }
        out.push('\n');
    }
    for n in 0..rows.first().map_or(0, |row| row.entries.len()) {
        out += &summary(rows, n);
    }
    out
}

impl ColdRow {
    fn configured(&self) -> &RunOutcome {
        &self.entries[1].mean
    }
}

fn figures(entry: &ComparisonEntry, configured: Option<&RunOutcome>) -> String {
    let mean = &entry.mean;
    let cost = match configured {
        Some(configured) => format!(
            "{:.2}",
            mean.replica_seconds / configured.replica_seconds.max(1.0)
        ),
        None => format!("{:.0}", mean.replica_seconds),
    };
    format!(
        "{:>6.2} {:>5.0} {cost:>7} {:>5.1}",
        mean.late_percent, mean.worst_delay_seconds, mean.changes
    )
}

fn summary(rows: &[ColdRow], n: usize) -> String {
    let count = |good: &dyn Fn(&RunOutcome, &RunOutcome) -> bool| {
        rows.iter()
            .filter(|row| good(&row.entries[n].mean, row.configured()))
            .count()
    };
    let mean = |of: &dyn Fn(&RunOutcome, &RunOutcome) -> f64| {
        rows.iter()
            .map(|row| of(&row.entries[n].mean, row.configured()))
            .sum::<f64>()
            / rows.len() as f64
    };
    let cost = |own: &RunOutcome, configured: &RunOutcome| {
        own.replica_seconds / configured.replica_seconds.max(1.0)
    };
    let on_time = |own: &RunOutcome, configured: &RunOutcome| {
        own.late_percent <= AIM_LATE_PERCENT.max(configured.late_percent + AIM_LATE_PERCENT)
    };
    let soon = |own: &RunOutcome, configured: &RunOutcome| {
        own.worst_delay_seconds <= AIM_WORST_SECONDS.max(configured.worst_delay_seconds * 1.1)
    };
    let cheap = |own: &RunOutcome, configured: &RunOutcome| cost(own, configured) <= AIM_COST_RATIO;
    let calm = |own: &RunOutcome, _: &RunOutcome| own.changes <= AIM_CHANGES;
    format!(
        "{:<14} of {} cells: late ≤ {AIM_LATE_PERCENT} % above configured {}, worst ≤ {AIM_WORST_SECONDS} s or 1.1 × configured {}, cost ≤ {AIM_COST_RATIO} {}, changes ≤ {AIM_CHANGES} {}, all four {}; means: late {:.2} %, worst {:.0} s, cost {:.2}, changes {:.1}\n",
        rows[0].entries[n].policy,
        rows.len(),
        count(&on_time),
        count(&soon),
        count(&cheap),
        count(&calm),
        count(&|a, b| on_time(a, b) && soon(a, b) && cheap(a, b) && calm(a, b)),
        mean(&|a, _| a.late_percent),
        mean(&|a, _| a.worst_delay_seconds),
        mean(&cost),
        mean(&|a, _| a.changes),
    )
}
