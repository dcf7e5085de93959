//! Partitions that a poll left out while others were read.

use std::time::Duration;

use super::super::answer::KeyAnswer;
use super::{PartitionMemory, RedisPartition};
use crate::model::quantity::Quantity;
use crate::model::sample::{Failure, PartitionObservation};

impl RedisPartition {
    /// What to tell of a partition that this poll left out; `None` if it did not. What was last seen stands for a while, unless it was
    /// nothing: a stale zero is not reported.
    pub fn left_out(&self, outdated_after: Duration) -> Option<PartitionObservation> {
        let KeyAnswer::LeftOut(failure) = &self.reading else {
            return None;
        };
        if self.last_seen_stands(outdated_after) {
            return Some(PartitionObservation::NotAsked);
        }
        Some(PartitionObservation::Failed(failure.clone()))
    }

    /// With that, and what was remembered of it before.
    pub fn put_off(
        self,
        observation: PartitionObservation,
    ) -> (String, PartitionObservation, Box<PartitionMemory>) {
        (self.key, observation, self.memory)
    }

    /// Its undelivered entries were not counted in time. What was last seen says more than that there are some, as long as it stands.
    pub(super) fn uncounted(&mut self, failure: Failure, outdated_after: Duration) {
        match self.last_seen_stands(outdated_after) {
            true => self.reading = KeyAnswer::LeftOut(failure),
            false => self.lag = Some(Quantity::AtLeast(1)),
        }
    }

    fn last_seen_stands(&self, outdated_after: Duration) -> bool {
        let told = self.memory.told;
        told.is_some_and(|(at, waits)| waits && at.elapsed() <= outdated_after)
    }
}
