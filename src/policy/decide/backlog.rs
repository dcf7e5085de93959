//! `backlog` mode: one metric with a fixed threshold per replica, as KEDA's built-in scalers.

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::decision::{Decision, Inputs, Limit, Metric, Reason};
use crate::policy::explain;
use crate::policy::spec::Measure;
use crate::policy::state::TargetState;

use super::unavailable;

pub(super) fn decide_backlog(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &TargetState,
    inputs: Inputs,
    (threshold, measure): (u64, Measure),
) -> Decision {
    let counted = match measure {
        Measure::Backlog | Measure::UnprocessedEvents => facts.backlog_or_length,
        Measure::StreamLength => facts.length,
        _ if facts.partitions_without_group > 0 => facts.backlog_or_length,
        Measure::Lag => facts.lag,
        Measure::Pending => facts.pending,
    };
    let Some(counted) = counted else {
        return unavailable(now, inputs, Limit::None, explain::unknown(facts));
    };
    let spec = &target.spec;
    // As KEDA: consumers beyond one per partition have nothing to do. Activity knows no such cap.
    let most = (measure == Measure::UnprocessedEvents)
        .then(|| threshold.saturating_mul(u64::from(inputs.partitions)));
    let arrived = measure == Measure::Backlog
        && inputs.arrived_in_window.unwrap_or(0) > spec.activation_backlog;
    let watched = measure != Measure::Backlog
        || model.watched_for(inputs.activation_window, now)
        || inputs.current == Some(0);
    let active = match counted {
        _ if arrived || counted.value() > spec.activation_backlog => Some(true),
        Quantity::Exact(_) if watched => Some(false),
        _ => target.last_active.filter(|active| *active),
    };
    let Some(active) = active else {
        let text = explain::unsure(&inputs);
        return unavailable(now, inputs, Limit::None, text);
    };
    let capped = most.filter(|most| counted.value() > *most);
    let mut metric = Metric::whole(capped.unwrap_or(counted.value()));
    if !counted.is_exact() {
        metric.milli = metric
            .milli
            .max(target.last_metric.map_or(0, |last| last.milli));
    }
    let reason = match (active, target.last_active) {
        (true, Some(false) | None) => Reason::Activation,
        (true, Some(true)) => Reason::Backlog,
        (false, _) => Reason::Idle,
    };
    Decision {
        at: now,
        metric: Some(metric),
        active: Some(active),
        desired: None,
        limit: capped.map_or(Limit::None, |_| Limit::PartitionCount),
        reason,
        text: explain::backlog(counted, measure, threshold, active, capped, inputs.paused),
        inputs,
    }
}
