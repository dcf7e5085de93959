//! What one poll shows of all partitions together, gathered in one pass: there may be ten thousand of them, and none is in a cache.

use std::sync::Arc;
use std::time::Duration;

use crate::model::partition::{PartitionModel, PartitionState};
use crate::model::quantity::{Quantity, Sum};
use crate::model::sample::PartitionSample;
use crate::model::time::{Moment, Timestamp};

/// What a poll shows.
pub(super) struct Shown {
    /// Throughput, backlog and age; `None` unless certain of every partition.
    pub whole: [Option<f64>; 3],
    /// Up to when every partition was read; `None` if one never was.
    pub read_until: Option<Timestamp>,
    /// Undelivered messages.
    pub lag: Sum,
    /// Unfinished messages.
    pub backlog: Sum,
    /// Of these, those that are only yet to be committed.
    pub uncommitted: u64,
    /// The longest time between commits.
    pub commit_interval: Duration,
    /// Whether any partition has a known owner.
    pub is_held: bool,
    /// Holders that a partition left.
    pub left: Vec<String>,
}

impl Shown {
    /// Of no partition yet, by a poll at `at`.
    pub fn by(at: Timestamp) -> Self {
        Self {
            whole: [Some(0.0); 3],
            read_until: Some(at),
            lag: Sum::default(),
            backlog: Sum::default(),
            uncommitted: 0,
            commit_interval: Duration::ZERO,
            is_held: false,
            left: Vec::new(),
        }
    }

    /// Adds a partition that was just observed, with its [`note_normal`].
    pub fn add(&mut self, partition: &PartitionModel, values: [Option<f64>; 3]) {
        let [rate, waiting, oldest] = &mut self.whole;
        *rate = rate.zip(values[0]).map(|(a, b)| a + b);
        *waiting = waiting.zip(values[1]).map(|(a, b)| a + b);
        *oldest = oldest.zip(values[2]).map(|(a, b)| a.max(b));
        let read = self.read_until.zip(partition.read_at());
        self.read_until = read.map(|(until, read)| until.min(read));
        self.lag.add(part(partition, |s| s.lag, |_| 0));
        self.backlog.add(partition.backlog());
        self.uncommitted += partition.uncommitted().unwrap_or(0);
        let interval = partition.commits.interval().unwrap_or_default();
        self.commit_interval = self.commit_interval.max(interval);
        self.is_held |= partition.progress.owner().is_some();
        self.left.extend(partition.changed_hands.clone().flatten());
    }
}

/// Baselines learn from what is certain: a lower bound is no sample. Gives throughput, backlog and age.
pub(super) fn note_normal(partition: &mut PartitionModel, now: Moment) -> [Option<f64>; 3] {
    let readable = !matches!(partition.state, PartitionState::Failed(_));
    let throughput = readable.then(|| partition.processing_per_second());
    let backlog = partition.backlog().and_then(Quantity::exact);
    let values = [
        throughput.flatten(),
        backlog.map(|n| n as f64),
        age_seconds(partition),
    ];
    let is_there = !matches!(
        partition.state,
        PartitionState::Unseen | PartitionState::Absent
    );
    if is_there || partition.normal.is_some() {
        let normal = partition.normal.get_or_insert_default();
        // A copy is only made while the state of before is being saved.
        Arc::make_mut(normal).observe(now, values);
    }
    values
}

/// One partition's part of a sum: from its sample, or from its length where it has no group; absent streams hold 0.
pub(super) fn part(
    model: &PartitionModel,
    of_sample: impl Fn(&PartitionSample) -> Option<Quantity>,
    without_group: impl Fn(u64) -> u64,
) -> Option<Quantity> {
    match &model.state {
        PartitionState::Present { .. } => model.sample().and_then(of_sample),
        PartitionState::GroupMissing { length } => Some(Quantity::Exact(without_group(*length))),
        PartitionState::Absent => Some(Quantity::Exact(0)),
        PartitionState::Unseen | PartitionState::Vanished { .. } | PartitionState::Failed(_) => {
            None
        }
    }
}

/// How long the oldest unfinished message has waited; 0 for none.
pub(super) fn age_seconds(model: &PartitionModel) -> Option<f64> {
    match model.sample() {
        Some(sample) => sample.oldest_age_millis.map(|ms| ms as f64 / 1000.0),
        None => model.backlog().filter(|n| n.value() == 0).map(|_| 0.0),
    }
}
