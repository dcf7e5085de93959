//! Shared assignment as Redis Streams' consumers live it: one pool, each fetches a batch, holds it until it is done, acknowledges it.
//!
//! Time is in microseconds since the start, so that a run is the same to the bit everywhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::done::{LATE, WorkDone};
use super::partition::PlantPartition;

/// In microseconds.
const SECOND: f64 = 1e6;

/// The consumers, ready ones and those that finish their last batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    consumers: BTreeMap<u32, Consumer>,
    /// When who reads next that has nothing to do; entries of those that left, or got a batch since, mean nothing.
    idle: BinaryHeap<Reverse<(u64, u32)>>,
    /// When who is done with its batch.
    busy: BinaryHeap<Reverse<(u64, u32)>>,
    /// Batches of crashed consumers, and from when on another one takes them over.
    orphans: VecDeque<(u64, Batch)>,
    /// Consumers that left: the group lists them on, with the time they last asked.
    gone: Vec<(u32, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Consumer {
    batch: Option<Batch>,
    leaves: bool,
    /// When it last asked for something.
    asked_at: u64,
    /// When it reads next, while it is idle.
    reads_at: u64,
    /// Microseconds that it worked within this tick.
    worked: u64,
}

#[derive(Clone, Debug)]
struct Batch {
    partition: usize,
    done_at: u64,
    began: u64,
    /// When each of its messages arrived.
    arrived: Vec<u64>,
}

/// What a group's listing says of one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedReplica {
    /// Its replica.
    pub replica: u32,
    /// Messages it holds.
    pub pending: u64,
    /// Milliseconds since it last asked.
    pub silent_millis: u64,
}

/// A tick of the pool: from when to when, how long each consumer's message takes, how many it fetches.
pub(super) struct Shift<'a> {
    pub from: u64,
    pub to: u64,
    pub batch: usize,
    pub tick: usize,
    pub micros_per_message: &'a dyn Fn(u32) -> f64,
    /// What fetching and acknowledging a batch costs beside its messages.
    pub fetch_micros: u64,
    /// Who found nothing reads again after so long; 0: a message wakes whoever waited longest.
    pub idle_micros: u64,
}

impl Pool {
    /// Consumers of these replicas are ready now; those of others stop after the batch in hand.
    pub fn follow(&mut self, ready: &[u32], now: u64) {
        for replica in ready {
            self.consumers.entry(*replica).or_insert_with(|| {
                self.idle.push(Reverse((now, *replica)));
                Consumer {
                    asked_at: now,
                    reads_at: now,
                    ..Consumer::default()
                }
            });
        }
        let leaving: Vec<u32> = self
            .consumers
            .iter()
            .filter(|(replica, consumer)| !consumer.leaves && !ready.contains(replica))
            .map(|(replica, _)| *replica)
            .collect();
        for replica in leaving {
            let at_work = self.consumers.get_mut(&replica).is_some_and(|consumer| {
                consumer.leaves = true;
                consumer.batch.is_some()
            });
            if !at_work {
                self.leave(replica, now);
            }
        }
    }

    /// A consumer ends without a word: what it holds stays pending until somebody takes it over.
    pub fn crash(&mut self, replica: u32, now: u64, expires: u64) {
        let batch = self
            .consumers
            .get_mut(&replica)
            .and_then(|c| c.batch.take());
        if let Some(batch) = batch {
            self.orphans.push_back((expires, batch));
        }
        self.leave(replica, now);
    }

    fn leave(&mut self, replica: u32, now: u64) {
        if self.consumers.remove(&replica).is_some() {
            self.gone.push((replica, now));
        }
    }

    /// Every consumer works through the shift, event by event.
    pub fn work(&mut self, shift: &Shift, partitions: &mut [PlantPartition]) -> WorkDone {
        let mut work = WorkDone::default();
        self.consumers.values_mut().for_each(|c| c.worked = 0);
        loop {
            let done = self.busy.peek().map(|Reverse((at, _))| *at);
            let fetch = self.next_fetch(shift, partitions);
            match (done, fetch) {
                (_, Some(at)) if at < shift.to && done.is_none_or(|done| at <= done) => {
                    self.fetch(at, shift, partitions);
                }
                (Some(at), _) if at < shift.to => self.acknowledge(shift, partitions, &mut work),
                _ => break,
            }
        }
        for consumer in self.consumers.values_mut() {
            match &consumer.batch {
                Some(batch) => consumer.worked += shift.to - batch.began.max(shift.from),
                None => consumer.asked_at = shift.to,
            }
        }
        self.note_oldest(partitions);
        work
    }

