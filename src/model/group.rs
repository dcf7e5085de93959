//! One group over time: folds samples into facts.

mod learning;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capacity::{Capacity, CapacityRules};
use super::downstream::Breaker;
use super::facts::{GroupFacts, PartitionFacts, PartitionStatus};
use super::fleet::{FleetWatch, Told};
use super::forecast::Forecast;
use super::identity::PartitionId;
use super::owners::Owners;
use super::partition::{PartitionModel, PartitionState, Step};
use super::quantity::Quantity;
use super::rates::{ARRIVAL_WINDOW, ArrivalHistory, RateWindow};
use super::sample::{PartitionSample, Sample};
use super::signal::{Signal, SignalReading};
use super::time::Timestamp;

/// Everything remembered of one group, shared by all who ask for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupModel {
    partitions: BTreeMap<PartitionId, PartitionModel>,
    arrivals: ArrivalHistory,
    /// Of all partitions together, while it is known of every one.
    arrival: RateWindow,
    /// Since when arrivals of every partition are known without a break.
    arrivals_known_since: Option<Timestamp>,
    forecast: Forecast,
    capacity: Capacity,
    owners: Owners,
    told: Told,
    fleet: FleetWatch,
    breaker: Breaker,
    consumers: Option<u32>,
    read_limit_per_second: Option<f64>,
    signals: BTreeMap<Signal, SignalReading>,
    observed_at: Option<Timestamp>,
    first_observed_at: Option<Timestamp>,
}

impl GroupModel {
    /// A group of which nothing is known yet.
    pub fn new(rules: CapacityRules) -> Self {
        Self {
            partitions: BTreeMap::new(),
            arrivals: ArrivalHistory::default(),
            arrival: RateWindow::new(ARRIVAL_WINDOW),
            arrivals_known_since: None,
            forecast: Forecast::default(),
            capacity: Capacity::new(rules),
            owners: Owners::default(),
            told: Told::default(),
            fleet: FleetWatch::default(),
            breaker: Breaker::default(),
            consumers: None,
            read_limit_per_second: None,
            signals: BTreeMap::new(),
            observed_at: None,
            first_observed_at: None,
        }
    }

    /// Takes in what users tell of its consumers; until then nothing.
    pub fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// Takes in a signal that comes from elsewhere than the stream.
    pub fn signal(&mut self, signal: Signal, reading: &SignalReading) {
        self.signals.insert(signal, reading.clone());
    }

    /// Takes in one poll.
    pub fn observe(&mut self, at: Timestamp, sample: &Sample) {
        self.partitions
            .retain(|id, _| sample.partitions.contains_key(id));
        let mut total = Step {
            arrived: Some(0),
            processed: Some(0),
        };
        for (id, seen) in &sample.partitions {
            let step =
                self.partitions
                    .entry(id.clone())
                    .or_default()
                    .observe(at, seen, sample.consumers);
            if let Some(count) = step.arrived {
                self.arrivals.add(at, count);
            }
            total.arrived = total.arrived.zip(step.arrived).map(|(a, b)| a + b);
            total.processed = total.processed.zip(step.processed).map(|(a, b)| a + b);
        }
        self.note_arrivals(at, total.arrived);
        self.consumers = sample.consumers;
        self.read_limit_per_second = sample.read_limit_per_second;
        self.learn(at, total);
        self.observed_at = Some(at);
        self.first_observed_at.get_or_insert(at);
    }

    fn note_arrivals(&mut self, at: Timestamp, arrived: Option<u64>) {
        let Some(count) = arrived else {
            self.arrivals_known_since = None;
            return self.arrival.clear();
        };
        let before = self.observed_at.unwrap_or(at);
        self.arrivals_known_since.get_or_insert(before);
        self.arrival.add(at, at.since(before), count);
    }

    /// Messages that arrived within `window` before `now`, at least.
    pub fn arrived_within(&self, window: Duration, now: Timestamp) -> u64 {
        self.arrivals.within(window, now)
    }

