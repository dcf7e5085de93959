//! Targets as JSON: the answer to KEDA, its reason, and its inputs.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::adapters::view::{GroupView, Labels, TargetView};
use crate::adapters::views::HttpState;
use crate::group::event::TargetKey;
use crate::model::time::Timestamp;
use crate::policy::decision::Reason;
use crate::policy::forecast::Forecasting;
use crate::policy::rule::Limit;
use crate::policy::spec::{Mode, TargetSpec};
use crate::registry::Registry;
use crate::replication::view::ReplicaView;
use crate::scaled_object::{FallbackBehavior, ObjectKind, Pause, PodsWaiting, ReplicasObserved};

use super::decision::{InputsShape, StepShape};
use super::values::{number, rfc3339};

/// The ScaledObject behind a target, and when KEDA last called for it.
pub(super) struct Askers {
    labels: Labels,
    called: HashMap<TargetKey, Timestamp>,
    /// Who there is to own groups, where there are several replicas.
    replicas: Option<Arc<ReplicaView>>,
}

impl Askers {
    /// All of them.
    pub(super) fn of(state: &HttpState) -> Self {
        let registry = &state.registry;
        Self {
            labels: registry.labels(),
            called: registry.last_called(),
            replicas: state.views.members.as_ref().map(|members| members.view()),
        }
    }

    /// The replica that owns a group, and what this one does for it.
    pub(super) fn replica_of(&self, group: &GroupView) -> Option<ReplicaShape> {
        let view = self.replicas.as_ref()?;
        let key = &group.definition().key;
        Some(ReplicaShape {
            owner: view.owner(key).map(str::to_owned),
            role: view.role(key).as_str(),
        })
    }

    /// Nobody kept when they called.
    pub(super) fn of_the_past(registry: &Registry) -> Self {
        Self {
            labels: registry.labels(),
            called: HashMap::new(),
            replicas: None,
        }
    }

    /// What their ScaledObjects are called.
    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The targets of a group.
    pub(super) fn targets_of(&self, group: &GroupView) -> Vec<TargetShape> {
        let targets = group.targets(&self.labels).into_iter();
        targets
            .map(|target| TargetShape::of(&target, self.called.get(target.key).copied()))
            .collect()
    }
}

/// Where a group is led, where there are several replicas.
#[derive(Serialize)]
pub(super) struct ReplicaShape {
    /// The replica that polls it and decides; null while none is ready.
    owner: Option<String>,
    /// Of the replica that tells this: `owner`, `standby`, `bystander`.
    role: &'static str,
}

#[derive(Serialize)]
pub(super) struct TargetShape {
    scaled_object: String,
    mode: &'static str,
    /// When KEDA last called for it; null without a ScaledObject.
    last_asked_at: Option<String>,
    desired: Option<u32>,
    /// The answer to KEDA: replicas, in `backlog` mode messages; null while the answer is an error.
    emitted: Option<serde_json::Number>,
    active: Option<bool>,
    current: Option<u32>,
    limit: Option<Limit>,
    reason: Option<Reason>,
    text: String,
    /// The ScaledObject as read from the Kubernetes API.
    kubernetes: Option<KubernetesShape>,
    /// In words: where it contradicts the policy.
    warnings: Vec<String>,
    /// What holds for it, config and metadata together.
    policy: PolicyShape,
    /// What the decision rests on.
    inputs: Option<InputsShape>,
    /// How the decision came about.
    steps: Vec<StepShape>,
}

impl TargetShape {
    fn of(target: &TargetView<'_>, last_called: Option<Timestamp>) -> Self {
        let decision = target.decision();
        Self {
            scaled_object: target.scaled_object.clone(),
            mode: mode(&target.target.spec),
            last_asked_at: last_called.map(rfc3339),
            desired: decision.and_then(|d| d.desired),
            emitted: target.answer.as_ref().ok().and_then(|a| number(a.metric)),
            active: target.active(),
            current: target.current(),
            limit: decision.map(|d| d.limit),
            reason: decision.map(|d| d.reason),
            text: target.text().to_owned(),
            kubernetes: target.target.kubernetes.as_ref().map(KubernetesShape::of),
            warnings: target.warnings(),
            policy: PolicyShape::of(&target.target.spec),
            inputs: decision.map(|d| InputsShape::of(&d.inputs)),
            steps: decision.map_or_else(Vec::new, StepShape::all),
        }
    }
}

#[derive(Serialize)]
struct KubernetesShape {
    kind: ObjectKind,
    current: Option<u32>,
    asked: Option<u32>,
    ready: Option<u32>,
    hpa_desired: Option<u32>,
    /// Why pods do not become ready.
    waiting: Option<PodsWaiting>,
    triggers: u32,
    has_formula: bool,
    min_replicas: u32,
    max_replicas: u32,
    paused: Option<Pause>,
    fallback_replicas: Option<u32>,
    fallback_behavior: FallbackBehavior,
    polling_interval_seconds: Option<u32>,
    cooldown_seconds: Option<u32>,
    scale_down_window_seconds: Option<u32>,
    tolerance_up_milli: Option<u32>,
    tolerance_down_milli: Option<u32>,
}

impl KubernetesShape {
    fn of(seen: &ReplicasObserved) -> Self {
        let object = &seen.object;
        Self {
            kind: object.kind,
            current: seen.current,
            asked: seen.asked,
            ready: seen.ready,
            hpa_desired: seen.hpa.as_ref().and_then(|hpa| hpa.desired),
            waiting: seen.waiting.clone(),
            triggers: object.triggers,
            has_formula: object.has_formula,
            min_replicas: object.min_replicas,
            max_replicas: object.max_replicas,
            paused: object.paused,
            fallback_replicas: object.fallback_replicas,
            fallback_behavior: object.fallback_behavior,
            polling_interval_seconds: object.polling_interval_seconds,
            cooldown_seconds: object.cooldown_seconds,
            scale_down_window_seconds: object.scale_down_window_seconds,
            tolerance_up_milli: object.tolerance_up_milli,
            tolerance_down_milli: object.tolerance_down_milli,
        }
    }
}

/// Everything that holds for a target, defaults included, in the terms of the config. Times are seconds.
#[derive(Serialize)]
struct PolicyShape {
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
    fn of(spec: &TargetSpec) -> Self {
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
const fn mode(spec: &TargetSpec) -> &'static str {
    match spec.mode {
        Mode::Replicas => "replicas",
        Mode::Jobs => "jobs",
        Mode::Backlog { .. } => "backlog",
    }
}
