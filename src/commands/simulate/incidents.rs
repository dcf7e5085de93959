//! `simulate --incidents`: how well incidents are noticed, in virtual time.

use rayon::prelude::*;

use crate::model::incident::IncidentKind;
use crate::simulation::plant::PlantSpec;
use crate::simulation::policies::PolicyName;
use crate::simulation::study::{Habit, StrikeOutcome, Study, struck, study, undisturbed};

/// Ticks of a week: after the first nothing is learning any more.
const WEEK: usize = 7 * 24 * 720;
/// Weeks without faults, and weeks with them, of every habit.
const QUIET_WEEKS: usize = 9;
const STRUCK_WEEKS: usize = 3;
const STRUCK_SEEDS: u64 = 2;
/// Noticed in time.
const POLLS: usize = 6;

/// Plays everything and reports the results.
pub(super) fn report(spec: &PlantSpec) -> String {
    let of_habit = |habit: &Habit| {
        let seeds = (1..=STRUCK_SEEDS).map(Some);
        let habit = *habit;
        std::iter::once(None)
            .chain(seeds)
            .map(move |struck| (habit, struck))
    };
    let runs: Vec<(Habit, Option<u64>)> = Habit::ALL.iter().flat_map(of_habit).collect();
    let studies: Vec<Study> = runs
        .par_iter()
        .with_max_len(1)
        .map(|(habit, struck)| play(*habit, *struck, spec))
        .collect();
    let mut text = format!(
        "False alarms without faults over {} weeks, after one week of learning; deploys twice every working day\n",
        QUIET_WEEKS - 1
    );
    for ((habit, _), study) in runs
        .iter()
        .zip(&studies)
        .filter(|((_, struck), _)| struck.is_none())
    {
        let per_week = study.false_alarms.len() as f64 / (QUIET_WEEKS - 1) as f64;
        text += &format!(
            "{:<14} {per_week:>5.2} per week  {}\n",
            habit.name(),
            kinds(study)
        );
    }
    let outcomes: Vec<StrikeOutcome> = studies.iter().flat_map(|s| s.outcomes.clone()).collect();
    text +=
        "\nFaults                 visible  noticed  within 6 polls  median  worst  named right\n";
    for kind in IncidentKind::ALL {
        let of_kind: Vec<&StrikeOutcome> =
            outcomes.iter().filter(|o| o.strike.kind == kind).collect();
        if !of_kind.is_empty() {
            text += &line(kind, &of_kind);
        }
    }
    text
}

/// One run: struck with chances of that seed, or without faults.
fn play(habit: Habit, seed: Option<u64>, spec: &PlantSpec) -> Study {
    let (workload, strikes, seed) = match seed {
        None => (
            undisturbed(habit, QUIET_WEEKS, spec.capacity_per_second, 1),
            Vec::new(),
            1,
        ),
        Some(seed) => {
            let run = struck(habit, STRUCK_WEEKS, spec.capacity_per_second, seed + 1);
            (run.workload, run.strikes, seed + 1)
        }
    };
    let ours = PolicyName::ours(Default::default(), workload.trace.partitions(), spec);
    study(&workload, &strikes, spec, ours, (WEEK, seed))
}

fn line(kind: IncidentKind, outcomes: &[&StrikeOutcome]) -> String {
    let mut polls: Vec<usize> = outcomes.iter().filter_map(|o| o.noticed_after).collect();
    polls.sort_unstable();
    let share = |count: usize| 100.0 * count as f64 / outcomes.len() as f64;
    let in_time = polls.iter().filter(|polls| **polls <= POLLS).count();
    let named = outcomes.iter().filter(|o| o.named).count();
    let shown = |polls: Option<&usize>| polls.map_or("-".to_owned(), usize::to_string);
    format!(
        "{:<22} {:>7}  {:>6.0}%  {:>13.0}%  {:>6}  {:>5}  {:>10.0}%\n",
        kind.as_str(),
        outcomes.len(),
        share(polls.len()),
        share(in_time),
        shown(polls.get(polls.len() / 2)),
        shown(polls.last()),
        share(named)
    )
}

fn kinds(study: &Study) -> String {
    let count = |kind: IncidentKind| {
        let of_kind = study.false_alarms.iter().filter(|i| i.kind == kind);
        (kind, of_kind.count())
    };
    let some = IncidentKind::ALL
        .map(count)
        .into_iter()
        .filter(|(_, n)| *n > 0);
    let shown: Vec<String> = some
        .map(|(kind, n)| format!("{n} {}", kind.as_str()))
        .collect();
    shown.join(", ")
}
