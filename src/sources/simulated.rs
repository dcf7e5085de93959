//! A partitioned stream in memory, with producers and consumers that work at a limited rate: what the demo runs on.
//!
//! Every message is accounted for: arrived = done + in hand + waiting, at any time.

mod partition;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{BoxFuture, GroupReader, Source};
use crate::model::identity::PartitionId;
use crate::model::sample::{Failure, PartitionObservation, Sample};
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;

use partition::SimulatedPartition;

/// Time advances in steps of this; what a consumer takes in one step is done in the next.
const STEP: Duration = Duration::from_millis(100);

/// The stream and its consumers. Shared assignment: any consumer takes from any partition, the oldest message first.
#[derive(Debug)]
pub struct SimulatedStream {
    /// Messages per second one consumer does.
    capacity_per_second: f64,
    /// How long a consumer takes to start.
    start_up: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    partitions: Vec<SimulatedPartition>,
    /// When each consumer is ready, the longest-running first.
    consumers: Vec<Timestamp>,
    /// Work that the consumers could not spend in whole messages yet.
    unspent: f64,
    /// What all consumers together can do at most, messages per second: what they depend on is slow.
    most_per_second: f64,
}

impl SimulatedStream {
    /// An empty stream without consumers.
    pub fn new(
        partitions: usize,
        capacity_per_second: f64,
        start_up: Duration,
        now: Timestamp,
    ) -> Self {
        let inner = Inner {
            now,
            partitions: vec![SimulatedPartition::default(); partitions],
            consumers: Vec::new(),
            unspent: 0.0,
            most_per_second: f64::INFINITY,
        };
        Self {
            capacity_per_second,
            start_up,
            inner: Mutex::new(inner),
        }
    }

    /// Moves on to `now` with these arrivals per second and partition.
    pub fn advance(&self, now: Timestamp, arrivals_per_second: &[f64]) {
        let mut inner = self.inner();
        while inner.now.plus(STEP) <= now {
            inner.now = inner.now.plus(STEP);
            inner.finish();
            inner.arrive(arrivals_per_second);
            inner.take(self.capacity_per_second);
        }
    }

    /// Asks for so many consumers: new ones start late, surplus ones end at once, the youngest first.
    pub fn set_consumers(&self, count: usize) {
        let mut inner = self.inner();
        let ready_at = inner.now.plus(self.start_up);
        inner.consumers.resize(count, ready_at);
    }

    /// From now on all consumers together do at most so many messages per second; `None`: what each of them can.
    pub fn limit(&self, most_per_second: Option<f64>) {
        self.inner().most_per_second = most_per_second.unwrap_or(f64::INFINITY);
    }

    /// Consumers that are ready.
    pub fn ready_consumers(&self) -> u32 {
        self.inner().ready()
    }

    /// Messages that arrived and that were done, since the start.
    pub fn totals(&self) -> (u64, u64) {
        let inner = self.inner();
        let sum = |of: fn(&SimulatedPartition) -> u64| inner.partitions.iter().map(of).sum();
        (sum(|p| p.arrived), sum(|p| p.done))
    }

