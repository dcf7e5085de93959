//! A group as every adapter shows it at a moment: the one place that says what is too old or unreadable to be shown.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::group::event::TargetKey;
use crate::model::facts::{GroupFacts, PartitionFacts, PartitionStatus};
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::decision::Decision;
use crate::policy::freshness::Freshness;
use crate::policy::spec::TargetSpec;
use crate::publish::past::Column;
use crate::publish::{
    Answer, DecisionRecord, Group, GroupDefinition, GroupSnapshot, NoAnswer, TargetSnapshot,
};
use crate::registry::Registry;
use crate::registry::agreement;

use super::natural_order;

/// The current time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The `scaled_object` labels of registered targets.
pub type Labels = HashMap<TargetKey, String>;

/// What is known of a partition that was never read.
static UNSEEN: LazyLock<PartitionFacts> = LazyLock::new(PartitionFacts::default);

/// One group at one moment.
#[derive(Debug)]
pub struct GroupView {
    group: Arc<Group>,
    snapshot: Arc<GroupSnapshot>,
    spec: TargetSpec,
    now: Timestamp,
    /// When the last readable observation was made; `None` before the first.
    pub observed_at: Option<Timestamp>,
    /// Its age class.
    pub freshness: Option<Freshness>,
}

/// Every group at `now`, by name in natural order.
pub fn groups(registry: &Registry, now: Timestamp) -> Vec<GroupView> {
    let mut views: Vec<GroupView> = registry
        .groups()
        .into_iter()
        .map(|group| GroupView::new(group, now))
        .collect();
    views.sort_by(|a, b| natural_order::compare(&a.definition().name, &b.definition().name));
    views
}

/// The `scaled_object` label: the registry's while it knows the target, else the ScaledObject's name; empty without a ScaledObject.
pub fn label_of(labels: &Labels, key: &TargetKey) -> String {
    match labels.get(key) {
        Some(label) => label.clone(),
        None if key.is_unnamed() => String::new(),
        None => format!("{}/{}", key.namespace, key.name),
    }
}

impl GroupView {
    /// A group as it stands at `now`.
    pub fn new(group: Arc<Group>, now: Timestamp) -> Self {
        // In this order the snapshot is never older than its time.
        let observed_at = group.decided_at();
        let freshness = group.freshness(now);
        Self {
            snapshot: group.snapshot(),
            spec: group.definition().settings.resolve(),
            group,
            now,
            observed_at,
            freshness,
        }
    }

    /// What the group is.
    pub fn definition(&self) -> &GroupDefinition {
        self.group.definition()
    }

    /// Whether this process polls it and decides.
    pub fn is_led_here(&self) -> bool {
        !self.group.follows()
    }

    /// Whether it must be shown again: it was observed, or has changed otherwise.
    pub fn has_changed_since(&self, before: &Self) -> bool {
        !Arc::ptr_eq(&self.snapshot, &before.snapshot)
            || self.observed_at != before.observed_at
            || self.freshness != before.freshness
    }

    /// The group's own policy, resolved.
    pub fn spec(&self) -> &TargetSpec {
        &self.spec
    }

    /// How often its state was reset after a bug.
    pub fn restarts(&self) -> u64 {
        self.group.restarts()
    }

    /// What is published.
    pub fn snapshot(&self) -> &GroupSnapshot {
        &self.snapshot
    }

    /// Decisions that changed an answer, newest first.
    pub fn history(&self) -> Vec<DecisionRecord> {
        self.group.history()
    }

    /// Its near past; see [`Group::columns`].
    pub fn columns(&self, seconds: u64) -> (Duration, Vec<Column>) {
        self.group.columns(seconds, self.now)
    }

    /// Whether the observation is young enough to be shown.
    pub fn is_usable(&self) -> bool {
        matches!(self.freshness, Some(Freshness::Fresh | Freshness::Stale))
    }

