//! What is written: cells with their figures, and what they add up to.

use serde::Serialize;

use super::jobs::CellDone;
use super::plan::{Cell, Plan, commits_in_words};
use crate::cli::THRESHOLDS;
use crate::model::identity::Assignment;
use crate::simulation::comparison::{
    Against, ComparisonEntry, GOOD_LATE_PERCENT, Total, against, best, on_the_front, totals,
};
use crate::simulation::policies::PolicyName;

/// Everything, as `--json` has it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Runs of every cell.
    pub seeds: u64,
    pub cells: Vec<CellReport>,
    pub summary: Summary,
}

/// One cell with its conditions.
#[derive(Debug, Serialize)]
pub(super) struct CellReport {
    /// Of the trace or scenario.
    pub workload: String,
    /// What a scenario is about.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub about: &'static str,
    pub partitions: usize,
    pub hours: f64,
    /// `every 10 s` or `after 100 messages`.
    pub commits: String,
    pub capacity_per_second: f64,
    pub start_up_seconds: f64,
    pub poll_interval_seconds: f64,
    pub assignment: &'static str,
    pub rebalance: String,
    /// Conditions in a phrase.
    #[serde(skip)]
    pub conditions: String,
    pub policies: Vec<ComparisonEntry>,
}

/// Totals over the cells. Cells are identified by their index in the list, from 0.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub totals: Vec<Total>,
    /// Of the thresholds tried, the best for all cells together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keda_lag_in_hindsight: Option<Hindsight>,
    /// Of streamgauge and its variations.
    pub pareto_front: Vec<FrontShare>,
    /// Streamgauge and its variations beside the best threshold and Flink.
    pub against: Vec<Against>,
}

/// The choice of a threshold.
#[derive(Debug, Serialize)]
pub(super) struct Hindsight {
    pub chosen: String,
    pub rule: String,
    pub tried: Vec<Total>,
}

/// How often a policy is not beaten.
#[derive(Debug, Serialize)]
pub(super) struct FrontShare {
    pub policy: String,
    pub cells: usize,
    pub of: usize,
}

impl Report {
    pub fn of(plan: &Plan, done: &[CellDone]) -> Self {
        let mut entries: Vec<Vec<ComparisonEntry>> =
            done.iter().map(|cell| entries(plan, cell)).collect();
        let hindsight = plan.choose_keda_lag.then(|| hindsight(&entries)).flatten();
        if let Some(hindsight) = &hindsight {
            let shown = |entry: &ComparisonEntry| {
                !THRESHOLDS.map(keda).contains(&entry.policy)
                    || entry.policy == hindsight.chosen
                    || plan
                        .named
                        .iter()
                        .any(|name| name.to_string() == entry.policy)
            };
            entries.iter_mut().for_each(|cell| cell.retain(shown));
        }
        let summary = summary(plan, &entries, hindsight);
        let cells = plan.cells.iter().zip(entries);
        Self {
            seeds: plan.seeds,
            cells: cells
                .map(|(cell, entries)| describe(cell, entries))
                .collect(),
            summary,
        }
    }
}

fn keda(threshold: u64) -> String {
    PolicyName::KedaLag(threshold).to_string()
}

fn entries(plan: &Plan, cell: &CellDone) -> Vec<ComparisonEntry> {
    let pairs = plan.policies.iter().zip(&cell.outcomes);
    pairs
        .map(|(policy, outcomes)| ComparisonEntry::of(policy.to_string(), outcomes))
        .collect()
}

fn hindsight(entries: &[Vec<ComparisonEntry>]) -> Option<Hindsight> {
    let names = THRESHOLDS.map(keda);
    let mut tried = totals(entries);
    tried.retain(|total| names.contains(&total.policy));
    Some(Hindsight {
        chosen: best(tried.iter())?.policy.clone(),
        rule: format!(
            "fewest replica-hours among those with at most {GOOD_LATE_PERCENT} % late on average over the cells; if there are none, the least late"
        ),
        tried,
    })
}

fn summary(plan: &Plan, entries: &[Vec<ComparisonEntry>], hindsight: Option<Hindsight>) -> Summary {
    let ours: Vec<String> = plan
        .policies
        .iter()
        .filter(|policy| matches!(policy, PolicyName::Streamgauge { .. }))
        .map(PolicyName::to_string)
        .collect();
    // Who knows the future is a bound, not a rival.
    let clairvoyant = PolicyName::Clairvoyant.to_string();
    let front = |policy: &String| FrontShare {
        policy: policy.clone(),
        cells: on_the_front(entries, policy, |rival| rival != clairvoyant),
        of: entries.len(),
    };
    let flink = PolicyName::Flink.to_string();
    let chosen = hindsight.as_ref().map(|h| h.chosen.clone());
    let peers: Vec<String> = chosen.into_iter().chain([flink]).collect();
    let pairs = ours
        .iter()
        .flat_map(|own| peers.iter().map(move |peer| (own, peer)));
    Summary {
        totals: totals(entries),
        pareto_front: ours.iter().map(front).collect(),
        against: pairs
            .filter_map(|(own, peer)| against(entries, own, peer))
            .collect(),
        keda_lag_in_hindsight: hindsight,
    }
}

fn describe(cell: &Cell, policies: Vec<ComparisonEntry>) -> CellReport {
    let (partitions, length) = cell.subject.size();
    CellReport {
        workload: cell.subject.name().to_owned(),
        about: cell.subject.about(),
        partitions,
        hours: (length.as_secs_f64() / 36.0).round() / 100.0,
        commits: commits_in_words(&cell.spec.commits),
        capacity_per_second: cell.spec.capacity_per_second,
        start_up_seconds: cell.spec.start_up.as_secs_f64(),
        poll_interval_seconds: cell.spec.poll_interval.as_secs_f64(),
        assignment: match cell.spec.assignment {
            Assignment::Exclusive => "exclusive",
            Assignment::Shared => "shared",
        },
        rebalance: format!("{:?}", cell.spec.rebalance).to_lowercase(),
        conditions: cell.conditions(),
        policies,
    }
}
