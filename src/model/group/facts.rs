//! What is known of a group now, put together from its partitions.

use std::collections::BTreeMap;

use crate::model::facts::{Gathered, GroupFacts, PartitionFacts, PartitionStatus};
use crate::model::normal::PartitionNormal;
use crate::model::partition::{PartitionModel, PartitionState};
use crate::model::quantity::{Quantity, Sum};
use crate::model::sample::PartitionSample;
use crate::model::status::judge;
use crate::model::time::Timestamp;

use super::GroupModel;
use super::shown::{age_seconds, part};

impl GroupModel {
    /// What is known now.
    pub fn facts(&self) -> GroupFacts {
        let now = self.observed_at.unwrap_or_default();
        let mut totals = Totals::default();
        let told = self.partitions.iter().map(|(id, model)| {
            let facts = partition_facts(model, now);
            totals.add(model, &facts);
            (id.clone(), facts)
        });
        let mut partitions: BTreeMap<_, _> = told.collect();
        judge(now, &mut partitions);
        let total = |sum: Sum| self.observed_at.and(sum.total());
        GroupFacts {
            wall: self.wall,
            backlog: total(totals.backlog),
            lag: total(totals.lag),
            pending: total(totals.pending),
            length: total(totals.length),
            backlog_or_length: total(totals.backlog_or_length),
            settled: totals.settled,
            oldest_age_seconds: totals.oldest_age_seconds.0,
            waiting_seconds: totals.waiting_seconds.0,
            read_limit_per_second: self.read_limit_per_second,
            arrival_per_second: totals.arrival.sum(),
            newest_arrival_per_second: self.newest_arrival_per_second(),
            processing_per_second: totals.processing.sum(),
            stuck_in_work: totals.stuck_in_work,
            lost_per_second: totals.lost_per_second,
            trim_horizon_seconds: totals.trim_horizon_seconds,
            outage_reserve_seconds: totals.outage_reserve_seconds,
            capacity_per_consumer: self.capacity.per_consumer(),
            early_capacity_per_consumer: self.capacity.early_per_consumer(),
            is_early_capacity_proven: self.capacity.proven_early().is_some(),
            busy_ratio: self.busy.ratio(),
            seen_per_consumer: self.capacity.early.seen_per_consumer(),
            proven_per_consumer: self.capacity.proven(),
            capacity_samples: (
                self.capacity.samples_taken(),
                self.capacity.samples_needed(),
            ),
            breaker: self.breaker,
            forecast: self.forecast.facts(),
            consumers: self.consumers,
            holders: self.holders.clone(),
            skew_ratio: totals.arrival.skew_ratio(),
            unknown_partitions: totals.unknown,
            partitions_without_group: totals.without_group,
            vanished_partitions: totals.vanished,
            partitions,
            signals: self.signals.clone(),
            normal: self.normal.facts(),
            gathered: Gathered::default(),
        }
    }

    /// Only where it is of now: where partitions still have to be read, their own newest rates say more.
    fn newest_arrival_per_second(&self) -> Option<f64> {
        let is_of_now = self.known_until == self.observed_at;
        is_of_now
            .then(|| self.arrival.newest_per_second())
            .flatten()
    }
}

/// What is told of all partitions, gathered while each of them is looked at.
#[derive(Default)]
struct Totals {
    backlog: Sum,
    lag: Sum,
    pending: Sum,
    length: Sum,
    backlog_or_length: Sum,
    settled: u64,
    oldest_age_seconds: Oldest,
    waiting_seconds: Oldest,
    arrival: Rates,
    processing: Rates,
    stuck_in_work: u64,
    lost_per_second: f64,
    trim_horizon_seconds: Option<f64>,
    outage_reserve_seconds: Option<f64>,
    unknown: u32,
    without_group: u32,
    vanished: u32,
}

impl Totals {
    fn add(&mut self, model: &PartitionModel, facts: &PartitionFacts) {
        self.backlog.add(facts.backlog);
        self.lag.add(facts.lag);
        let pending = |s: &PartitionSample| known(s.pending, s.lacks_pending);
        self.pending.add(part(model, pending, |_| 0));
        let length = |s: &PartitionSample| known(s.length, s.lacks_length);
        self.length.add(part(model, length, |length| length));
        let or_length = part(model, PartitionSample::backlog, |length| length);
        self.backlog_or_length.add(or_length);
        if model.is_settled() {
            self.settled += facts.backlog.map_or(0, Quantity::value);
        }
        self.oldest_age_seconds.add(facts.oldest_age_seconds);
        self.waiting_seconds.add(facts.waiting_seconds());
        self.arrival.add(facts.arrival_per_second);
        self.processing.add(facts.processing_per_second);
        self.stuck_in_work += facts.stuck_in_work;
        self.lost_per_second += facts.lost_per_second;
        lower(&mut self.trim_horizon_seconds, facts.trim_horizon_seconds);
        lower(
            &mut self.outage_reserve_seconds,
            facts.outage_reserve_seconds,
        );
        match &model.state {
            PartitionState::Vanished { .. } => {
                self.unknown += 1;
                self.vanished += 1;
            }
            PartitionState::Failed(_) | PartitionState::Unseen => self.unknown += 1,
            PartitionState::GroupMissing { .. } => self.without_group += 1,
            PartitionState::Present { .. } | PartitionState::Absent => {}
        }
    }
}