    /// Whether every arrival of the last `window` would have been seen.
    pub fn watched_for(&self, window: Duration, now: Timestamp) -> bool {
        self.arrivals_known_since
            .is_some_and(|since| now.since(since) >= window)
    }

    /// When the group was first observed.
    pub fn first_observed_at(&self) -> Option<Timestamp> {
        self.first_observed_at
    }

    /// What is known now.
    pub fn facts(&self) -> GroupFacts {
        let now = self.observed_at.unwrap_or_default();
        let partitions: BTreeMap<_, _> = self
            .partitions
            .iter()
            .map(|(id, model)| (id.clone(), partition_facts(model, now)))
            .collect();
        let settled = self.partitions.values().filter(|p| p.is_settled());
        let count = |wanted: fn(&PartitionState) -> bool| {
            self.partitions
                .values()
                .filter(|p| wanted(&p.state))
                .count() as u32
        };
        GroupFacts {
            observed_at: self.observed_at,
            backlog: self.total(PartitionModel::backlog),
            lag: self.total(|p| part(p, |s| s.lag, |_| 0)),
            pending: self.total(|p| part(p, |s| Some(Quantity::Exact(s.pending)), |_| 0)),
            length: self.total(|p| part(p, |s| Some(Quantity::Exact(s.length)), |length| length)),
            backlog_or_length: self.total(|p| part(p, PartitionSample::backlog, |length| length)),
            settled: settled
                .filter_map(|p| p.backlog().map(Quantity::value))
                .sum(),
            oldest_age_seconds: oldest(partitions.values(), |p| p.oldest_age_seconds),
            waiting_seconds: oldest(partitions.values(), PartitionFacts::waiting_seconds),
            read_limit_per_second: self.read_limit_per_second,
            arrival_per_second: sum_known(partitions.values().map(|p| p.arrival_per_second)),
            newest_arrival_per_second: self.arrival.newest_per_second(),
            processing_per_second: sum_known(partitions.values().map(|p| p.processing_per_second)),
            capacity_per_consumer: self.capacity.per_consumer(),
            proven_per_consumer: self.capacity.proven(),
            capacity_samples: (
                self.capacity.samples_taken(),
                self.capacity.samples_needed(),
            ),
            breaker: self.breaker,
            forecast: self.forecast.facts(),
            consumers: self.consumers,
            skew_ratio: skew_ratio(partitions.values()),
            unknown_partitions: count(|s| {
                matches!(
                    s,
                    PartitionState::Failed(_)
                        | PartitionState::Vanished { .. }
                        | PartitionState::Unseen
                )
            }),
            partitions_without_group: count(|s| matches!(s, PartitionState::GroupMissing { .. })),
            vanished_partitions: count(|s| matches!(s, PartitionState::Vanished { .. })),
            partitions,
            signals: self.signals.clone(),
        }
    }

    fn total(&self, of: impl Fn(&PartitionModel) -> Option<Quantity>) -> Option<Quantity> {
        self.observed_at?;
        Quantity::sum(self.partitions.values().map(of))
    }
}

/// The sum over the partitions that have one; `None` if none of them has.
fn sum_known(rates: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut rates = rates.flatten().peekable();
    rates.peek()?;
    Some(rates.sum())
}

/// One partition's part of a sum: from its sample, or from its length where it has no group; absent streams hold 0.
fn part(
    model: &PartitionModel,
    of_sample: impl Fn(&PartitionSample) -> Option<Quantity>,
    without_group: impl Fn(u64) -> u64,
) -> Option<Quantity> {
    match &model.state {
        PartitionState::Present { sample, .. } => of_sample(sample),
        PartitionState::GroupMissing { length } => Some(Quantity::Exact(without_group(*length))),
        PartitionState::Absent => Some(Quantity::Exact(0)),
        PartitionState::Unseen | PartitionState::Vanished { .. } | PartitionState::Failed(_) => {
            None
        }
    }
}

