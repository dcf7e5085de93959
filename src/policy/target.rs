//! One target over time: all that its next decision depends on, and what was answered last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

use super::advice::Advisor;
use super::bootstrap::Bootstrap;
use super::decision::{Decision, Metric, Reason};
use super::effect::Effect;
use super::hold::Hold;
use super::replicas::ReplicaState;
use super::scale_history::ScaleHistory;
use super::spec::TargetSpec;
use super::tuning::target::OBJECT_TOLD_WITHIN;

/// One target over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetState {
    /// What was asked for.
    pub spec: TargetSpec,
    /// When it was first asked for: the start of its warm-up.
    pub registered_at: Timestamp,
    /// What is held against scale-in.
    pub hold: Hold,
    /// When it rose and fell, and what that says of the hold.
    pub scaled: ScaleHistory,
    /// What the last rise brought.
    pub effect: Effect,
    /// Steps taken while capacity is unknown.
    pub bootstrap: Bootstrap,
    /// Messages per second that were too much for one replica while capacity is unknown.
    #[serde(default)]
    pub too_much_for_one: Option<f64>,
    /// Loads that the advice on partitions rests on.
    pub advisor: Advisor,
    /// The most replicas seen running during the warm-up that somebody else asked for.
    pub warm_up_floor: u32,
    /// The most that was asked for here.
    #[serde(default)]
    pub most_asked: u32,
    /// What the Kubernetes API tells of it.
    pub replicas: ReplicaState,
    /// It is about to tell for the first time.
    #[serde(default)]
    pub object_awaited_since: Option<Timestamp>,
    /// The last wanted count.
    pub last_desired: Option<u32>,
    /// The last certain word on activity.
    pub last_active: Option<bool>,
    /// The last value given out.
    pub last_metric: Option<Metric>,
    /// What is answered until the next observation.
    pub decision: Option<Decision>,
    /// How often the answer changed, by reason.
    pub changes: BTreeMap<Reason, u64>,
}

impl TargetState {
    /// A target that is asked for from now on.
    pub fn new(spec: TargetSpec, registered_at: Timestamp) -> Self {
        Self {
            spec,
            registered_at,
            hold: Hold::default(),
            scaled: ScaleHistory::default(),
            effect: Effect::default(),
            bootstrap: Bootstrap::default(),
            too_much_for_one: None,
            advisor: Advisor::default(),
            warm_up_floor: 0,
            most_asked: 0,
            replicas: ReplicaState::default(),
            object_awaited_since: None,
            last_desired: None,
            last_active: None,
            last_metric: None,
            decision: None,
            changes: BTreeMap::new(),
        }
    }

    /// Nothing of what decisions are computed from, but what was answered: it stands until the next, and no answer is below what
    /// runs for a hold.
    pub fn start_over(&self, at: Timestamp) -> Self {
        Self {
            most_asked: self.most_asked,
            replicas: self.replicas.clone(),
            last_desired: self.last_desired,
            last_active: self.last_active,
            last_metric: self.last_metric,
            decision: self.decision.clone(),
            changes: self.changes.clone(),
            ..Self::new(self.spec.clone(), at)
        }
    }

    /// Whether it may yet turn out to be a part of something, or to be jobs. A cluster that says nothing is not waited for any
    /// longer.
    pub fn awaits_object(&self, now: Timestamp) -> bool {
        self.object_awaited_since
            .is_some_and(|since| now.since(since) < OBJECT_TOLD_WITHIN)
    }

    /// Notes what was decided, and whether that is another answer than before.
    pub fn remember(&mut self, decision: &Decision, changed: bool) {
        self.last_desired = decision.desired.or(self.last_desired);
        self.last_active = decision.active.or(self.last_active);
        self.last_metric = decision.metric.or(self.last_metric);
        if let (Some(metric), Some(_)) = (decision.metric, decision.desired) {
            let asked = u32::try_from(metric.ceil()).unwrap_or(u32::MAX);
            self.most_asked = self.most_asked.max(asked);
        }
        if changed {
            *self.changes.entry(decision.reason).or_default() += 1;
        }
        self.decision = Some(decision.clone());
    }
}
