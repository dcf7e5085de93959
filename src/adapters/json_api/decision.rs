//! A decision as JSON, with what it was computed from.

use serde::Serialize;

use crate::adapters::view::{Labels, label_of};
use crate::policy::answering::Answering;
use crate::policy::decision::{CapacitySource, Held, Inputs, Limit, Reason, ReplicaSource, Rule};
use crate::policy::replicas::Pause;
use crate::publish::DecisionRecord;

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
            inputs: InputsShape::of(&decision.inputs),
        }
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
    capacity_at_least_per_second: Option<Thousandths>,
    /// `closed`, `open`, `half_open`.
    breaker: &'static str,
    hot_partitions: u32,
    stuck_partitions: u32,
    /// `fleet`, `part`, `jobs`.
    answering: Answering,
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
    work_per_second: Option<Thousandths>,
    busiest_per_second: Option<Thousandths>,
    work_replicas: Option<u32>,
    work_replicas_if_shared: Option<u32>,
    /// What it asks for, or would ask for, with the forecast.
    work_replicas_with_forecast: Option<u32>,
    held_replicas: Option<u32>,
    hold_seconds: Thousandths,
    rule: Option<Rule>,
    held_by: Option<Held>,
    is_ineffective: bool,
    target_utilization_ratio: Thousandths,
    catch_up_seconds: Thousandths,
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
            capacity_at_least_per_second: inputs.capacity_at_least_per_second.map(Thousandths),
            breaker: inputs.breaker.as_str(),
            hot_partitions: inputs.hot_partitions,
            stuck_partitions: inputs.stuck_partitions,
            answering: inputs.answering,
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
            work_per_second: inputs.work_per_second.map(Thousandths),
            busiest_per_second: inputs.busiest_per_second.map(Thousandths),
            work_replicas: inputs.work_replicas,
            work_replicas_if_shared: inputs.work_replicas_if_shared,
            work_replicas_with_forecast: inputs.work_replicas_with_forecast,
            held_replicas: inputs.held_replicas,
            hold_seconds: Thousandths(inputs.hold_seconds),
            rule: inputs.rule,
            held_by: inputs.held_by,
            is_ineffective: inputs.is_ineffective,
            target_utilization_ratio: Thousandths(inputs.target_utilization_ratio),
            catch_up_seconds: Thousandths(inputs.catch_up_seconds),
        }
    }
}
