//! A group as JSON, with its partitions and targets. Rates are messages per second, counts are messages.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adapters::view::{GroupView, Labels, PartitionView, TargetView};
use crate::model::facts::PartitionFacts;
use crate::model::forecast::{Expert, ForecastFacts};
use crate::model::quantity::Quantity;
use crate::model::sample::{AgeMethod, Failure};
use crate::model::signal::Signal;
use crate::policy::decision::{Limit, Reason};
use crate::policy::freshness::Freshness;
use crate::policy::replicas::{Pause, ReplicasObserved};
use crate::policy::spec::Mode;

use super::signal::SignalShape;
use super::values::{QuantityShape, Thousandths, certainty, number, rfc3339};

/// One group.
#[derive(Serialize)]
pub(super) struct GroupShape {
    name: String,
    source: String,
    stream: String,
    consumer_group: String,
    assignment: &'static str,
    observed_at: Option<String>,
    freshness: &'static str,
    /// Why the last poll brought nothing, or not everything.
    failure: Option<FailureShape>,
    backlog: Option<QuantityShape>,
    oldest_age_seconds: Option<Thousandths>,
    /// As that, without messages that are processed and only wait for their checkpoint.
    waiting_seconds: Option<Thousandths>,
    arrival_per_second: Option<Thousandths>,
    processing_per_second: Option<Thousandths>,
    forecast: Option<ForecastShape>,
    /// One replica's.
    capacity_per_second: Option<Thousandths>,
    consumers: Option<u32>,
    utilization_ratio: Option<Thousandths>,
    drain_seconds: Option<Thousandths>,
    skew_ratio: Option<Thousandths>,
    /// `closed`, `open`, `half_open`.
    breaker: Option<&'static str>,
    /// The present count, if that does.
    recommended_partitions: Option<u32>,
    /// By signal: `throughput`, `backlog`, `age`, `error_rate`, `resource_utilization`.
    signals: BTreeMap<Signal, SignalShape>,
    partitions: Vec<PartitionShape>,
    targets: Vec<TargetShape>,
}

impl GroupShape {
    pub(super) fn of(group: &GroupView, labels: &Labels) -> Self {
        let definition = group.definition();
        let facts = group.facts();
        Self {
            name: definition.name.clone(),
            source: definition.key.source.clone(),
            stream: definition.key.stream.clone(),
            consumer_group: definition.key.consumer_group.clone(),
            assignment: group.spec().assignment.as_str(),
            observed_at: group.observed_at.map(rfc3339),
            freshness: freshness(group.freshness),
            failure: group.snapshot().failure.as_ref().map(FailureShape::of),
            backlog: facts.and_then(|f| f.backlog).map(QuantityShape::from),
            oldest_age_seconds: facts.and_then(|f| f.oldest_age_seconds).map(Thousandths),
            waiting_seconds: facts.and_then(|f| f.waiting_seconds).map(Thousandths),
            arrival_per_second: facts.and_then(|f| f.arrival_per_second).map(Thousandths),
            processing_per_second: facts.and_then(|f| f.processing_per_second).map(Thousandths),
            forecast: facts
                .and_then(|f| f.forecast.as_ref())
                .map(ForecastShape::of),
            capacity_per_second: group.capacity_per_replica().map(Thousandths),
            consumers: facts.and_then(|f| f.consumers),
            utilization_ratio: group.utilization_ratio().map(Thousandths),
            drain_seconds: group.drain_seconds().map(Thousandths),
            skew_ratio: facts.and_then(|f| f.skew_ratio).map(Thousandths),
            breaker: facts.map(|f| f.breaker.as_str()),
            recommended_partitions: group.recommended_partitions(),
            signals: facts.map(SignalShape::all).unwrap_or_default(),
            partitions: group.partitions().iter().map(PartitionShape::of).collect(),
            targets: group.targets(labels).iter().map(TargetShape::of).collect(),
        }
    }
}

/// What is expected to arrive, and how far off that was of late.
#[derive(Serialize)]
struct ForecastShape {
    per_second: Thousandths,
    upper_per_second: Thousandths,
    largest_per_second: Thousandths,
    /// `last_value`, `holt`, `daily`, `weekly`.
    expert: Expert,
    error_ratio: Option<Thousandths>,
    /// Of every expert that was judged.
    expert_error_ratios: BTreeMap<Expert, Thousandths>,
}

impl ForecastShape {
    fn of(forecast: &ForecastFacts) -> Self {
        let errors = forecast.expert_error_ratios.iter();
        Self {
            per_second: Thousandths(forecast.per_second),
            upper_per_second: Thousandths(forecast.upper_per_second),
            largest_per_second: Thousandths(forecast.largest_per_second),
            expert: forecast.expert,
            error_ratio: forecast.error_ratio.map(Thousandths),
            expert_error_ratios: errors
                .map(|(expert, r)| (*expert, Thousandths(*r)))
                .collect(),
        }
    }
}

fn freshness(class: Option<Freshness>) -> &'static str {
    match class {
        Some(Freshness::Fresh) => "fresh",
        Some(Freshness::Stale) => "stale",
        Some(Freshness::Expired) | None => "unknown",
    }
}

#[derive(Serialize)]
struct FailureShape {
    kind: &'static str,
    text: String,
}

