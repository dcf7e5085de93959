//! A decision as JSON, with what it was computed from.

use serde::Serialize;

use crate::adapters::view::{Labels, label_of};
use crate::policy::answering::Answering;
use crate::policy::decision::{CapacitySource, Decision, Inputs, Reason};
use crate::policy::explain;
use crate::policy::replicas::ReplicaSource;
use crate::policy::rule::Limit;
use crate::policy::steps::Step;
use crate::publish::DecisionRecord;
use crate::scaled_object::Pause;

use super::values::{QuantityShape, Thousandths, number, rfc3339};

/// A decision that changed an answer.
#[derive(Serialize)]
pub(super) struct DecisionShape {
    at: String,
    group: String,
    scaled_object: String,
    desired: Option<u32>,
    emitted: Option<serde_json::Number>,
    active: Option<bool>,
    current: Option<u32>,
    limit: Limit,
    reason: Reason,
    text: String,
    steps: Vec<StepShape>,
    inputs: InputsShape,
}

impl DecisionShape {
    pub(super) fn of(group: &str, record: &DecisionRecord, labels: &Labels) -> Self {
        let decision = &record.decision;
        Self {
            at: rfc3339(decision.at),
            group: group.to_owned(),
            scaled_object: label_of(labels, &record.target),
            desired: decision.desired,
            emitted: decision.metric.and_then(number),
            active: decision.active,
            current: decision.inputs.current,
            limit: decision.limit,
            reason: decision.reason,
            text: decision.text.clone(),
            steps: StepShape::all(decision),
            inputs: InputsShape::of(&decision.inputs),
        }
    }
}

/// A rule that applied, and what it made of the count.
#[derive(Serialize)]
pub(super) struct StepShape {
    /// The rule's name.
    rule: serde_json::Value,
    before: u64,
    after: u64,
    /// Whether the count is from it.
    decides: bool,
    /// The step as a sentence; empty where another says it.
    text: String,
    /// What the rule computed with.
    figures: serde_json::Value,
}

impl StepShape {
    /// All of a decision, in order.
    pub(super) fn all(decision: &Decision) -> Vec<Self> {
        let deciding = decision.steps.deciding();
        let of = |step: &Step| {
            let mut rule = serde_json::to_value(step).unwrap_or_default();
            let mut take = |key| rule.get_mut(key).map(serde_json::Value::take);
            Self {
                rule: take("rule").unwrap_or_default(),
                before: step.before,
                after: step.after,
                decides: deciding == Some(step),
                text: explain::sentence(step, &decision.inputs),
                figures: rounded(take("figures").unwrap_or_else(|| serde_json::json!({}))),
            }
        };
        decision.steps.iter().map(of).collect()
    }
}

/// Every number with three decimals at most.
fn rounded(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (key, rounded(value)));
            serde_json::Value::Object(fields.collect())
        }
        serde_json::Value::Number(number) if number.is_f64() => {
            serde_json::to_value(number.as_f64().map(Thousandths)).unwrap_or_default()
        }
        other => other,
    }
}

/// What a decision was computed from.
#[derive(Serialize)]
pub(super) struct InputsShape {
    backlog: Option<QuantityShape>,
    uncommitted: u64,
    read_limit_per_second: Option<Thousandths>,
    arrival_per_second: Option<Thousandths>,
    surge_ratio: Option<Thousandths>,
    forecast_per_second: Option<Thousandths>,
    forecast_upper_per_second: Option<Thousandths>,
    forecast_largest_per_second: Option<Thousandths>,
    arrived_in_window: Option<u64>,
    activation_window_seconds: Thousandths,
    oldest_age_seconds: Option<Thousandths>,
    waiting_seconds: Option<Thousandths>,
    capacity_per_second: Option<Thousandths>,
    /// `configured`, `learned`, `estimated`, `unknown`.
    capacity_source: CapacitySource,
    capacity_samples_taken: u32,
    capacity_samples_needed: u32,
    /// `closed`, `open`, `half_open`.
    breaker: &'static str,
    hot_partitions: u32,
    stuck_partitions: u32,
    /// `fleet`, `part`, `jobs`.
    answering: Answering,
    desired_before: Option<u32>,
    current: Option<u32>,
    /// `kubernetes`, `consumers`, `unknown`.
    current_source: ReplicaSource,
    ready: Option<u32>,
    asked: Option<u32>,
    not_ready_since: Option<String>,
    paused: Option<Pause>,
    partitions: u32,
    recommended_partitions: Option<u32>,
    unknown_partitions: u32,
    partitions_without_group: u32,
    work_from_arrivals_per_second: Thousandths,
    work_from_backlog_per_second: Thousandths,
}

impl InputsShape {
    pub(super) fn of(inputs: &Inputs) -> Self {
        let (capacity_samples_taken, capacity_samples_needed) = inputs.capacity_samples;
        Self {
            backlog: inputs.backlog.map(QuantityShape::from),
            uncommitted: inputs.uncommitted,
            read_limit_per_second: inputs.read_limit_per_second.map(Thousandths),
            arrival_per_second: inputs.arrival_per_second.map(Thousandths),
            surge_ratio: inputs.surge_ratio.map(Thousandths),
            forecast_per_second: inputs.forecast_per_second.map(Thousandths),
            forecast_upper_per_second: inputs.forecast_upper_per_second.map(Thousandths),
            forecast_largest_per_second: inputs.forecast_largest_per_second.map(Thousandths),
            arrived_in_window: inputs.arrived_in_window,
            activation_window_seconds: Thousandths(inputs.activation_window.as_secs_f64()),
            oldest_age_seconds: inputs.oldest_age_seconds.map(Thousandths),
            waiting_seconds: inputs.waiting_seconds.map(Thousandths),
            capacity_per_second: inputs.capacity_per_second.map(Thousandths),
            capacity_source: inputs.capacity_source,
            capacity_samples_taken,
            capacity_samples_needed,
            breaker: inputs.breaker.as_str(),
            hot_partitions: inputs.hot_partitions,
            stuck_partitions: inputs.stuck_partitions,
            answering: inputs.answering,
            desired_before: inputs.desired_before,
            current: inputs.current,
            current_source: inputs.current_source,
            ready: inputs.ready,
            asked: inputs.asked,
            not_ready_since: inputs.not_ready_since.map(rfc3339),
            paused: inputs.paused,
            partitions: inputs.partitions,
            recommended_partitions: inputs.recommended_partitions,
            unknown_partitions: inputs.unknown_partitions,
            partitions_without_group: inputs.partitions_without_group,
            work_from_arrivals_per_second: Thousandths(inputs.work_from_arrivals_per_second),
            work_from_backlog_per_second: Thousandths(inputs.work_from_backlog_per_second),
        }
    }
}
