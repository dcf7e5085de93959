//! The runs, on all cores.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::plan::{Cell, Plan};
use crate::simulation::course::{Course, Recorder};
use crate::simulation::policies::PolicyName;
use crate::simulation::run::{RunOutcome, run as run_one};
use crate::simulation::workload::Workload;

/// What came of one cell.
#[derive(Debug)]
pub(super) struct CellDone {
    /// Per policy, per seed.
    pub outcomes: Vec<Vec<RunOutcome>>,
    /// How the first seed went, per policy; empty where that is not drawn.
    pub courses: Vec<Course>,
}

/// Runs everything; cells and policies in the plan's order. Records the first seed of the cells in `drawn`.
pub(super) fn run(plan: &Plan, drawn: &[usize]) -> Vec<CellDone> {
    let pairs: Vec<(usize, u64)> = (0..plan.cells.len())
        .flat_map(|cell| (0..plan.seeds).map(move |seed| (cell, seed)))
        .collect();
    let (all, done) = (pairs.len() * plan.policies.len(), AtomicUsize::new(0));
    let runs: Vec<Vec<(RunOutcome, Option<Course>)>> = pairs
        .par_iter()
        .with_max_len(1)
        .map(|(n, seed)| {
            let cell = &plan.cells[*n];
            let workload = cell.workload(*seed);
            let record = *seed == 0 && drawn.contains(n);
            let policies = plan.policies.par_iter().with_max_len(1);
            policies
                .map(|policy| {
                    let outcome = run_policy(cell, &workload, policy, *seed, record);
                    tell(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                    outcome
                })
                .collect()
        })
        .collect();
    runs.chunks(plan.seeds as usize).map(gather).collect()
}

/// Progress, shown on a terminal.
fn tell(done: usize, all: usize) {
    if stderr().is_terminal() && all >= 100 && (done.is_multiple_of(20) || done == all) {
        let end = if done == all { "\n" } else { "" };
        eprint!("\r{done} of {all} runs{end}");
    }
}

fn run_policy(
    cell: &Cell,
    workload: &Workload,
    policy: &PolicyName,
    seed: u64,
    record: bool,
) -> (RunOutcome, Option<Course>) {
    let mut recorder = Recorder::default();
    let mut built = policy.build(workload, &cell.spec);
    let outcome = run_one(
        workload,
        &cell.spec,
        built.as_mut(),
        seed,
        |plant, policy| {
            if record {
                recorder.note(plant, policy);
            }
        },
    );
    (outcome, record.then(|| recorder.finish()))
}

/// The seeds of one cell, each with all policies, turned into policies, each with all seeds.
fn gather(seeds: &[Vec<(RunOutcome, Option<Course>)>]) -> CellDone {
    let policies = seeds.first().map_or(0, Vec::len);
    CellDone {
        outcomes: (0..policies)
            .map(|n| seeds.iter().map(|of| of[n].0).collect())
            .collect(),
        courses: seeds
            .iter()
            .flatten()
            .filter_map(|(_, course)| course.clone())
            .collect(),
    }
}
