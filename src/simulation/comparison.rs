//! What comes of many runs: means over seeds, sums over cells, and who is better than whom.

use serde::Serialize;

use super::run::RunOutcome;

/// A threshold with at most this much late work on average is good enough to be chosen by its replica-hours.
pub const GOOD_LATE_PERCENT: f64 = 0.5;

/// One policy in one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonEntry {
    /// Its name with its setting.
    pub policy: String,
    /// Means over the seeds.
    pub mean: RunOutcome,
    /// The worst of the seeds, figure by figure.
    pub worst: RunOutcome,
}

impl ComparisonEntry {
    /// Of the outcomes of several seeds.
    pub fn of(policy: String, outcomes: &[RunOutcome]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let sum = outcomes
            .iter()
            .fold(RunOutcome::default(), |a, b| join(&a, b, |a, b| a + b));
        Self {
            policy,
            mean: join(&sum, &sum, |a, _| rounded(a / count)),
            worst: outcomes.iter().fold(RunOutcome::default(), |a, b| {
                join(&a, b, |a, b| rounded(a.max(b)))
            }),
        }
    }
}

/// To four decimals: nobody is better than another by less.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn join(a: &RunOutcome, b: &RunOutcome, by: impl Fn(f64, f64) -> f64) -> RunOutcome {
    RunOutcome {
        late_percent: by(a.late_percent, b.late_percent),
        violated_percent: by(a.violated_percent, b.violated_percent),
        replica_hours: by(a.replica_hours, b.replica_hours),
        actions_per_day: by(a.actions_per_day, b.actions_per_day),
        flaps_per_day: by(a.flaps_per_day, b.flaps_per_day),
        moves_per_day: by(a.moves_per_day, b.moves_per_day),
        worst_delay_seconds: by(a.worst_delay_seconds, b.worst_delay_seconds),
        mean_delay_seconds: by(a.mean_delay_seconds, b.mean_delay_seconds),
        replica_seconds: by(a.replica_seconds, b.replica_seconds),
        changes: by(a.changes, b.changes),
    }
}

/// One policy over all cells, from the means over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// Its name with its setting.
    pub policy: String,
    /// Mean over the cells.
    pub mean_late_percent: f64,
    /// Of the worst cell.
    pub worst_late_percent: f64,
    /// Sum over the cells.
    pub replica_hours: f64,
    /// Of the worst cell.
    pub worst_actions_per_day: f64,
    /// Of the worst cell.
    pub worst_flaps_per_day: f64,
}

/// Every policy over all cells; cells hold the same policies in the same order.
pub fn totals(cells: &[Vec<ComparisonEntry>]) -> Vec<Total> {
    let Some(first) = cells.first() else {
        return Vec::new();
    };
    let total = |n: usize| {
        let of = |f: fn(&RunOutcome) -> f64| cells.iter().map(move |cell| f(&cell[n].mean));
        let worst = |f| of(f).fold(0.0, f64::max);
        Total {
            policy: first[n].policy.clone(),
            mean_late_percent: of(|o| o.late_percent).sum::<f64>() / cells.len() as f64,
            worst_late_percent: worst(|o| o.late_percent),
            replica_hours: of(|o| o.replica_hours).sum(),
            worst_actions_per_day: worst(|o| o.actions_per_day),
            worst_flaps_per_day: worst(|o| o.flaps_per_day),
        }
    };
    (0..first.len()).map(total).collect()
}

/// The best of some fixed settings, known only afterwards: the fewest replica-hours among those with at most
/// [`GOOD_LATE_PERCENT`] late on average; if none has, the least late.
pub fn best<'t>(totals: impl Iterator<Item = &'t Total> + Clone) -> Option<&'t Total> {
    let good = totals
        .clone()
        .filter(|total| total.mean_late_percent <= GOOD_LATE_PERCENT);
    good.min_by(|a, b| a.replica_hours.total_cmp(&b.replica_hours))
        .or_else(|| totals.min_by(|a, b| a.mean_late_percent.total_cmp(&b.mean_late_percent)))
}

/// One policy beside another, cell by cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// The one.
    pub policy: String,
    /// The other.
    pub peer: String,
    /// The largest quotient of their replica-hours, and the cell's number.
    pub worst_replica_hours_ratio: (f64, usize),
    /// By how many percentage points it is later than the other at most, and the cell's number; negative: never later.
    pub worst_late_difference: (f64, usize),
    /// Cells in which it has more late messages and more replica-hours than the other.
    pub worse_on_both: Vec<usize>,
}

