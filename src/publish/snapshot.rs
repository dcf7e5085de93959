//! What is published: a group, what is known and decided of it, and decisions that changed an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::signals::SignalSources;
use crate::config::types::Granularity;
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::facts::GroupFacts;
use crate::model::identity::GroupKey;
use crate::model::incident::{Incident, IncidentKind};
use crate::model::sample::Failure;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::decision::{Decision, Reason};
use crate::policy::spec::{PolicySettings, TargetSpec};
use crate::policy::target::TargetState;
use crate::scaled_object::{ReplicasObserved, Unread};

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

/// A group at a moment. Times are no part of it, so that it changes only when something did. What did not change is shared with the
/// snapshot before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupSnapshot {
    /// What is known.
    pub facts: Arc<GroupFacts>,
    /// What is decided. The unnamed target is here only while no ScaledObject asks.
    pub targets: BTreeMap<TargetKey, Arc<TargetSnapshot>>,
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

impl GroupSnapshot {
    /// A state as it is shown.
    pub(super) fn of(state: &GroupState, now: Timestamp) -> Self {
        Self::default().renewed(state, now).unwrap_or_default()
    }

    /// What is to be published after `event` made `state` what it is; `None` if that is published already.
    pub(super) fn after(&self, event: &Event, state: &GroupState) -> Option<Self> {
        match &event.what {
            What::ReplicasObserved(key, _) => self.with_target(key, state, event.at),
            _ => self.renewed(state, event.at),
        }
    }

    /// With that target as it is now.
    fn with_target(&self, key: &TargetKey, state: &GroupState, now: Timestamp) -> Option<Self> {
        let (shown, target) = (self.targets.get(key)?, state.targets().get(key)?);
        if shown.shows(target, now) {
            return None;
        }
        let mut next = self.clone();
        let target = Arc::new(TargetSnapshot::of(target, now));
        next.targets.insert(key.clone(), target);
        Some(next)
    }

    fn renewed(&self, state: &GroupState, now: Timestamp) -> Option<Self> {
        let targets = self.targets_of(state, now);
        let incidents = state.incidents();
        let is_same = Arc::ptr_eq(&self.facts, state.facts())
            && targets.is_none()
            && incidents.iter().eq(&self.incidents)
            && incidents.totals() == self.incidents_total
            && state.last_failure() == self.failure.as_ref();
        (!is_same).then(|| Self {
            facts: Arc::clone(state.facts()),
            targets: targets.unwrap_or_else(|| self.targets.clone()),
            incidents: incidents.iter().cloned().collect(),
            incidents_total: incidents.totals(),
            failure: state.last_failure().cloned(),
        })
    }

    /// All that are to be shown; `None` if they are shown already.
    fn targets_of(
        &self,
        state: &GroupState,
        now: Timestamp,
    ) -> Option<BTreeMap<TargetKey, Arc<TargetSnapshot>>> {
        let named = state.targets().keys().any(|key| !key.is_unnamed());
        let targets = state.targets().iter().map(|(key, target)| (key, &**target));
        let targets = targets.filter(|(key, _)| !(named && key.is_unnamed()));
        let same = |key: &TargetKey, target: &TargetState| {
            let shown = self.targets.get(key);
            shown.filter(|shown| shown.shows(target, now))
        };
        let are_same = targets.clone().count() == self.targets.len()
            && targets
                .clone()
                .all(|(key, target)| same(key, target).is_some());
        let snapshot = |(key, target): (&TargetKey, &TargetState)| {
            let new = || Arc::new(TargetSnapshot::of(target, now));
            (key.clone(), same(key, target).map_or_else(new, Arc::clone))
        };
        (!are_same).then(|| targets.map(snapshot).collect())
    }
}

impl TargetSnapshot {
    fn of(target: &TargetState, now: Timestamp) -> Self {
        Self {
            spec: target.spec.clone(),
            decision: target.decision.clone(),
            changes: target.changes.clone(),
            kubernetes: target.replicas.seen_at(now).cloned(),
            kubernetes_failure: target.replicas.failure_at(now).cloned(),
        }
    }

    /// Whether the target is as this says.
    fn shows(&self, target: &TargetState, now: Timestamp) -> bool {
        self.spec == target.spec
            && self.decision == target.decision
            && self.changes == target.changes
            && self.kubernetes.as_ref() == target.replicas.seen_at(now)
            && self.kubernetes_failure.as_ref() == target.replicas.failure_at(now)
    }
}

/// A decision that changed an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// For whom.
    pub target: TargetKey,
    /// What.
    pub decision: Decision,
}
