//! What a group is polled with.

use std::time::Duration;

use streamgauge::group::event::{Event, What};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;

pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const POLL: Duration = Duration::from_secs(5);

/// A stream whose consumers keep up, more or less.
pub struct Stream {
    random: u64,
    done: Vec<u64>,
    is_owned: bool,
    polls: u32,
}

impl Stream {
    pub fn of(partitions: usize, is_owned: bool) -> Self {
        Self {
            random: 1,
            done: vec![0; partitions],
            is_owned,
            polls: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % below
    }

    pub fn now(&self) -> Timestamp {
        START.plus(POLL * self.polls)
    }

    pub fn poll(&mut self) -> Sample {
        self.polls += 1;
        let partitions =
            (0..self.done.len()).map(|n| (PartitionId::new(n.to_string()), self.see(n)));
        Sample {
            partitions: partitions.collect(),
            consumers: Some(4),
            ..Sample::default()
        }
    }

    fn see(&mut self, n: usize) -> PartitionObservation {
        let (more, lag, age) = (self.draw(500), self.draw(90), self.draw(5_000));
        self.done[n] += more;
        let done = self.done[n];
        PartitionObservation::Present(PartitionSample {
            log_end: Some(done + lag),
            length: 1_000,
            lag: Some(Quantity::Exact(lag)),
            delivered: Some(Position {
                major: if self.is_owned { done } else { 1 },
                minor: if self.is_owned { 0 } else { done },
            }),
            delivered_count: (!self.is_owned).then_some(done),
            oldest_age_millis: Some(age),
            committed_at: self.is_owned.then(|| self.now()),
            owner: self.is_owned.then(|| format!("consumer-{}", n % 50)),
            ..PartitionSample::default()
        })
    }

    pub fn event(&mut self) -> Event {
        let what = What::Observed(Ok(self.poll()));
        Event {
            at: self.now(),
            what,
        }
    }
}
