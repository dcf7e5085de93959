//! All that is known and decided of one group: what its model learned, its targets, its incidents. It changes only by `apply`, so
//! that a journal of events is enough to compute it again. Pure, like the model and the policy.

mod absent;
pub mod event;
mod held_target;
pub mod remembered;
mod spans;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::capacity::CapacityRules;
use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::incident::Incidents;
use crate::model::sample::{Failure, PartitionObservation, Sample};
use crate::model::time::{Timestamp, WallOffset, moved_by};

use crate::policy::decide::decide;
use crate::policy::decision::Decision;
use crate::policy::spec::TargetSpec;
use crate::policy::target::TargetState;

use self::absent::Absent;
use self::event::{Event, TargetKey, What};
use self::held_target::{HeldTarget, HeldTargets};
use self::remembered::Remembered;
use self::told::told;

/// All that is known and decided of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    model: GroupModel,
    /// Shared with what is published, and the same as long as nothing of it changed.
    facts: Arc<GroupFacts>,
    /// Boxed, for they are large, and a map of one has room for eleven.
    targets: BTreeMap<TargetKey, Box<TargetState>>,
    absent: Absent,
    last_failure: Option<Failure>,
    decided_at: Option<Timestamp>,
    incidents: Incidents,
}

impl GroupState {
    /// A group of which nothing is known.
    pub fn new(rules: CapacityRules) -> Self {
        Self {
            model: GroupModel::new(rules),
            facts: Arc::default(),
            targets: BTreeMap::new(),
            absent: Absent::default(),
            last_failure: None,
            decided_at: None,
            incidents: Incidents::default(),
        }
    }

    /// Whether every target certainly has nothing to run for.
    pub fn is_inactive(&self) -> bool {
        let is_inactive = |target: &TargetState| {
            let decision = target.decision.as_ref();
            decision.and_then(|decision| decision.active) == Some(false)
        };
        !self.targets.is_empty() && self.targets.values().all(|target| is_inactive(target))
    }

    /// Takes in one event; returns the targets whose answer is another than before, with their new decisions.
    pub fn apply(&mut self, event: &Event) -> Vec<(TargetKey, Decision)> {
        match &event.what {
            What::Observed(Ok(sample)) => self.observed(event.at, sample),
            What::Observed(Err(failure)) => {
                self.last_failure = Some(failure.clone());
                Vec::new()
            }
            What::TargetRegistered(key, spec) => self.registered(event.at, key, spec, false),
            What::TargetAwaited(key, spec) => self.registered(event.at, key, spec, true),
            What::TargetInherits(from, to) => {
                self.inherit(from, to);
                Vec::new()
            }
            What::TargetExpired(key) => {
                self.targets.remove(key);
                Vec::new()
            }
            What::SignalObserved(signal, reading) => {
                // Weighed at the next observation of the group. It never touches a target.
                self.model.signal(*signal, reading);
                Vec::new()
            }
            What::Restored(remembered) => {
                self.restore(event.at, remembered);
                Vec::new()
            }
            What::Resumed { moved, wall } => {
                self.resume(event.at, *moved);
                self.wall_clock_set(*wall);
                Vec::new()
            }
            What::StartedOver => {
                self.start_over(event.at);
                Vec::new()
            }
            What::WallClockSet(wall) => {
                self.wall_clock_set(*wall);
                Vec::new()
            }
            What::SignalForgotten(signal) => {
                self.model.forget_signal(*signal);
                Vec::new()
            }
            What::ReplicasObserved(key, reading) => {
                let Some(target) = self.targets.get_mut(key) else {
                    return Vec::new();
                };
                target.replicas.observed(event.at, reading);
                // Else it is weighed at the next observation of the group, seconds from now.
                let was_awaited = target.object_awaited_since.take().is_some();
                let decided_at = self.decided_at.filter(|_| was_awaited);
                let decided = decided_at.and_then(|at| self.decide(at, key.clone()));
                decided.into_iter().collect()
            }
        }
    }

