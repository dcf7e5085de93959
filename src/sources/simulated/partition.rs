//! One simulated partition: counts, and when what waits arrived.

use std::collections::VecDeque;

use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionSample, Position};
use crate::model::time::Timestamp;

/// Arrival times remembered per partition; beyond that neighbours are merged, so that a stream nobody reads stays small.
pub(super) const MOST_ARRIVAL_TIMES: usize = 4_096;

/// Messages of one partition, by what has become of them.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedPartition {
    pub(super) arrived: u64,
    pub(super) done: u64,
    in_hand: u64,
    /// Share of a message that has arrived.
    pub(super) fraction: f64,
    /// Waiting messages by the step they arrived in.
    pub(super) waiting: VecDeque<(Timestamp, u64)>,
    /// When the oldest message in hand arrived.
    oldest_in_hand: Option<Timestamp>,
}

impl SimulatedPartition {
    /// What was taken in hand is done.
    pub(super) fn finish(&mut self) {
        self.done += std::mem::take(&mut self.in_hand);
        self.oldest_in_hand = None;
    }

    /// Messages arrive.
    pub(super) fn arrive(&mut self, now: Timestamp, count: u64) {
        self.arrived += count;
        self.waiting.push_back((now, count));
        if self.waiting.len() > MOST_ARRIVAL_TIMES {
            self.merge_neighbours();
        }
    }

    /// Halves what is remembered. The earlier time of two stands for both, so that the oldest age stays exact at first and is
    /// never understated later.
    fn merge_neighbours(&mut self) {
        let times = std::mem::take(&mut self.waiting);
        let mut times = times.into_iter();
        while let Some((at, count)) = times.next() {
            let second = times.next().map_or(0, |(_, count)| count);
            self.waiting.push_back((at, count + second));
        }
    }

    /// Takes up to `most` messages of its oldest step in hand.
    pub(super) fn take(&mut self, most: u64) -> u64 {
        let Some((at, count)) = self.waiting.front_mut() else {
            return 0;
        };
        let taken = most.min(*count);
        self.oldest_in_hand = Some(self.oldest_in_hand.unwrap_or(*at).min(*at));
        self.in_hand += taken;
        *count -= taken;
        if *count == 0 {
            self.waiting.pop_front();
        }
        taken
    }

    /// The partition as a source would see it.
    pub(super) fn sample(&self, now: Timestamp) -> PartitionSample {
        let waiting: u64 = self.waiting.iter().map(|(_, count)| count).sum();
        let delivered = self.done + self.in_hand;
        let oldest = self
            .oldest_in_hand
            .or(self.waiting.front().map(|(at, _)| *at));
        PartitionSample {
            log_end: Some(self.arrived),
            length: self.arrived,
            lag: Some(Quantity::Exact(waiting)),
            pending: self.in_hand,
            oldest_age_millis: Some(oldest.map_or(0, |at| now.since(at).as_millis() as u64)),
            delivered: Some(Position {
                major: delivered,
                minor: 0,
            }),
            delivered_count: Some(delivered),
            oldest_kept: (self.arrived > 0).then_some(Position { major: 1, minor: 0 }),
            ..PartitionSample::default()
        }
    }
}