    /// What is known; `None` while nothing is, or once it is too old.
    pub fn facts(&self) -> Option<&GroupFacts> {
        self.is_usable().then_some(self.snapshot.facts.as_ref())
    }

    /// Messages per second that one replica of the group's own policy does.
    pub fn capacity_per_replica(&self) -> Option<f64> {
        let facts = self.facts()?;
        let seen = facts
            .capacity_per_consumer
            .or(facts.early_capacity_per_consumer);
        let per_replica = seen.map(|rate| rate * f64::from(self.spec.consumers_per_replica));
        self.spec.capacity_per_replica.or(per_replica)
    }

    /// Messages per second that the replicas at work do together: the ready ones, or where these cannot be seen the active
    /// consumers.
    fn capacity(&self) -> Option<f64> {
        let consumers = self.facts()?.consumers;
        let by_consumers =
            || consumers.map(|count| count.div_ceil(self.spec.consumers_per_replica.max(1)));
        let replicas = self.ready_replicas().or_else(by_consumers)?;
        Some(self.capacity_per_replica()? * f64::from(replicas))
    }

    /// Ready replicas of all ScaledObjects together; `None` unless they are known of each.
    fn ready_replicas(&self) -> Option<u32> {
        let targets = &self.snapshot.targets;
        let named = targets.iter().filter(|(key, _)| !key.is_unnamed());
        let of_object = named.map(|(key, target)| {
            let object = (&key.namespace, &key.name);
            Some((object, target.kubernetes.as_ref()?.ready?))
        });
        let of_objects: BTreeMap<_, u32> = of_object.collect::<Option<_>>()?;
        (!of_objects.is_empty()).then(|| of_objects.values().sum())
    }

    /// Arrivals ÷ what the running replicas do.
    pub fn utilization_ratio(&self) -> Option<f64> {
        let capacity = self.capacity().filter(|capacity| *capacity > 0.0)?;
        Some(self.facts()?.arrival_per_second? / capacity)
    }

    /// Seconds until the running replicas are through; `None` unless they gain on the arrivals.
    pub fn drain_seconds(&self) -> Option<f64> {
        let facts = self.facts()?;
        let backlog = facts.backlog.and_then(Quantity::exact)?;
        let gain = self.capacity()? - facts.arrival_per_second?;
        (gain > 0.0).then(|| backlog as f64 / gain)
    }

    /// Partitions that would do, the most of what any target's capacity asks for; `None` where assignment is not exclusive.
    pub fn recommended_partitions(&self) -> Option<u32> {
        self.facts()?;
        let decisions = self
            .snapshot
            .targets
            .values()
            .filter_map(|t| t.decision.as_ref());
        decisions
            .filter_map(|d| d.inputs.recommended_partitions)
            .max()
    }

    /// Every partition, in natural order. Keys that the config names are there, as unknown, before they were ever read.
    pub fn partitions(&self) -> Vec<PartitionView<'_>> {
        let usable = self.is_usable();
        let view = |(id, facts)| PartitionView { id, facts, usable };
        let seen = &self.snapshot.facts.partitions;
        let mut partitions: Vec<PartitionView<'_>> = match &self.definition().selector {
            StreamSelector::Keys(keys) if seen.is_empty() => {
                let named = keys.iter().map(|(_, id)| (id, &*UNSEEN));
                named.map(view).collect()
            }
            _ => seen.iter().map(view).collect(),
        };
        partitions.sort_by(|a, b| natural_order::compare(a.name(), b.name()));
        partitions
    }

    /// Every target, by its label in natural order.
    pub fn targets(&self, labels: &Labels) -> Vec<TargetView<'_>> {
        let mut targets: Vec<TargetView<'_>> = self
            .snapshot
            .targets
            .iter()
            .map(|(key, target)| TargetView {
                key,
                scaled_object: label_of(labels, key),
                target,
                usable: self.is_usable(),
                answer: self.group.answer(key, self.now),
                activity: self.group.activity(key, self.now).ok(),
            })
            .collect();
        targets.sort_by(|a, b| natural_order::compare(&a.scaled_object, &b.scaled_object));
        targets
    }
}

