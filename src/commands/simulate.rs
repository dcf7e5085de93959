//! `simulate`: policies compared in virtual time, on recorded and built-in workloads.

mod checks;
mod cold;
mod html;
mod incidents;
mod jobs;
mod plan;
mod report;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use self::plan::Plan;
use self::report::Report;
use crate::cli::{SimulateArgs, scenario_list};
use crate::simulation::plant::PlantSpec;

/// Runs every policy on every workload under all conditions, and writes what came of it.
///
/// # Errors
/// A file cannot be read, is not what it should be, or cannot be written.
pub fn run(args: SimulateArgs) -> Result<ExitCode> {
    if args.list_scenarios {
        println!("{}", scenario_list());
        return Ok(ExitCode::SUCCESS);
    }
    if args.incidents {
        print!("{}", incidents::report(&PlantSpec::default()));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(filter) = &args.cold_grid {
        let cells = cold::cells(args.assignment_of_starts(), filter)
            .map_err(|text| anyhow!("--cold-grid: {text}"))?;
        print!(
            "{}",
            cold::render(&cold::rows(&cells, args.seeds.unwrap_or(1)))
        );
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan::of(&args)?;
    let started = Instant::now();
    let drawn = if args.html.is_some() {
        html::cells_to_draw(&plan)
    } else {
        Vec::new()
    };
    let done = jobs::run(&plan, &drawn);
    let runs = plan.cells.len() * plan.policies.len() * plan.seeds as usize;
    let report = Report::of(&plan, &done);
    print!("{}", table::render(&report));
    eprintln!("{runs} runs in {:.1} s", started.elapsed().as_secs_f64());
    if let Some(path) = &args.json {
        write(path, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(path) = &args.html {
        write(path, &html::render(&plan, &report, &done)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
