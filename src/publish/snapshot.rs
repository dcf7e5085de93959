//! What is published: a group, what is known and decided of it, and decisions that changed an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::signals::SignalSources;
use crate::config::types::Granularity;
use crate::model::facts::GroupFacts;
use crate::model::identity::GroupKey;
use crate::model::incident::{Incident, IncidentKind};
use crate::model::sample::Failure;
use crate::model::stream::StreamSelector;
use crate::policy::decision::{Decision, Reason};
use crate::policy::event::TargetKey;
use crate::policy::replicas::{ReplicasObserved, Unread};
use crate::policy::spec::{PolicySettings, TargetSpec};

/// What a group is, unchanging while it is observed.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupDefinition {
    /// The `group` label.
    pub name: String,
    /// What is observed.
    pub key: GroupKey,
    /// The stream, expanded.
    pub selector: StreamSelector,
    /// How often it is polled.
    pub poll_interval: Duration,
    /// The group's own policy, under each trigger's.
    pub settings: PolicySettings,
    /// Signals that come from elsewhere than the stream.
    pub signals: SignalSources,
    /// How finely it is exported.
    pub granularity: Granularity,
    /// Whether the config names it; else it lives as long as somebody asks.
    pub configured: bool,
}

/// A group at a moment. Times are no part of it, so that it changes only when something did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupSnapshot {
    /// What is known; `observed_at` is left out.
    pub facts: GroupFacts,
    /// What is decided. The unnamed target is here only while no ScaledObject asks.
    pub targets: BTreeMap<TargetKey, TargetSnapshot>,
    /// What happened, oldest first: all that goes on, and the latest that are over.
    pub incidents: Vec<Incident>,
    /// How many are over, by what they turned out to be.
    pub incidents_total: BTreeMap<IncidentKind, u64>,
    /// Why the last poll brought nothing, or not everything.
    pub failure: Option<Failure>,
}

/// One target at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSnapshot {
    /// What was asked for.
    pub spec: TargetSpec,
    /// What is answered; `None` before the first readable observation.
    pub decision: Option<Decision>,
    /// How often the answer changed, by reason.
    pub changes: BTreeMap<Reason, u64>,
    /// What the Kubernetes API told last, while that counts.
    pub kubernetes: Option<ReplicasObserved>,
    /// Why the last reading of it failed.
    pub kubernetes_failure: Option<Unread>,
}

/// A decision that changed an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// For whom.
    pub target: TargetKey,
    /// What.
    pub decision: Decision,
}