fn partition_facts(model: &PartitionModel, now: Timestamp) -> PartitionFacts {
    let sample = model.sample();
    let (status, problem) = match &model.state {
        PartitionState::Present {
            rewound: true,
            sample,
        } => (PartitionStatus::Rewound, sample.remark.clone()),
        PartitionState::Present { sample, .. } if sample.lag.is_none() => (
            PartitionStatus::Unknown,
            sample
                .remark
                .clone()
                .or_else(|| Some("the undelivered messages could not be counted".to_owned())),
        ),
        PartitionState::Present { sample, .. } => (PartitionStatus::Ok, sample.remark.clone()),
        PartitionState::Absent => (PartitionStatus::Ok, None),
        PartitionState::GroupMissing { .. } => (
            PartitionStatus::Ok,
            Some("the consumer group does not exist, or has committed nothing yet".to_owned()),
        ),
        PartitionState::Vanished { .. } => (
            PartitionStatus::Unknown,
            Some("the stream vanished a moment ago".to_owned()),
        ),
        PartitionState::Failed(failure) => (PartitionStatus::Unknown, Some(failure.text.clone())),
        PartitionState::Unseen => (PartitionStatus::Unknown, None),
    };
    let unfinished = model.backlog().map(Quantity::value);
    // A rate from before a partition became unreadable says nothing of now.
    let readable = !matches!(model.state, PartitionState::Failed(_));
    PartitionFacts {
        status,
        lacks_group: matches!(model.state, PartitionState::GroupMissing { .. }),
        backlog: model.backlog(),
        lag: part(model, |s| s.lag, |_| 0),
        pending: sample.map(|s| s.pending),
        stuck_pending: sample.map(|s| s.stuck_pending),
        oldest_delivery_count: sample.and_then(|s| s.oldest_delivery_count),
        oldest_age_seconds: match sample {
            Some(s) => s.oldest_age_millis.map(|ms| ms as f64 / 1000.0),
            None => unfinished.filter(|n| *n == 0).map(|_| 0.0),
        },
        age_method: sample
            .filter(|s| s.oldest_age_millis.is_some())
            .map(|s| s.age_method),
        uncommitted: model.uncommitted(now),
        commit_interval_seconds: model.commits.interval().map(|i| i.as_secs_f64()),
        arrival_per_second: readable.then(|| model.arrival.per_second()).flatten(),
        processing_per_second: readable.then(|| model.processing_per_second(now)).flatten(),
        arrived_total: model.arrived_total,
        processed_total: model.processed_total,
        lost_total: model.lost_total,
        peak_arrival_per_second: model.peaks.largest(),
        newest_arrival_per_second: readable
            .then(|| model.arrival.newest_per_second())
            .flatten(),
        steady_arrival_per_second: readable.then(|| model.steady.per_second()).flatten(),
        owner: sample.and_then(|s| s.owner.clone()),
        owned_since: model.progress.owned_since,
        behind_since: model.progress.behind_since,
        stalled_since: model.progress.stalled_since,
        moved_at: model.progress.moved_at,
        problem,
    }
}

/// The largest over all partitions; `None` as soon as one of them has none.
fn oldest<'a>(
    mut partitions: impl Iterator<Item = &'a PartitionFacts>,
    age: impl Fn(&PartitionFacts) -> Option<f64>,
) -> Option<f64> {
    partitions.try_fold(0.0_f64, |oldest, p| Some(oldest.max(age(p)?)))
}

fn skew_ratio<'a>(partitions: impl Iterator<Item = &'a PartitionFacts>) -> Option<f64> {
    let rates: Vec<f64> = partitions.filter_map(|p| p.arrival_per_second).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let hottest = rates.iter().copied().fold(0.0, f64::max);
    (mean > 0.0).then_some(hottest / mean)
}