fn lower(least: &mut Option<f64>, value: Option<f64>) {
    *least = least.iter().copied().chain(value).reduce(f64::min);
}

/// The largest value over all partitions; `None` as soon as one of them has none.
struct Oldest(Option<f64>);

impl Default for Oldest {
    fn default() -> Self {
        Self(Some(0.0))
    }
}

impl Oldest {
    fn add(&mut self, age: Option<f64>) {
        self.0 = self.0.zip(age).map(|(oldest, age)| oldest.max(age));
    }
}

/// The rates of the partitions that have one.
#[derive(Default)]
struct Rates {
    count: usize,
    sum: f64,
    largest: f64,
}

impl Rates {
    fn add(&mut self, rate: Option<f64>) {
        if let Some(rate) = rate {
            self.count += 1;
            self.sum += rate;
            self.largest = self.largest.max(rate);
        }
    }

    /// `None` if no partition has one.
    fn sum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.sum)
    }

    /// The largest ÷ the mean; `None` without any.
    fn skew_ratio(&self) -> Option<f64> {
        let mean = self.sum / self.count as f64;
        (mean > 0.0).then_some(self.largest / mean)
    }
}

fn known(count: u64, is_unknown: bool) -> Option<Quantity> {
    (!is_unknown).then_some(Quantity::Exact(count))
}

fn partition_facts(model: &PartitionModel, now: Timestamp) -> PartitionFacts {
    let sample = model.sample();
    let remark = sample.and_then(|s| s.remark.clone());
    let (status, problem) = match &model.state {
        PartitionState::Present { rewound: true } => (PartitionStatus::Rewound, remark),
        PartitionState::Present { .. } if model.backlog().is_none() => (
            PartitionStatus::Unknown,
            remark.or_else(|| Some("undelivered messages could not be counted".to_owned())),
        ),
        PartitionState::Present { .. } => (PartitionStatus::Ok, remark),
        PartitionState::Absent => (PartitionStatus::Ok, None),
        PartitionState::GroupMissing { .. } => (
            PartitionStatus::Ok,
            Some("the consumer group does not exist or has not committed anything yet".to_owned()),
        ),
        PartitionState::Vanished { .. } => (
            PartitionStatus::Unknown,
            Some("the stream disappeared moments ago".to_owned()),
        ),
        PartitionState::Failed(failure) => (PartitionStatus::Unknown, Some(failure.text.clone())),
        PartitionState::Unseen => (PartitionStatus::Unknown, None),
    };
    let normal = model.normal.as_deref();
    // A rate from before a partition became unreadable says nothing of now.
    let readable = !matches!(model.state, PartitionState::Failed(_));
    PartitionFacts {
        status,
        read_at: model.read_at().filter(|at| *at != now),
        lacks_group: matches!(model.state, PartitionState::GroupMissing { .. }),
        backlog: model.backlog(),
        lag: part(model, |s| s.lag, |_| 0),
        pending: sample.filter(|s| !s.lacks_pending).map(|s| s.pending),
        stored_bytes: sample.and_then(|s| s.stored_bytes),
        stuck_in_work: sample.map_or(0, |s| s.stuck_in_work),
        is_ahead: sample.is_some_and(|s| s.is_ahead),
        stuck_pending: sample.map(|s| s.stuck_pending),
        oldest_delivery_count: sample.and_then(|s| s.oldest_delivery_count),
        oldest_age_seconds: age_seconds(model),
        age_method: sample
            .filter(|s| s.oldest_age_millis.is_some())
            .map(|s| s.age_method),
        uncommitted: model.uncommitted(),
        commit_interval_seconds: model.commits.interval().map(|i| i.as_secs_f64()),
        arrival_per_second: readable.then(|| model.arrival_per_second()).flatten(),
        processing_per_second: readable.then(|| model.processing_per_second()).flatten(),
        recent_processing_per_second: model.recent_processing_per_second(),
        arrived_total: model.arrived_total,
        processed_total: model.processed_total,
        lost_total: model.losses.lost_total,
        possibly_lost_total: model.losses.possibly_lost_total,
        lost_per_second: model.losses.per_second(now),
        trim_horizon_seconds: readable
            .then(|| model.retention.trim_horizon_seconds())
            .flatten(),
        outage_reserve_seconds: readable
            .then(|| model.retention.outage_reserve_seconds())
            .flatten(),
        peak_arrival_per_second: model.peaks.largest(),
        newest_arrival_per_second: readable
            .then(|| model.arrival.newest_per_second())
            .flatten(),
        steady_arrival_per_second: readable.then(|| model.arrival.per_second()).flatten(),
        owner: sample.and_then(|s| s.owner.clone()),
        owned_since: model.progress.owned_since,
        behind_since: model.progress.behind_since,
        normal: normal.map(PartitionNormal::facts).unwrap_or_default(),
        stalled_since: model.progress.stalled_since,
        not_falling_since: model.progress.not_falling_since,
        moved_at: model.progress.moved_at,
        problem,
    }
}
