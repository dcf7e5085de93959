//! Decisions in words: the steps as a person reads them in the API, the page, traces and the operator's events.

mod demand;
mod numbers;
mod step;

use std::time::Duration;

use crate::model::facts::GroupFacts;

use super::decision::Inputs;
use super::steps::{Step, Steps};
use numbers::{count, duration};

/// The text of a decision in `replicas` mode.
pub fn replicas(steps: &Steps, inputs: &Inputs) -> String {
    text(&count(steps.replicas(), "replica"), steps, inputs)
}

/// The text of a decision for jobs.
pub fn jobs(steps: &Steps, inputs: &Inputs) -> String {
    text(&count(steps.replicas(), "job"), steps, inputs)
}

/// The text of a decision in `backlog` mode.
pub fn backlog(steps: &Steps, active: bool, inputs: &Inputs) -> String {
    let mut text = String::new();
    for step in steps.iter() {
        push(&mut text, &sentence(step, inputs));
    }
    push(&mut text, if active { "Active." } else { "Inactive." });
    text
}

/// One step as a sentence; empty where another step says it all.
pub fn sentence(step: &Step, inputs: &Inputs) -> String {
    if step.opens() {
        let mut sentence = demand::first(step, inputs);
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        return sentence;
    }
    step::sentence(step, inputs)
}

/// The first step after the count, and all others as sentences of their own.
fn text(count: &str, steps: &Steps, inputs: &Inputs) -> String {
    let is_opening = |step: &&Step| step.opens();
    // The last of them: what wakes a target is said instead of the work that needs nothing.
    let opening = steps.iter().rev().find(is_opening);
    let why = opening.map_or_else(String::new, |step| demand::first(step, inputs));
    let mut text = format!("{count}: {why}");
    for step in steps.iter().filter(|step| !is_opening(step)) {
        push(&mut text, &step::sentence(step, inputs));
    }
    text
}

fn push(text: &mut String, sentence: &str) {
    if !text.is_empty() && !sentence.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}

/// Nothing of the number that is asked for is known.
pub fn unknown(facts: &GroupFacts) -> String {
    if facts.vanished_partitions > 0 {
        return "the stream vanished within the last minute; if it does not return, it counts as empty".to_owned();
    }
    let problem = facts.partitions.values().find_map(|p| p.problem.as_deref());
    let problem = problem.unwrap_or("see /api/v1/groups");
    format!("the backlog is not known yet: {problem}")
}

/// Neither activity nor inactivity is certain.
pub fn unsure(inputs: &Inputs) -> String {
    if inputs.unknown_partitions > 0 || inputs.backlog.is_none_or(|backlog| !backlog.is_exact()) {
        format!(
            "the backlog is not fully known ({} of {} unreadable), so the group cannot be reported as inactive; see /api/v1/groups for the reason",
            inputs.unknown_partitions,
            count(inputs.partitions, "partition"),
        )
    } else {
        format!(
            "arrivals have not been watched for {} yet, so the group cannot be reported as inactive",
            duration(inputs.activation_window)
        )
    }
}

/// What the answer is used for is yet to be learned.
pub const OBJECT_AWAITED: &str = "just registered: the ScaledObject is being read from the Kubernetes API, since a formula or other triggers change the answer; a value follows within seconds";

/// The start without memory.
pub fn too_early(left: Duration) -> String {
    format!(
        "just started: the running replicas are not visible and rates are not known yet; a value follows with the first poll after {}",
        duration(Duration::from_secs_f64(left.as_secs_f64().ceil()))
    )
}