impl FailureShape {
    fn of(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.as_str(),
            text: failure.text.clone(),
        }
    }
}

#[derive(Serialize)]
struct PartitionShape {
    partition: String,
    backlog: Option<u64>,
    /// Of the backlog.
    certainty: Option<&'static str>,
    lag: Option<u64>,
    pending: Option<u64>,
    /// Of the pending ones, those that count as stuck.
    stuck_pending: Option<u64>,
    oldest_age_seconds: Option<Thousandths>,
    /// How that was obtained: `exact`, `interpolated`, or `bounded` (at least so old).
    oldest_age_method: Option<&'static str>,
    /// Of the backlog, what is processed already and only not checkpointed yet, as far as can be told.
    uncommitted: Option<u64>,
    commit_interval_seconds: Option<Thousandths>,
    arrival_per_second: Option<Thousandths>,
    processing_per_second: Option<Thousandths>,
    /// `ok`, `behind`, `stuck`, `stopped`, `rewound`, `unknown`.
    status: &'static str,
    /// Of `throughput`, `backlog` and `age`, what is unusual for it.
    anomalies: Vec<Signal>,
    owner: Option<String>,
    /// Why it is unknown, or what is odd about it.
    problem: Option<String>,
}

impl PartitionShape {
    fn of(partition: &PartitionView<'_>) -> Self {
        let facts = partition.facts();
        let backlog = partition.backlog();
        Self {
            partition: partition.name().to_owned(),
            backlog: backlog.map(Quantity::value),
            certainty: backlog.map(certainty),
            lag: facts.and_then(|f| f.lag).map(Quantity::value),
            pending: facts.and_then(|f| f.pending),
            stuck_pending: facts.and_then(|f| f.stuck_pending),
            oldest_age_seconds: facts.and_then(|f| f.oldest_age_seconds).map(Thousandths),
            oldest_age_method: facts.and_then(|f| f.age_method).map(AgeMethod::as_str),
            uncommitted: facts.and_then(|f| f.uncommitted),
            commit_interval_seconds: facts
                .and_then(|f| f.commit_interval_seconds)
                .map(Thousandths),
            arrival_per_second: partition.arrival_per_second().map(Thousandths),
            processing_per_second: partition.processing_per_second().map(Thousandths),
            status: partition.status().as_str(),
            anomalies: facts.map(anomalies).unwrap_or_default(),
            owner: facts.and_then(|f| f.owner.clone()),
            problem: facts.and_then(|f| f.problem.clone()),
        }
    }
}

fn anomalies(facts: &PartitionFacts) -> Vec<Signal> {
    let flagged = facts.normal.iter().filter(|(_, n)| n.reading.anomaly);
    flagged.map(|(signal, _)| signal).collect()
}

#[derive(Serialize)]
struct TargetShape {
    scaled_object: String,
    mode: &'static str,
    desired: Option<u32>,
    /// What KEDA is told: replicas, in `backlog` mode messages; null while it is told nothing.
    emitted: Option<serde_json::Number>,
    active: Option<bool>,
    current: Option<u32>,
    limit: Option<Limit>,
    reason: Option<Reason>,
    text: String,
    /// What the Kubernetes API tells of the ScaledObject.
    kubernetes: Option<KubernetesShape>,
    /// In words: where it contradicts the policy.
    warnings: Vec<String>,
}

impl TargetShape {
    fn of(target: &TargetView<'_>) -> Self {
        let decision = target.decision();
        Self {
            scaled_object: target.scaled_object.clone(),
            mode: match target.target.spec.mode {
                Mode::Replicas => "replicas",
                Mode::Backlog { .. } => "backlog",
            },
            desired: decision.and_then(|d| d.desired),
            emitted: target.answer.as_ref().ok().and_then(|a| number(a.metric)),
            active: target.active(),
            current: target.current(),
            limit: decision.map(|d| d.limit),
            reason: decision.map(|d| d.reason),
            text: target.text().to_owned(),
            kubernetes: target.target.kubernetes.as_ref().map(KubernetesShape::of),
            warnings: target.warnings(),
        }
    }
}

#[derive(Serialize)]
struct KubernetesShape {
    current: Option<u32>,
    asked: Option<u32>,
    ready: Option<u32>,
    hpa_desired: Option<u32>,
    min_replicas: u32,
    max_replicas: u32,
    paused: Option<Pause>,
    fallback_replicas: Option<u32>,
    polling_interval_seconds: Option<u32>,
    cooldown_seconds: Option<u32>,
    scale_down_window_seconds: Option<u32>,
}

impl KubernetesShape {
    fn of(seen: &ReplicasObserved) -> Self {
        let object = &seen.object;
        Self {
            current: seen.current,
            asked: seen.asked,
            ready: seen.ready,
            hpa_desired: seen.hpa.as_ref().and_then(|hpa| hpa.desired),
            min_replicas: object.min_replicas,
            max_replicas: object.max_replicas,
            paused: object.paused,
            fallback_replicas: object.fallback_replicas,
            polling_interval_seconds: object.polling_interval_seconds,
            cooldown_seconds: object.cooldown_seconds,
            scale_down_window_seconds: object.scale_down_window_seconds,
        }
    }
}
