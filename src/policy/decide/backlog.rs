//! `backlog` mode: one metric with a fixed threshold per replica, as KEDA's built-in scalers.

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::decision::{Decision, Inputs, Metric, Reason};
use crate::policy::explain;
use crate::policy::rule::Limit;
use crate::policy::rule::{Bound, Counted, Rule};
use crate::policy::spec::Measure;
use crate::policy::steps::Steps;
use crate::policy::target::TargetState;

pub(super) fn decide_backlog(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &TargetState,
    inputs: Inputs,
    mode: Counted,
) -> Decision {
    let Counted {
        measure, threshold, ..
    } = mode;
    let counted = match measure {
        Measure::Backlog | Measure::UnprocessedEvents => facts.backlog_or_length,
        Measure::StreamLength => facts.length,
        _ if facts.partitions_without_group > 0 => facts.backlog_or_length,
        Measure::Lag => facts.lag,
        Measure::Pending => facts.pending,
    };
    let Some(counted) = counted else {
        let text = explain::unknown(facts);
        return Decision::unavailable(now, inputs, Limit::None, text);
    };
    let Some(active) = is_active(now, model, target, &inputs, measure, counted) else {
        let text = explain::unsure(&inputs);
        return Decision::unavailable(now, inputs, Limit::None, text);
    };
    let mode = Counted {
        is_at_least: !counted.is_exact(),
        ..mode
    };
    let mut steps = Steps::counted(counted.value(), Rule::Counted(mode));
    if measure == Measure::UnprocessedEvents {
        // As KEDA: consumers beyond one per partition have nothing to do. Activity knows no such cap.
        let bound = threshold.saturating_mul(u64::from(inputs.partitions));
        let rule = Rule::PartitionCount(Bound { bound });
        steps.change(steps.total().min(bound), rule);
    }
    if !counted.is_exact() {
        let last = target.last_metric.map_or(0, |last| last.milli / 1_000);
        steps.change(steps.total().max(last), Rule::Uncertain);
    }
    if inputs.paused.is_some() {
        steps.note(Rule::Paused);
    }
    let reason = match (active, target.last_active) {
        (true, Some(false) | None) => Reason::Activation,
        (true, Some(true)) => Reason::Backlog,
        (false, _) => Reason::Idle,
    };
    Decision {
        at: now,
        metric: Some(Metric::whole(steps.total())),
        active: Some(active),
        desired: None,
        limit: steps.limit(),
        reason,
        text: explain::backlog(&steps, active, &inputs),
        steps,
        inputs,
    }
}

/// Whether there is anything to run for; `None` where neither is certain.
fn is_active(
    now: Timestamp,
    model: &GroupModel,
    target: &TargetState,
    inputs: &Inputs,
    measure: Measure,
    counted: Quantity,
) -> Option<bool> {
    let least = target.spec.activation_backlog;
    let arrived = measure == Measure::Backlog && inputs.arrived_in_window.unwrap_or(0) > least;
    let watched = measure != Measure::Backlog
        || model.watched_for(inputs.activation_window, now)
        || inputs.current == Some(0);
    match counted {
        _ if arrived || counted.value() > least => Some(true),
        Quantity::Exact(_) if watched => Some(false),
        _ => target.last_active.filter(|active| *active),
    }
}