/// Compares two policies; `None` if one was not run.
pub fn against(cells: &[Vec<ComparisonEntry>], policy: &str, peer: &str) -> Option<Against> {
    let pairs: Vec<(&RunOutcome, &RunOutcome)> = cells
        .iter()
        .map(|cell| find(cell, policy).zip(find(cell, peer)))
        .collect::<Option<_>>()?;
    let worst = |f: &dyn Fn(&RunOutcome, &RunOutcome) -> f64| {
        let all = pairs.iter().enumerate().map(|(n, (a, b))| (f(a, b), n));
        all.max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let worse_on_both = pairs
        .iter()
        .enumerate()
        .filter(|(_, (a, b))| a.late_percent > b.late_percent && a.replica_hours > b.replica_hours);
    Some(Against {
        policy: policy.to_owned(),
        peer: peer.to_owned(),
        worst_replica_hours_ratio: worst(&|a, b| {
            a.replica_hours / b.replica_hours.max(f64::MIN_POSITIVE)
        })?,
        worst_late_difference: worst(&|a, b| a.late_percent - b.late_percent)?,
        worse_on_both: worse_on_both.map(|(n, _)| n).collect(),
    })
}

/// In how many cells no `rival` is at least as good in late messages and replica-hours, and better in one.
pub fn on_the_front(
    cells: &[Vec<ComparisonEntry>],
    policy: &str,
    rival: impl Fn(&str) -> bool,
) -> usize {
    let on_front = |cell: &&Vec<ComparisonEntry>| {
        find(cell, policy).is_some_and(|own| {
            !cell.iter().any(|other| {
                rival(&other.policy) && other.policy != policy && dominates(&other.mean, own)
            })
        })
    };
    cells.iter().filter(on_front).count()
}

fn dominates(a: &RunOutcome, b: &RunOutcome) -> bool {
    let (late, hours) = (
        a.late_percent - b.late_percent,
        a.replica_hours - b.replica_hours,
    );
    late <= 0.0 && hours <= 0.0 && (late < 0.0 || hours < 0.0)
}

fn find<'c>(cell: &'c [ComparisonEntry], policy: &str) -> Option<&'c RunOutcome> {
    let entry = cell.iter().find(|entry| entry.policy == policy)?;
    Some(&entry.mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(policy: &str, late_percent: f64, replica_hours: f64) -> ComparisonEntry {
        let outcome = RunOutcome {
            late_percent,
            replica_hours,
            ..RunOutcome::default()
        };
        ComparisonEntry::of(policy.into(), &[outcome])
    }

    fn cells() -> Vec<Vec<ComparisonEntry>> {
        vec![
            vec![
                entry("ours", 0.2, 10.0),
                entry("a", 0.1, 20.0),
                entry("b", 0.3, 5.0),
            ],
            vec![
                entry("ours", 0.4, 12.0),
                entry("a", 0.3, 10.0),
                entry("b", 0.9, 6.0),
            ],
        ]
    }

    #[test]
    fn figures_of_seeds_become_a_mean_and_the_worst_of_each() {
        let seed = |late_percent, replica_hours| RunOutcome {
            late_percent,
            replica_hours,
            ..RunOutcome::default()
        };
        let entry = ComparisonEntry::of("p".into(), &[seed(1.0, 20.0), seed(3.0, 10.0)]);
        assert_eq!(
            (entry.mean.late_percent, entry.mean.replica_hours),
            (2.0, 15.0)
        );
        assert_eq!(
            (entry.worst.late_percent, entry.worst.replica_hours),
            (3.0, 20.0)
        );
    }

    #[test]
    fn the_best_setting_is_the_cheapest_that_is_seldom_late_else_the_least_late() {
        let totals = totals(&cells());
        let name = |keep: &[&str]| {
            let kept = totals.iter().filter(|t| keep.contains(&t.policy.as_str()));
            best(kept).map(|t| t.policy.clone())
        };
        assert_eq!(name(&["a", "b"]).as_deref(), Some("a"));
        assert_eq!(name(&["ours", "a", "b"]).as_deref(), Some("ours"));
        assert_eq!(name(&["b"]).as_deref(), Some("b"));
        assert_eq!(totals[0].replica_hours, 22.0);
    }

    #[test]
    fn two_policies_are_compared_cell_by_cell() {
        let compared = against(&cells(), "ours", "a").unwrap();
        assert_eq!(compared.worst_replica_hours_ratio, (1.2, 1));
        assert_eq!(compared.worse_on_both, vec![1]);
        assert_eq!(against(&cells(), "ours", "c"), None);
        assert_eq!(on_the_front(&cells(), "ours", |_| true), 1);
        assert_eq!(on_the_front(&cells(), "ours", |name| name != "a"), 2);
    }
}
