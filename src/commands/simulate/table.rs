//! The table on stdout.

use std::fmt::Write as _;

use super::report::{CellReport, Report};
use crate::simulation::comparison::{Against, ComparisonEntry, Total};

const FIGURES: [&str; 7] = [
    "policy",
    "late %",
    "viol %",
    "replica-h",
    "actions/day",
    "flaps/day",
    "moves/day",
];
/// Of what takes less than an hour: figures per day would say little of it.
const SHORT_FIGURES: [&str; 7] = [
    "policy",
    "late %",
    "worst delay s",
    "mean delay s",
    "viol %",
    "replica-s",
    "changes",
];
const TOTALS: [&str; 6] = [
    "policy",
    "mean late %",
    "worst cell: late %",
    "replica-h",
    "worst actions/day",
    "worst flaps/day",
];

/// Every cell, then what they add up to.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for cell in &report.cells {
        let policies = cell.policies.iter();
        let table = if cell.hours < 1.0 {
            columns(&SHORT_FIGURES, policies.map(short_figures).collect())
        } else {
            columns(&FIGURES, policies.map(figures).collect())
        };
        let _ = writeln!(out, "{}\n{table}", heading(cell));
    }
    if report.cells.len() > 1 {
        let rows = report.summary.totals.iter().map(total).collect();
        let cells = report.cells.len();
        let _ = writeln!(out, "all {cells} cells\n{}", columns(&TOTALS, rows));
    }
    for sentence in sentences(report) {
        let _ = writeln!(out, "{sentence}");
    }
    out
}

fn heading(cell: &CellReport) -> String {
    let length = if cell.hours < 1.0 {
        format!("{:.0} min", (cell.hours * 60.0).max(1.0))
    } else {
        format!("{} h", cell.hours)
    };
    format!(
        "{} ({} partitions, {length}; {})",
        cell.workload, cell.partitions, cell.conditions
    )
}

/// What the figures add up to, in words.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let summary = &report.summary;
    let mut all = Vec::new();
    if let Some(hindsight) = &summary.keda_lag_in_hindsight {
        let name = |total: &Total| total.policy.trim_start_matches("keda-lag:").to_owned();
        let tried: Vec<String> = hindsight.tried.iter().map(name).collect();
        all.push(format!(
            "keda-lag in hindsight: {} of {}: {}",
            hindsight.chosen,
            tried.join(", "),
            hindsight.rule
        ));
    }
    if report.cells.len() > 1 {
        all.extend(summary.pareto_front.iter().map(|share| {
            format!(
                "{}: on the Pareto front of late % and replica-h in {} of {} cells (without clairvoyant)",
                share.policy, share.cells, share.of
            )
        }));
        let pairs = summary.against.iter();
        all.extend(pairs.map(|pair| beside(pair, &report.cells)));
    }
    all
}

fn beside(pair: &Against, cells: &[CellReport]) -> String {
    let (ratio, ratio_cell) = pair.worst_replica_hours_ratio;
    let (late, late_cell) = pair.worst_late_difference;
    let name = |n: usize| format!("{}, {}", cells[n].workload, cells[n].conditions);
    format!(
        "{} compared with {}: at worst {ratio:.2} times the replica-h ({}) and {late:+.2} points of late % ({}); worse on both in {} of {} cells",
        pair.policy,
        pair.peer,
        name(ratio_cell),
        name(late_cell),
        pair.worse_on_both.len(),
        cells.len()
    )
}

fn figures(entry: &ComparisonEntry) -> Vec<String> {
    let mean = &entry.mean;
    vec![
        entry.policy.clone(),
        format!("{:.2}", mean.late_percent),
        format!("{:.2}", mean.violated_percent),
        format!("{:.1}", mean.replica_hours),
        format!("{:.1}", mean.actions_per_day),
        format!("{:.1}", mean.flaps_per_day),
        format!("{:.0}", mean.moves_per_day),
    ]
}

fn short_figures(entry: &ComparisonEntry) -> Vec<String> {
    let mean = &entry.mean;
    vec![
        entry.policy.clone(),
        format!("{:.2}", mean.late_percent),
        format!("{:.0}", mean.worst_delay_seconds),
        format!("{:.1}", mean.mean_delay_seconds),
        format!("{:.2}", mean.violated_percent),
        format!("{:.0}", mean.replica_seconds),
        format!("{:.1}", mean.changes),
    ]
}

fn total(total: &Total) -> Vec<String> {
    vec![
        total.policy.clone(),
        format!("{:.2}", total.mean_late_percent),
        format!("{:.2}", total.worst_late_percent),
        format!("{:.1}", total.replica_hours),
        format!("{:.1}", total.worst_actions_per_day),
        format!("{:.1}", total.worst_flaps_per_day),
    ]
}

/// Text left in the first column, numbers right in the others.
fn columns(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let header = header.iter().map(|title| (*title).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |n: usize| {
        let cells = all.iter().filter_map(|row: &Vec<String>| row.get(n));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in &all {
        let mut line = format!("  {:<1$}", row[0], width(0));
        for (n, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(line, "  {cell:>0$}", width(n));
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}
