//! Errors that can be found before anything is run.

use std::fs::OpenOptions;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cli::{PolicyChoice, SimulateArgs};
use crate::simulation::policies::PolicyName;
use crate::simulation::steps::StepLength;
use crate::simulation::trace::Trace;

/// The counts of the plant, and those of policies within it.
pub(super) fn counts(args: &SimulateArgs) -> Result<()> {
    let (min, max) = (args.min_replicas, args.max_replicas);
    if min > max {
        bail!("--min-replicas {min} is above --max-replicas {max}: lower one or raise the other");
    }
    for choice in &args.policy {
        if let PolicyChoice::One(PolicyName::Streamgauge { label, target, .. }) = choice
            && target.min_replicas > max
        {
            bail!(
                "--policy {label}: minReplicas is {}, which is above --max-replicas {max}",
                target.min_replicas
            );
        }
    }
    Ok(())
}

/// Polls come at whole steps, those of the traces and those of scenarios.
pub(super) fn polls(args: &SimulateArgs, traces: bool, scenarios: bool) -> Result<()> {
    let of_traces = traces.then_some(args.step);
    let of_scenarios = scenarios.then(StepLength::default);
    for step in of_traces.into_iter().chain(of_scenarios) {
        let whole = args.poll_interval.as_millis();
        if !whole.is_multiple_of(step.duration().as_millis()) {
            bail!(
                "--poll-interval {}: must be a multiple of the step, {} s",
                humantime::format_duration(args.poll_interval),
                step.seconds()
            );
        }
    }
    Ok(())
}

/// Checks before the runs that their results can be written.
pub(super) fn can_be_written(args: &SimulateArgs) -> Result<()> {
    for path in [&args.json, &args.html].into_iter().flatten() {
        let was_there = path.exists();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        if !was_there {
            std::fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// No other trace has its name.
pub(super) fn is_new(trace: &Trace, others: &[Trace], path: &Path) -> Result<()> {
    if others.iter().any(|other| other.name == trace.name) {
        bail!(
            "{}: another trace is named `{}` too: traces are named after their files, so rename one",
            path.display(),
            trace.name
        );
    }
    Ok(())
}
