//! The policy of a target as JSON, in the config's own terms. Times are seconds.

use serde::Serialize;

use crate::policy::forecast::Forecasting;
use crate::policy::spec::{Mode, TargetSpec};

/// Everything that holds for a target, defaults included.
#[derive(Serialize)]
pub(super) struct PolicyShape {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog_threshold: Option<u64>,
    target_delay_seconds: f64,
    /// Null: learned.
    capacity_per_replica: Option<f64>,
    min_replicas: u32,
    max_replicas: u32,
    activation_backlog: u64,
    /// Null: by the pauses between arrivals.
    activation_window_seconds: Option<f64>,
    scale_in_hold_seconds: f64,
    assignment: &'static str,
    consumers_per_replica: u32,
    forecast: Forecasting,
}

impl PolicyShape {
    pub(super) fn of(spec: &TargetSpec) -> Self {
        let backlog_threshold = match spec.mode {
            Mode::Replicas | Mode::Jobs => None,
            Mode::Backlog { threshold, .. } => Some(threshold),
        };
        Self {
            mode: mode(spec),
            backlog_threshold,
            target_delay_seconds: spec.target_delay.as_secs_f64(),
            capacity_per_replica: spec.capacity_per_replica,
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            activation_backlog: spec.activation_backlog,
            activation_window_seconds: spec.activation_window.map(|window| window.as_secs_f64()),
            scale_in_hold_seconds: spec.hold().as_secs_f64(),
            assignment: spec.assignment.as_str(),
            consumers_per_replica: spec.consumers_per_replica,
            forecast: spec.forecast,
        }
    }
}

/// `replicas` or `backlog`.
pub(super) const fn mode(spec: &TargetSpec) -> &'static str {
    match spec.mode {
        Mode::Replicas => "replicas",
        Mode::Jobs => "jobs",
        Mode::Backlog { .. } => "backlog",
    }
}