    /// When the next idle consumer reads and finds something.
    fn next_fetch(&mut self, shift: &Shift, partitions: &[PlantPartition]) -> Option<u64> {
        let orphan = self.orphans.front().map(|(due, _)| *due);
        let arrival = partitions
            .iter()
            .filter_map(|p| p.next_arrival(shift.tick))
            .min();
        let there = orphan.into_iter().chain(arrival).min()?.max(shift.from);
        if there >= shift.to {
            return None;
        }
        while let Some(Reverse((reads_at, replica))) = self.idle.peek().copied() {
            let consumer = self.consumers.get_mut(&replica);
            let waits = consumer.filter(|c| c.batch.is_none() && c.reads_at == reads_at);
            match waits {
                Some(_) if reads_at >= there => return Some(reads_at),
                Some(_) if shift.idle_micros == 0 => return Some(there),
                // It reads in vain until then.
                Some(consumer) => {
                    let reads = (there - reads_at).div_ceil(shift.idle_micros);
                    consumer.reads_at = reads_at + reads * shift.idle_micros;
                    self.idle.pop();
                    self.idle.push(Reverse((consumer.reads_at, replica)));
                }
                None => {
                    self.idle.pop();
                }
            }
        }
        None
    }

    fn fetch(&mut self, at: u64, shift: &Shift, partitions: &mut [PlantPartition]) {
        let Some(Reverse((_, replica))) = self.idle.pop() else {
            return;
        };
        let due = self.orphans.front().is_some_and(|(due, _)| *due <= at);
        let orphan = if due { self.orphans.pop_front() } else { None };
        let (partition, arrived) = match orphan {
            Some((_, batch)) => (batch.partition, batch.arrived),
            None => {
                let next = partitions.iter().enumerate();
                let next = next.filter_map(|(n, p)| Some((p.next_arrival(shift.tick)?, n)));
                let Some((_, n)) = next.min() else { return };
                (n, partitions[n].deliver(shift.batch, at))
            }
        };
        let takes = arrived.len() as f64 * (shift.micros_per_message)(replica);
        let done_at = at + takes as u64 + shift.fetch_micros;
        if let Some(consumer) = self.consumers.get_mut(&replica) {
            consumer.asked_at = at;
            consumer.batch = Some(Batch {
                partition,
                done_at,
                began: at,
                arrived,
            });
            self.busy.push(Reverse((done_at, replica)));
        }
    }

    /// The first that is done acknowledges, and waits for more or leaves.
    fn acknowledge(
        &mut self,
        shift: &Shift,
        partitions: &mut [PlantPartition],
        work: &mut WorkDone,
    ) {
        let Some(Reverse((at, replica))) = self.busy.pop() else {
            return;
        };
        let Some(consumer) = self.consumers.get_mut(&replica) else {
            return;
        };
        let Some(batch) = consumer.batch.take_if(|batch| batch.done_at == at) else {
            return;
        };
        consumer.worked += at - batch.began.max(shift.from);
        consumer.asked_at = at;
        consumer.reads_at = at;
        let leaves = consumer.leaves;
        for arrived in &batch.arrived {
            work.count(1.0, (at - arrived) as f64 / SECOND);
        }
        partitions[batch.partition].acknowledge(batch.arrived.len());
        if leaves {
            self.leave(replica, at);
        } else {
            self.idle.push(Reverse((at, replica)));
        }
    }

    /// Tells every partition its oldest message that was delivered and is not done.
    fn note_oldest(&self, partitions: &mut [PlantPartition]) {
        partitions.iter_mut().for_each(|p| p.oldest_pending = None);
        for batch in self.held() {
            let oldest = &mut partitions[batch.partition].oldest_pending;
            let first = batch.arrived.iter().copied().min();
            *oldest = oldest.iter().copied().chain(first).min();
        }
    }

    fn held(&self) -> impl Iterator<Item = &Batch> {
        let orphans = self.orphans.iter().map(|(_, batch)| batch);
        let batches = self.consumers.values().filter_map(|c| c.batch.as_ref());
        batches.chain(orphans)
    }

    /// Share of the shift that a replica's consumer worked.
    pub fn busy_share(&self, replica: u32, micros: u64) -> f64 {
        let worked = self.consumers.get(&replica).map_or(0, |c| c.worked);
        worked as f64 / micros as f64
    }

    /// Messages delivered, not done, that arrived so long ago that they are late.
    pub fn late(&self, now: u64) -> f64 {
        let arrived = self.held().flat_map(|batch| &batch.arrived);
        let late = arrived.filter(|at| u128::from(now.saturating_sub(**at)) > LATE.as_micros());
        late.count() as f64
    }

    /// Every consumer that the group knows, those that left included: nobody deletes them.
    pub fn listing(&self, now: u64) -> impl Iterator<Item = ListedReplica> {
        let silent = move |asked_at: u64| now.saturating_sub(asked_at) / 1000;
        let here = self
            .consumers
            .iter()
            .map(move |(replica, c)| ListedReplica {
                replica: *replica,
                pending: c.batch.as_ref().map_or(0, |b| b.arrived.len() as u64),
                silent_millis: silent(c.asked_at),
            });
        let gone = self.gone.iter().map(move |(replica, at)| ListedReplica {
            replica: *replica,
            pending: 0,
            silent_millis: silent(*at),
        });
        here.chain(gone)
    }
}
