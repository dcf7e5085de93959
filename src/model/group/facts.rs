//! What is known of a group now, put together from its partitions.

use std::collections::BTreeMap;

use crate::model::facts::{GroupFacts, PartitionFacts};
use crate::model::partition::{PartitionModel, PartitionState};
use crate::model::quantity::Quantity;
use crate::model::sample::PartitionSample;
use crate::model::status::{PartitionStatus, judge};
use crate::model::time::Timestamp;

use super::GroupModel;

impl GroupModel {
    /// What is known now.
    pub fn facts(&self) -> GroupFacts {
        let now = self.observed_at.unwrap_or_default();
        let mut partitions: BTreeMap<_, _> = self
            .partitions
            .iter()
            .map(|(id, model)| (id.clone(), partition_facts(model, now)))
            .collect();
        judge(now, &mut partitions);
        let settled = self.partitions.values().filter(|p| p.is_settled());
        let count = |wanted: fn(&PartitionState) -> bool| {
            self.partitions
                .values()
                .filter(|p| wanted(&p.state))
                .count() as u32
        };
        GroupFacts {
            wall: self.wall,
            backlog: self.total(PartitionModel::backlog),
            lag: self.total(|p| part(p, |s| s.lag, |_| 0)),
            pending: self.total(|p| part(p, |s| known(s.pending, s.lacks_pending), |_| 0)),
            length: self.total(|p| part(p, |s| known(s.length, s.lacks_length), |length| length)),
            backlog_or_length: self.total(|p| part(p, PartitionSample::backlog, |length| length)),
            settled: settled
                .filter_map(|p| p.backlog().map(Quantity::value))
                .sum(),
            oldest_age_seconds: oldest(partitions.values(), |p| p.oldest_age_seconds),
            waiting_seconds: oldest(partitions.values(), PartitionFacts::waiting_seconds),
            read_limit_per_second: self.read_limit_per_second,
            arrival_per_second: sum_known(partitions.values().map(|p| p.arrival_per_second)),
            newest_arrival_per_second: self.newest_arrival_per_second(),
            processing_per_second: sum_known(partitions.values().map(|p| p.processing_per_second)),
            stuck_in_work: partitions.values().map(|p| p.stuck_in_work).sum(),
            lost_per_second: partitions.values().map(|p| p.lost_per_second).sum(),
            capacity_per_consumer: self.capacity.per_consumer(),
            early_capacity_per_consumer: self.capacity.early_per_consumer(),
            is_early_capacity_proven: self.capacity.proven_early().is_some(),
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
            normal: self.normal.facts(),
        }
    }

    /// Only where it is of now: where partitions still have to be read, their own newest rates say more.
    fn newest_arrival_per_second(&self) -> Option<f64> {
        let is_of_now = self.known_until == self.observed_at;
        is_of_now
            .then(|| self.arrival.newest_per_second())
            .flatten()
    }

    pub(super) fn total(
        &self,
        of: impl Fn(&PartitionModel) -> Option<Quantity>,
    ) -> Option<Quantity> {
        self.observed_at?;
        Quantity::sum(self.partitions.values().map(of))
    }
}

fn known(count: u64, is_unknown: bool) -> Option<Quantity> {
    (!is_unknown).then_some(Quantity::Exact(count))
}

/// The sum over the partitions that have one; `None` if none of them has.
pub(super) fn sum_known(rates: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut rates = rates.flatten().peekable();
    rates.peek()?;
    Some(rates.sum())
}

/// One partition's part of a sum: from its sample, or from its length where it has no group; absent streams hold 0.
pub(super) fn part(
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
        PartitionState::Present { sample, .. } if sample.backlog().is_none() => (
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
    // A rate from before a partition became unreadable says nothing of now.
    let readable = !matches!(model.state, PartitionState::Failed(_));
    PartitionFacts {
        status,
        read_at: model.read_at().filter(|at| *at != now),
        lacks_group: matches!(model.state, PartitionState::GroupMissing { .. }),
        backlog: model.backlog(),
        lag: part(model, |s| s.lag, |_| 0),
        pending: sample.filter(|s| !s.lacks_pending).map(|s| s.pending),
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
        arrival_per_second: readable.then(|| model.arrival.per_second()).flatten(),
        processing_per_second: readable.then(|| model.processing_per_second()).flatten(),
        recent_processing_per_second: model.recent_processing_per_second(),
        arrived_total: model.arrived_total,
        processed_total: model.processed_total,
        lost_total: model.losses.lost_total,
        possibly_lost_total: model.losses.possibly_lost_total,
        lost_per_second: model.losses.per_second(now),
        peak_arrival_per_second: model.peaks.largest(),
        newest_arrival_per_second: readable
            .then(|| model.arrival.newest_per_second())
            .flatten(),
        steady_arrival_per_second: readable.then(|| model.steady.per_second()).flatten(),
        owner: sample.and_then(|s| s.owner.clone()),
        owned_since: model.progress.owned_since,
        behind_since: model.progress.behind_since,
        normal: model.normal.facts(),
        stalled_since: model.progress.stalled_since,
        not_falling_since: model.progress.not_falling_since,
        moved_at: model.progress.moved_at,
        problem,
    }
}

/// How long the oldest unfinished message has waited; 0 for none.
pub(super) fn age_seconds(model: &PartitionModel) -> Option<f64> {
    match model.sample() {
        Some(sample) => sample.oldest_age_millis.map(|ms| ms as f64 / 1000.0),
        None => model.backlog().filter(|n| n.value() == 0).map(|_| 0.0),
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
