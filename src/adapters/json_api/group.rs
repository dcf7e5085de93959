//! A group as JSON, with its partitions and targets. Rates are messages per second, counts are messages.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adapters::condition::Condition;
use crate::adapters::view::{GroupView, PartitionView};
use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::forecast::{Expert, ForecastFacts};
use crate::model::normal::Normal;
use crate::model::quantity::Quantity;
use crate::model::sample::{AgeMethod, Failure};
use crate::model::signal::Signal;
use crate::policy::freshness::Freshness;

use super::target::{Askers, ReplicaShape, TargetShape};
use super::values::{QuantityShape, Significant, Thousandths, certainty, rfc3339};

#[derive(Serialize)]
pub(super) struct GroupShape {
    name: String,
    source: String,
    stream: String,
    consumer_group: String,
    assignment: &'static str,
    poll_interval_seconds: f64,
    observed_at: Option<String>,
    freshness: &'static str,
    /// The gravest thing about it.
    condition: Condition,
    /// Why the last poll failed, completely or in part.
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
    /// Until trimming reaches unfinished messages, at present rates.
    trim_horizon_seconds: Option<Thousandths>,
    /// How long consumers may stand still until then.
    outage_reserve_seconds: Option<Thousandths>,
    skew_ratio: Option<Thousandths>,
    /// `closed`, `open`, `half_open`.
    breaker: Option<&'static str>,
    /// The present count, if that does.
    recommended_partitions: Option<u32>,
    /// By signal: `throughput`, `backlog`, `age`, `error_rate`, `resource_utilization`.
    signals: BTreeMap<Signal, SignalShape>,
    /// How many go on.
    open_incidents: usize,
    /// Where it is led; null where there is one replica.
    replica: Option<ReplicaShape>,
    /// How often its state was reset after a bug.
    restarts: u64,
    /// Partitions by status; statuses that none has are left out.
    partition_statuses: BTreeMap<&'static str, usize>,
    /// Left out of summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<PartitionShape>>,
    targets: Vec<TargetShape>,
}

impl GroupShape {
    /// With its partitions.
    pub(super) fn of(group: &GroupView, askers: &Askers) -> Self {
        let partitions = group.partitions();
        Self {
            partitions: Some(partitions.iter().map(PartitionShape::of).collect()),
            ..Self::summary(group, askers)
        }
    }

    /// Without them: its size does not depend on how many there are.
    pub(super) fn summary(group: &GroupView, askers: &Askers) -> Self {
        let definition = group.definition();
        let facts = group.facts();
        Self {
            name: definition.name.clone(),
            source: definition.key.source.clone(),
            stream: definition.key.stream.clone(),
            consumer_group: definition.key.consumer_group.clone(),
            assignment: group.spec().assignment.as_str(),
            poll_interval_seconds: definition.poll_interval.as_secs_f64(),
            observed_at: group.observed_at.map(rfc3339),
            freshness: freshness(group.freshness),
            condition: Condition::of(group),
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
            trim_horizon_seconds: facts.and_then(|f| f.trim_horizon_seconds).map(Thousandths),
            outage_reserve_seconds: facts
                .and_then(|f| f.outage_reserve_seconds)
                .map(Thousandths),
            skew_ratio: facts.and_then(|f| f.skew_ratio).map(Thousandths),
            breaker: facts.map(|f| f.breaker.as_str()),
            recommended_partitions: group.recommended_partitions(),
            signals: facts.map(SignalShape::all).unwrap_or_default(),
            open_incidents: open_incidents(group),
            replica: askers.replica_of(group),
            restarts: group.restarts(),
            partition_statuses: statuses(group),
            partitions: None,
            targets: askers.targets_of(group),
        }
    }
}

fn open_incidents(group: &GroupView) -> usize {
    let incidents = group.snapshot().incidents.iter();
    incidents.filter(|i| i.ended_at.is_none()).count()
}

fn statuses(group: &GroupView) -> BTreeMap<&'static str, usize> {
    let mut count = BTreeMap::new();
    for partition in group.partitions() {
        *count.entry(partition.status().as_str()).or_default() += 1;
    }
    count
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
    /// Where they are stored.
    stored_bytes: Option<u64>,
    trim_horizon_seconds: Option<Thousandths>,
    oldest_age_seconds: Option<Thousandths>,
    /// How that was obtained: `exact`, `interpolated`, or `bounded` (at least so old).
    oldest_age_method: Option<&'static str>,
    /// Estimated part of the backlog that is processed but not yet checkpointed.
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
            stored_bytes: facts.and_then(|f| f.stored_bytes),
            trim_horizon_seconds: facts.and_then(|f| f.trim_horizon_seconds).map(Thousandths),
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

/// One signal of a group beside what is normal, in its own unit.
#[derive(Serialize)]
struct SignalShape {
    value: Option<Significant>,
    expected: Option<Significant>,
    lower: Option<Significant>,
    upper: Option<Significant>,
    /// 0 to 1.
    score: Thousandths,
    anomaly: bool,
    learning: bool,
    anomalies_total: u64,
    /// Why there is no value, where it comes from elsewhere than the stream.
    problem: Option<String>,
}

impl SignalShape {
    /// Of every signal that ever had a value.
    fn all(facts: &GroupFacts) -> BTreeMap<Signal, Self> {
        let shape = |(signal, normal): (&Signal, &Normal)| {
            let told = facts.signals.get(signal);
            let shape = Self::of(normal, told.and_then(|told| told.problem.clone()));
            (*signal, shape)
        };
        facts.normal.iter().map(shape).collect()
    }

    fn of(normal: &Normal, problem: Option<String>) -> Self {
        let reading = &normal.reading;
        Self {
            value: normal.value.map(Significant),
            expected: reading.expected.map(Significant),
            lower: reading.lower.map(Significant),
            upper: reading.upper.map(Significant),
            score: Thousandths(reading.score),
            anomaly: reading.anomaly,
            learning: reading.learning,
            anomalies_total: normal.anomalies_total,
            problem,
        }
    }
}
