//! Decisions as they were made, with the steps that led to them.

use std::io::{self, Write};

use crate::group::event::TargetKey;
use crate::journal::{ReplayStep, ReplayedGroup, shown};
use crate::model::time::Timestamp;
use crate::policy::decision::Decision;
use crate::policy::explain;
use crate::policy::steps::Step;

/// Every decision that changed an answer.
pub(super) fn list(past: &mut ReplayedGroup, out: &mut impl Write) -> io::Result<()> {
    let mut told = 0_usize;
    while let Some(seen) = past.next_step() {
        let ReplayStep::Happened(wall, happened) = seen else {
            continue;
        };
        if !past.span.has(wall) {
            continue;
        }
        for (key, decision) in &happened.record.decided {
            told += 1;
            print(out, wall, key, decision)?;
        }
    }
    if told == 0 {
        writeln!(out, "  no answer changed in that time")?;
    }
    Ok(())
}

/// What was answered at the end of the time that is asked about; whether the journal begins later.
pub(super) fn at(past: &mut ReplayedGroup, out: &mut impl Write) -> io::Result<bool> {
    let mut last = None;
    if past.header.moment().on_the_wall() > past.span.to {
        let begins = shown(past.header.moment().on_the_wall());
        writeln!(
            out,
            "  the journal begins at {begins}, later than {}",
            shown(past.span.to)
        )?;
        return Ok(true);
    }
    while let Some(seen) = past.next_step() {
        if let ReplayStep::Happened(wall, _) = seen {
            last = Some(wall);
        }
    }
    writeln!(out, "  at {}", shown(past.span.to))?;
    if let Some(last) = last {
        writeln!(out, "  the last event before was at {}", shown(last))?;
    }
    let state = past.state();
    let targets = state.into_iter().flat_map(|state| state.targets());
    let mut told = false;
    for (key, target) in targets {
        told = true;
        match &target.decision {
            Some(decision) => {
                let wall = state.map(|state| state.facts().wall).unwrap_or_default();
                print(out, wall.on_the_wall(decision.at), key, decision)?;
            }
            None => writeln!(out, "{}: nothing was decided yet", named(key))?,
        }
    }
    if !told {
        writeln!(out, "  nobody asked for an answer")?;
    }
    Ok(false)
}

fn print(
    out: &mut impl Write,
    wall: Timestamp,
    key: &TargetKey,
    decision: &Decision,
) -> io::Result<()> {
    let answer = match (decision.desired, decision.metric) {
        (Some(desired), _) => format!("{desired}"),
        (None, Some(metric)) => format!("{}", metric.as_f64()),
        (None, None) => "no answer".to_owned(),
    };
    let active = match decision.active {
        Some(true) => "active",
        Some(false) => "inactive",
        None => "activity not known",
    };
    writeln!(out, "{}  {}: {answer}, {active}", shown(wall), named(key))?;
    if decision.steps.iter().next().is_none() {
        writeln!(out, "    {}", decision.text)?;
    }
    for step in decision.steps.iter() {
        let sentence = explain::sentence(step, &decision.inputs);
        writeln!(out, "    {}", line(step, &sentence).trim_end())?;
    }
    Ok(())
}

/// `max_replicas  26 → 12  maxReplicas is 12; the work needs 26.`
fn line(step: &Step, sentence: &str) -> String {
    let rule = serde_json::to_value(&step.rule).unwrap_or_default();
    let name = rule.get("rule").and_then(|name| name.as_str());
    let (name, before, after) = (name.unwrap_or_default(), step.before, step.after);
    let change = format!("{before} → {after}");
    format!("{name:<16} {change:<11} {sentence}")
}

/// Who asked.
pub(super) fn named(key: &TargetKey) -> String {
    match key.is_unnamed() {
        true => "(no ScaledObject)".to_owned(),
        false => format!("{}/{}", key.namespace, key.name),
    }
}