    fn sample(&self) -> Sample {
        let inner = self.inner();
        let observed = |p: &SimulatedPartition| PartitionObservation::Present(p.sample(inner.now));
        let partitions: BTreeMap<_, _> = inner
            .partitions
            .iter()
            .enumerate()
            .map(|(n, partition)| (PartitionId::new(n.to_string()), observed(partition)))
            .collect();
        Sample {
            partitions,
            consumers: Some(inner.ready()),
            source_time: Some(inner.now),
            read_limit_per_second: None,
            errors: None,
            holders: None,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn ready(&self) -> u32 {
        self.consumers
            .iter()
            .filter(|ready_at| **ready_at <= self.now)
            .count() as u32
    }

    fn finish(&mut self) {
        for partition in &mut self.partitions {
            partition.finish();
        }
    }

    fn arrive(&mut self, arrivals_per_second: &[f64]) {
        for (partition, rate) in self.partitions.iter_mut().zip(arrivals_per_second) {
            partition.fraction += rate * STEP.as_secs_f64();
            let whole = partition.fraction.floor();
            partition.fraction -= whole;
            if whole > 0.0 {
                partition.arrive(self.now, whole as u64);
            }
        }
    }

    fn take(&mut self, capacity_per_second: f64) {
        let together = f64::from(self.ready()) * capacity_per_second;
        self.unspent += together.min(self.most_per_second) * STEP.as_secs_f64();
        while self.unspent >= 1.0 {
            let oldest = self.partitions.iter_mut().filter(|p| !p.waiting.is_empty());
            let Some(partition) = oldest.min_by_key(|p| p.waiting.front().map(|(at, _)| *at))
            else {
                // Time that nothing was there for is not saved up.
                self.unspent = 0.0;
                return;
            };
            self.unspent -= partition.take(self.unspent as u64) as f64;
        }
    }
}

/// The simulated stream as a source.
pub struct SimulatedSource(pub Arc<SimulatedStream>);

impl Source for SimulatedSource {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(SimulatedReader(Arc::clone(&self.0)))
    }
}

struct SimulatedReader(Arc<SimulatedStream>);

impl GroupReader for SimulatedReader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(std::future::ready(Ok(self.0.sample())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::partition::MOST_ARRIVAL_TIMES;
    use super::*;
    use crate::model::quantity::Quantity;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn outstanding(sample: &Sample) -> u64 {
        let backlog = |seen: &PartitionObservation| match seen {
            PartitionObservation::Present(sample) => sample.backlog().map_or(0, Quantity::value),
            _ => 0,
        };
        sample.partitions.values().map(backlog).sum()
    }

    proptest! {
        #[test]
        fn no_message_is_lost_or_made_up(
            steps in prop::collection::vec((0_u64..2_000, 0.0_f64..300.0, 0_usize..8), 1..50),
        ) {
            let stream = SimulatedStream::new(3, 40.0, Duration::from_secs(1), START);
            let mut now = START;
            for (passed, rate, consumers) in steps {
                now = now.plus(Duration::from_millis(passed));
                stream.set_consumers(consumers);
                stream.advance(now, &[rate, rate / 2.0, 0.0]);
                let (arrived, done) = stream.totals();
                prop_assert_eq!(arrived, done + outstanding(&stream.sample()));
            }
        }
    }

    fn oldest_age(stream: &SimulatedStream) -> u64 {
        let sample = stream.sample();
        let age = |seen: &PartitionObservation| match seen {
            PartitionObservation::Present(sample) => sample.oldest_age_millis,
            _ => None,
        };
        sample.partitions.values().filter_map(age).max().unwrap()
    }

    #[test]
    fn a_stream_that_nobody_reads_for_hours_stays_small_and_knows_its_oldest_age() {
        let stream = SimulatedStream::new(1, 50.0, Duration::ZERO, START);
        stream.advance(START.plus(Duration::from_secs(3 * 3_600)), &[20.0]);
        assert_eq!(stream.totals(), (216_000, 0));
        assert_eq!(outstanding(&stream.sample()), 216_000);
        assert!(stream.inner().partitions[0].waiting.len() <= MOST_ARRIVAL_TIMES);
        assert_eq!(oldest_age(&stream), 3 * 3_600_000 - 100);
    }

    #[test]
    fn the_size_of_the_steps_it_is_moved_on_by_changes_nothing() {
        let played = |step: u64| {
            let stream = SimulatedStream::new(3, 40.0, Duration::from_secs(2), START);
            stream.set_consumers(2);
            for at in (step..=12_000).step_by(step as usize) {
                stream.advance(START.plus(Duration::from_millis(at)), &[50.0, 17.3, 0.4]);
            }
            stream.sample()
        };
        assert_eq!(played(100), played(12_000));
        assert_eq!(played(250), played(3_000));
    }

    #[test]
    fn consumers_start_late_and_work_at_their_rate() {
        let stream = SimulatedStream::new(2, 50.0, Duration::from_secs(5), START);
        stream.set_consumers(2);
        stream.advance(START.plus(Duration::from_secs(4)), &[200.0, 0.0]);
        assert_eq!((stream.ready_consumers(), stream.totals()), (0, (800, 0)));
        stream.advance(START.plus(Duration::from_secs(15)), &[200.0, 0.0]);
        let (arrived, done) = stream.totals();
        assert_eq!((stream.ready_consumers(), arrived), (2, 3_000));
        assert!((990..=1_010).contains(&done), "{done}");
    }
}
