//! Decisions as spans: the answer and what it rests on as attributes, in the API's names.

use tracing::Span;
use tracing::field::Empty;

use crate::model::quantity::Quantity;

use super::event::TargetKey;
use crate::policy::decision::Decision;

/// The span of a decision to be made.
pub(super) fn decide(key: &TargetKey) -> Span {
    tracing::info_span!(
        "decide",
        namespace = key.namespace,
        scaled_object = key.name,
        desired = Empty,
        emitted = Empty,
        active = Empty,
        limit = Empty,
        reason = Empty,
        text = Empty,
        steps = Empty,
        backlog = Empty,
        arrival_per_second = Empty,
        capacity_per_second = Empty,
        capacity_source = Empty,
        oldest_age_seconds = Empty,
        current = Empty,
        current_source = Empty,
        ready = Empty,
        partitions = Empty,
        unknown_partitions = Empty,
        breaker = Empty,
    )
}

/// Notes what was decided. What is not known is left out.
pub(super) fn record(span: &Span, decision: &Decision) {
    if span.is_disabled() {
        return;
    }
    let inputs = &decision.inputs;
    span.record("desired", decision.desired);
    span.record("emitted", decision.metric.map(|metric| metric.as_f64()));
    span.record("active", decision.active);
    span.record("limit", decision.limit.as_str());
    span.record("reason", decision.reason.as_str());
    span.record("text", &decision.text);
    span.record("steps", serde_json::to_string(&decision.steps).ok());
    span.record("backlog", inputs.backlog.map(Quantity::value));
    span.record("arrival_per_second", inputs.arrival_per_second);
    span.record("capacity_per_second", inputs.capacity_per_second);
    span.record("capacity_source", word(&inputs.capacity_source));
    span.record("oldest_age_seconds", inputs.oldest_age_seconds);
    span.record("current", inputs.current);
    span.record("current_source", word(&inputs.current_source));
    span.record("ready", inputs.ready);
    span.record("partitions", inputs.partitions);
    span.record("unknown_partitions", inputs.unknown_partitions);
    span.record("breaker", inputs.breaker.as_str());
}

/// As it stands in the API.
fn word(value: &impl serde::Serialize) -> Option<String> {
    let value = serde_json::to_value(value).ok()?;
    value.as_str().map(str::to_owned)
}
