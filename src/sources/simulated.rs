//! A partitioned stream in memory, with producers and consumers that work at a limited rate: what the demo runs on.
//!
//! Every message is accounted for: arrived = done + in hand + waiting, at any time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{BoxFuture, GroupReader, Source};
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::sample::{Failure, PartitionObservation, PartitionSample, Position, Sample};
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;

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
    partitions: Vec<Partition>,
    /// When each consumer is ready, the longest-running first.
    consumers: Vec<Timestamp>,
    /// Work that the consumers could not spend in whole messages yet.
    unspent: f64,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    arrived: u64,
    done: u64,
    in_hand: u64,
    /// Share of a message that has arrived.
    fraction: f64,
    /// Waiting messages by the step they arrived in.
    waiting: VecDeque<(Timestamp, u64)>,
    /// When the oldest message in hand arrived.
    oldest_in_hand: Option<Timestamp>,
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
            partitions: vec![Partition::default(); partitions],
            consumers: Vec::new(),
            unspent: 0.0,
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

    /// Consumers that are ready.
    pub fn ready_consumers(&self) -> u32 {
        self.inner().ready()
    }

    /// Messages that arrived and that were done, since the start.
    pub fn totals(&self) -> (u64, u64) {
        let inner = self.inner();
        let sum = |of: fn(&Partition) -> u64| inner.partitions.iter().map(of).sum();
        (sum(|p| p.arrived), sum(|p| p.done))
    }

    fn sample(&self) -> Sample {
        let inner = self.inner();
        let observed = |p: &Partition| PartitionObservation::Present(p.sample(inner.now));
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
            partition.done += std::mem::take(&mut partition.in_hand);
            partition.oldest_in_hand = None;
        }
    }

    fn arrive(&mut self, arrivals_per_second: &[f64]) {
        for (partition, rate) in self.partitions.iter_mut().zip(arrivals_per_second) {
            partition.fraction += rate * STEP.as_secs_f64();
            let whole = partition.fraction.floor();
            partition.fraction -= whole;
            if whole > 0.0 {
                partition.arrived += whole as u64;
                partition.waiting.push_back((self.now, whole as u64));
            }
        }
    }

    fn take(&mut self, capacity_per_second: f64) {
        self.unspent += f64::from(self.ready()) * capacity_per_second * STEP.as_secs_f64();
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

impl Partition {
    /// Takes up to `most` messages of its oldest step in hand.
    fn take(&mut self, most: u64) -> u64 {
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

    fn sample(&self, now: Timestamp) -> PartitionSample {
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

/// The simulated stream as a source.
pub struct SimulatedSource(pub Arc<SimulatedStream>);

impl Source for SimulatedSource {
    fn reader(&self, _stream: &StreamSelector, _consumer_group: &str) -> Box<dyn GroupReader> {
        Box::new(Reader(Arc::clone(&self.0)))
    }

    fn reconnect(&self) {}
}

struct Reader(Arc<SimulatedStream>);

impl GroupReader for Reader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(std::future::ready(Ok(self.0.sample())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
