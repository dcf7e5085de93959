//! Whether there is anything to run for. KEDA takes an inactive object to zero past the HPA, so a fleet that keeps up must
//! not look inactive, and nothing looks inactive without certain knowledge.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::decision::Inputs;
use super::spec::TargetSpec;
use crate::policy::tuning::activation::{
    LONGEST_WINDOW, PAUSES, SHORTEST_WINDOW, SUPPOSED_COOLDOWN,
};

/// Time within which arrivals activate: as configured, else by how regularly messages came. KEDA's `cooldown` begins when it is over:
/// pauses between bursts count up to what both together bridge. A configured `activationBacklog` is so many messages within the
/// longest.
pub fn window(model: &GroupModel, spec: &TargetSpec, cooldown: Option<Duration>) -> Duration {
    let by_pauses = || {
        let pause = (spec.activation_backlog == 0)
            .then(|| model.longest_pause(LONGEST_WINDOW, cooldown.unwrap_or(SUPPOSED_COOLDOWN)))
            .flatten();
        pause.map_or(LONGEST_WINDOW, |pause| {
            let seconds = (pause * PAUSES).as_secs_f64().ceil();
            Duration::from_secs_f64(seconds).clamp(SHORTEST_WINDOW, LONGEST_WINDOW)
        })
    };
    spec.activation_window.unwrap_or_else(by_pauses)
}

/// What the observation says about activity, before holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivitySignal {
    /// Messages wait or arrived lately, or a consumer group is to be created by its first consumer.
    Active,
    /// Certainly nothing to do.
    Idle,
    /// Cannot be told: part of the stream is unknown, or arrivals were not watched for long enough.
    Unsure,
}

/// Active while backlog (without settled rests of batches) > `activationBacklog`, or more than that arrived within `activationWindow`, or the consumer group does
/// not exist yet on an existing stream, or a consumer at work holds what was delivered to it long ago: its pod is not to be ended.
pub fn signal(
    model: &GroupModel,
    facts: &GroupFacts,
    spec: &TargetSpec,
    now: Timestamp,
    inputs: &Inputs,
    last_active: Option<bool>,
) -> ActivitySignal {
    let arrived = inputs.arrived_in_window.unwrap_or(0);
    let backlog = facts.backlog.map_or(0, Quantity::value);
    let waiting = backlog.saturating_sub(facts.settled);
    if waiting > spec.activation_backlog
        || arrived > spec.activation_backlog
        || facts.partitions_without_group > 0
        || facts.stuck_in_work > 0
    {
        return ActivitySignal::Active;
    }
    let counted = facts.backlog.is_some_and(Quantity::is_exact);
    // Nobody at work and nothing waiting: what arrived before we watched has been dealt with, unless it was us who said there is work.
    let is_over = facts.consumers == Some(0) && last_active != Some(true);
    let watched = is_over || model.watched_for(inputs.activation_window, now);
    if counted && watched {
        ActivitySignal::Idle
    } else {
        ActivitySignal::Unsure
    }
}