    /// What is known of the group.
    pub fn facts(&self) -> &Arc<GroupFacts> {
        &self.facts
    }

    /// Whether anything was observed.
    pub fn was_observed(&self) -> bool {
        self.model.first_observed_at().is_some()
    }

    /// Every target.
    pub fn targets(&self) -> &BTreeMap<TargetKey, Box<TargetState>> {
        &self.targets
    }

    /// The events that tell another state of the same targets.
    pub fn asking(&self, at: Timestamp) -> Vec<Event> {
        let events = self.targets.iter().map(|(key, target)| {
            let spec = Box::new(target.spec.clone());
            match target.object_awaited_since {
                Some(_) => What::TargetAwaited(key.clone(), spec),
                None => What::TargetRegistered(key.clone(), spec),
            }
        });
        events.map(|what| Event { at, what }).collect()
    }

    /// Why the last poll brought nothing, or not everything.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// When the observation that the decisions rest on was made.
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.decided_at
    }

    /// What happened to the group.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// A copy of what is to be kept over a restart.
    pub fn remembered(&self) -> Remembered {
        Remembered {
            learned: self.model.learned(),
            incidents: Some(self.incidents.clone()),
            targets: self.decided_at.map(|at| {
                let targets = self.absent.iter().chain(&self.targets);
                let targets = targets.map(|(key, target)| {
                    let key = (&*key.namespace, &*key.name, key.metadata_hash);
                    HeldTarget::of(key, target)
                });
                HeldTargets {
                    at,
                    targets: targets.collect(),
                }
            }),
        }
    }

    /// Later it would be older than what is known.
    fn restore(&mut self, now: Timestamp, remembered: &Remembered) {
        if self.was_observed() {
            return;
        }
        self.model.restore(remembered.learned.clone());
        if let Some(incidents) = &remembered.incidents {
            self.incidents = incidents.clone();
        }
        if let Some(HeldTargets { at, targets }) = &remembered.targets {
            let targets = targets.iter().filter_map(|target| {
                let (namespace, name, metadata_hash, target) = target.target(now)?;
                let key = TargetKey {
                    namespace,
                    name,
                    metadata_hash,
                };
                Some((key, target))
            });
            self.absent.leave(*at, targets.collect());
            self.absent.forget(now);
            // Who asked before it was read goes on as who asks later.
            for (key, target) in &mut self.targets {
                if let Some(mut back) = self.absent.take(key) {
                    back.spec = target.spec.clone();
                    back.object_awaited_since = target.object_awaited_since;
                    *target = back;
                }
            }
        }
    }

    fn start_over(&mut self, at: Timestamp) {
        *self = Self {
            model: self.model.start_over(),
            facts: Arc::new(GroupFacts {
                wall: self.facts.wall,
                ..GroupFacts::default()
            }),
            targets: std::mem::take(&mut self.targets),
            absent: std::mem::take(&mut self.absent),
            last_failure: None,
            decided_at: None,
            incidents: Incidents::default(),
        };
        for target in self.targets.values_mut() {
            **target = target.start_over(at);
        }
    }

    fn wall_clock_set(&mut self, wall: WallOffset) {
        self.model.wall_clock_set(wall);
        if self.facts.wall != wall {
            Arc::make_mut(&mut self.facts).wall = wall;
        }
    }

    fn resume(&mut self, at: Timestamp, moved: WallOffset) {
        if let Some(state) = self.moved_by(moved) {
            *self = state;
        }
        let absent = std::mem::take(&mut self.targets);
        self.absent.leave(at, absent);
    }

    /// With every time in it moved by so much; `None` where that changes nothing.
    fn moved_by(&self, moved: WallOffset) -> Option<Self> {
        if moved == WallOffset::default() {
            return None;
        }
        let bytes = rmp_serde::to_vec(self).ok()?;
        moved_by(moved, || rmp_serde::from_slice(&bytes)).ok()
    }

    fn observed(&mut self, at: Timestamp, sample: &Sample) -> Vec<(TargetKey, Decision)> {
        if self.observe(at, sample) {
            let keys: Vec<TargetKey> = self.targets.keys().cloned().collect();
            keys.into_iter()
                .filter_map(|key| self.decide(at, key))
                .collect()
        } else {
            // Nothing certain at all: the last decision stands and ages.
            Vec::new()
        }
    }

    /// Whether it can be decided on.
    #[tracing::instrument(skip_all, fields(partitions = sample.partitions.len()))]
    fn observe(&mut self, at: Timestamp, sample: &Sample) -> bool {
        self.absent.forget(at);
        let told = told(at, &self.targets);
        self.model.tell(told);
        self.model.observe(at, sample);
        let facts = self.model.facts();
        if facts != *self.facts {
            self.facts = Arc::new(facts);
        }
        let early = self.facts.early_capacity_per_consumer;
        let early = early.filter(|_| self.facts.is_early_capacity_proven);
        let learned = self.facts.capacity_per_consumer.or(early);
        let known = learned
            .or(told.capacity_per_consumer)
            .or(self.facts.proven_per_consumer);
        self.incidents.observe(at, &self.facts, known);
        self.last_failure = sample.partitions.values().find_map(|seen| match seen {
            PartitionObservation::Failed(failure) => Some(failure.clone()),
            _ => None,
        });
        // A stream that vanished is knowledge.
        let vanished = self.facts.vanished_partitions > 0 && self.last_failure.is_none();
        let is_known = self.facts.backlog.is_some() || vanished;
        if is_known {
            self.decided_at = Some(at);
        }
        is_known
    }

    fn registered(
        &mut self,
        at: Timestamp,
        key: &TargetKey,
        spec: &TargetSpec,
        awaits_object: bool,
    ) -> Vec<(TargetKey, Decision)> {
        let mut stands = true;
        if let Some(back) = self.absent.take(key) {
            stands = !self.absent.missed(self.decided_at);
            self.targets.insert(key.clone(), back);
        }
        match self.targets.get_mut(key) {
            // As before, so that a reload that changes nothing costs nothing.
            Some(target) if stands && target.spec == *spec && target.decision.is_some() => {
                return Vec::new();
            }
            Some(target) => {
                target.spec = spec.clone();
                // Of before an upgrade: what was read of the object is not kept.
                if target.decision.is_none() && awaits_object {
                    target.object_awaited_since.get_or_insert(at);
                }
            }
            None => {
                let target = TargetState {
                    object_awaited_since: awaits_object.then_some(at),
                    ..TargetState::new(spec.clone(), at)
                };
                self.targets.insert(key.clone(), Box::new(target));
            }
        }
        // Decided from the last observation, so that the first question has an answer; its age is that observation's.
        match self.decided_at {
            Some(observed_at) => self.decide(observed_at, key.clone()).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Everything but what is asked for.
    fn inherit(&mut self, from: &TargetKey, to: &TargetKey) {
        let Some(mut known) = self.targets.get(from).cloned() else {
            return;
        };
        if let Some(own) = self.targets.get(to) {
            known.spec = own.spec.clone();
        }
        self.targets.insert(to.clone(), known);
    }

    fn decide(&mut self, at: Timestamp, key: TargetKey) -> Option<(TargetKey, Decision)> {
        let target = self.targets.get_mut(&key)?;
        let span = spans::decide(&key);
        let mut decision = span.in_scope(|| decide(at, &self.model, &self.facts, target));
        spans::record(&span, &decision);
        if let Some(before) = &target.decision {
            let now = std::mem::replace(&mut decision.at, before.at);
            if decision != *before {
                decision.at = now;
            }
        }
        let answer = |d: &Decision| (d.metric, d.active, d.desired, d.limit);
        let changed = target.decision.as_ref().map(answer) != Some(answer(&decision));
        target.remember(&decision, changed);
        changed.then_some((key, decision))
    }
}

#[cfg(test)]
mod tests;