/// One partition at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PartitionView<'a> {
    id: &'a PartitionId,
    facts: &'a PartitionFacts,
    usable: bool,
}

impl<'a> PartitionView<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.id.as_str()
    }

    /// What is known of it; `None` once that is too old.
    pub fn facts(&self) -> Option<&'a PartitionFacts> {
        self.usable.then_some(self.facts)
    }

    /// What it is like.
    pub fn status(&self) -> PartitionStatus {
        self.facts().map_or(PartitionStatus::Unknown, |f| f.status)
    }

    /// Its counters: they stand however old the last observation is.
    pub fn counters(&self) -> &'a PartitionFacts {
        self.facts
    }

    /// Unfinished messages.
    pub fn backlog(&self) -> Option<Quantity> {
        self.facts()?.backlog
    }

    /// Arrivals per second; `None` for a partition that could not be read, whose window covers only the past.
    pub fn arrival_per_second(&self) -> Option<f64> {
        self.readable()?.arrival_per_second
    }

    /// Processed per second, likewise.
    pub fn processing_per_second(&self) -> Option<f64> {
        self.readable()?.processing_per_second
    }

    fn readable(&self) -> Option<&'a PartitionFacts> {
        self.facts()
            .filter(|facts| facts.status != PartitionStatus::Unknown || facts.pending.is_some())
    }
}

/// One target at one moment.
#[derive(Debug)]
pub struct TargetView<'a> {
    /// The ScaledObject's trigger.
    pub key: &'a TargetKey,
    /// Its label.
    pub scaled_object: String,
    /// What is published of it.
    pub target: &'a TargetSnapshot,
    usable: bool,
    /// The answer to KEDA now.
    pub answer: Result<Answer, NoAnswer>,
    activity: Option<bool>,
}

impl<'a> TargetView<'a> {
    /// The decision; `None` before the first, and once the observation behind it is too old.
    pub fn decision(&self) -> Option<&'a Decision> {
        self.target.decision.as_ref().filter(|_| self.usable)
    }

    /// Whether KEDA is answered active; `None` while the answer is an error.
    pub fn active(&self) -> Option<bool> {
        self.activity
    }

    /// Replicas that run: by the Kubernetes API, which is asked more often than it is decided on, else as decided with.
    pub fn current(&self) -> Option<u32> {
        let seen = self.target.kubernetes.as_ref().and_then(|k| k.current);
        seen.or_else(|| self.decision()?.inputs.current)
    }

    /// Where the ScaledObject and the policy contradict each other, and what else keeps a decision from its effect.
    pub fn warnings(&self) -> Vec<String> {
        let seen = self.target.kubernetes.as_ref();
        let warnings = seen.map(|seen| agreement::warnings(&self.target.spec, seen));
        let failure = self.target.kubernetes_failure.as_ref();
        let failure =
            failure.map(|unread| format!("streamgauge cannot read the ScaledObject: {unread}"));
        let waiting = seen.and_then(|seen| seen.waiting.as_ref());
        let waiting = waiting.map(|waiting| {
            format!("Pods do not become ready: {waiting}. Look at their events and logs.")
        });
        warnings
            .unwrap_or_default()
            .into_iter()
            .chain(failure)
            .chain(waiting)
            .collect()
    }

    /// Why it is as it is: the decision's words, or why there is no answer.
    pub fn text(&self) -> &str {
        match (&self.answer, self.decision()) {
            (Err(NoAnswer::NotNow(text) | NoAnswer::NeedsRepair(text)), _) => text,
            (Ok(_), Some(decision)) => &decision.text,
            (Ok(_), None) => "",
        }
    }
}
