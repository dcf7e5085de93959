//! A hub and its checkpoint store in memory: every access takes time, in which events come and are committed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg32;
use tokio::time::{Instant, sleep};

use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;
use crate::sources::BoxFuture;
use crate::sources::event_hubs::checkpoints::{
    Checkpoint, CheckpointState, CheckpointStore, Committed, GroupMemory,
};
use crate::sources::event_hubs::management::{HubProperties, Management, PartitionProperties};

/// What happens in a partition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lives {
    /// Nothing: five events wait.
    Quiet,
    /// Nothing: none waits.
    Done,
    /// Events come, and consumers commit now and then, as far as they like.
    Busy,
    /// Events come, and consumers commit all of them at once.
    KeepsUp,
    /// Seldom one event, which is committed soon.
    Trickles,
}

impl Lives {
    pub fn any() -> impl Strategy<Value = Self> {
        let all = [
            Self::Quiet,
            Self::Done,
            Self::Busy,
            Self::KeepsUp,
            Self::Trickles,
        ];
        prop::sample::select(all.to_vec())
    }
}

/// Ends and committed positions are sequence numbers.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    end: i64,
    committed: i64,
}

struct Partition {
    lives: Lives,
    past: Vec<Moment>,
    written_at: Instant,
}

struct Inner {
    random: Pcg32,
    partitions: Vec<Partition>,
    calls: usize,
    hanging: usize,
}

pub struct World {
    began: Instant,
    inner: Mutex<Inner>,
}

impl World {
    pub fn new(seed: u64, lives: Vec<Lives>) -> Arc<Self> {
        let at = Instant::now();
        let partition = |lives| {
            let committed = if lives == Lives::Quiet { 994 } else { 999 };
            let now = Moment {
                at,
                end: 999,
                committed,
            };
            Partition {
                lives,
                past: vec![now],
                written_at: at,
            }
        };
        let inner = Inner {
            random: Pcg32::seed_from_u64(seed),
            partitions: lives.into_iter().map(partition).collect(),
            calls: 0,
            hanging: 0,
        };
        Arc::new(Self {
            began: at,
            inner: Mutex::new(inner),
        })
    }

    pub fn broker(self: &Arc<Self>) -> Broker {
        Broker(Arc::clone(self))
    }

    pub fn store(self: &Arc<Self>) -> Store {
        Store(Arc::clone(self))
    }

    pub fn calls(&self) -> usize {
        self.inner().calls
    }

    /// So many calls will not be answered.
    pub fn hang(&self, calls: usize) {
        self.inner().hanging = calls;
    }

    /// Whether so much waited: the end of one moment since then, less what was committed at one; a zero at one and the same.
    pub fn must_have_been(&self, partition: usize, lag: u64, since: Instant) {
        let inner = self.inner();
        let past = &inner.partitions[partition].past;
        let first = past
            .iter()
            .rposition(|moment| moment.at <= since)
            .unwrap_or(0);
        let past = &past[first..];
        let lag = i64::try_from(lag).expect("a small number");
        let was = match lag {
            0 => past.iter().any(|moment| moment.end == moment.committed),
            _ => past
                .iter()
                .any(|one| past.iter().any(|other| one.end - other.committed == lag)),
        };
        assert!(was, "{lag} in partition {partition} was never so: {past:?}");
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    /// Lets some time pass, in which something may happen.
    async fn passes(&self) {
        let millis = self.inner().random.random_range(0..30);
        sleep(Duration::from_millis(millis)).await;
        let Inner {
            random, partitions, ..
        } = &mut *self.inner();
        for partition in partitions {
            partition.live(random);
        }
    }

    fn clock(&self, at: Instant) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + (at - self.began).as_secs() * 1_000)
    }
}

impl Partition {
    fn now(&self) -> Moment {
        *self.past.last().expect("never empty")
    }

    fn live(&mut self, random: &mut Pcg32) {
        let before = self.now();
        let mut now = Moment {
            at: Instant::now(),
            ..before
        };
        let chance = |random: &mut Pcg32, of: u32| random.random_range(0..of) == 0;
        match self.lives {
            Lives::Quiet | Lives::Done => return,
            Lives::Busy => {
                now.end += random.random_range(0..100);
                if chance(random, 3) {
                    now.committed = random.random_range(now.committed..=now.end);
                }
            }
            Lives::KeepsUp => {
                now.end += random.random_range(0..100);
                if chance(random, 2) {
                    now.committed = now.end;
                }
            }
            Lives::Trickles => {
                now.end += i64::from(chance(random, 20));
                if chance(random, 4) {
                    now.committed = now.end;
                }
            }
        }
        if now.committed != before.committed {
            self.written_at = now.at;
        }
        self.past.push(now);
    }
}

pub struct Broker(Arc<World>);

impl Broker {
    async fn call(&self) -> Result<(), Failure> {
        let hangs = {
            let mut inner = self.0.inner();
            inner.calls += 1;
            let hangs = inner.hanging > 0;
            inner.hanging = inner.hanging.saturating_sub(1);
            hangs
        };
        if hangs {
            sleep(Duration::from_secs(2)).await;
            return Err(Failure::new(FailureKind::Timeout, "no answer in time"));
        }
        self.0.passes().await;
        Ok(())
    }
}

impl Management for Broker {
    fn hub(&self) -> BoxFuture<'_, Result<HubProperties, Failure>> {
        Box::pin(async {
            self.call().await?;
            let partitions = self.0.inner().partitions.len();
            Ok(HubProperties {
                created_at: None,
                partition_ids: (0..partitions).map(|id| format!("{id:04}")).collect(),
            })
        })
    }

    fn partition<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<PartitionProperties, Failure>> {
        Box::pin(async {
            self.call().await?;
            let at: usize = id.parse().expect("a number");
            let end = self.0.inner().partitions[at].now().end;
            self.0.passes().await;
            Ok(PartitionProperties {
                partition_id: id.to_owned(),
                beginning_sequence_number: 0,
                last_enqueued_sequence_number: end,
                last_enqueued_offset: end.to_string(),
                last_enqueued_at: None,
                is_empty: false,
                epoch: None,
            })
        })
    }

    fn reconnect(&self) {}

    fn calls(&self) -> u64 {
        self.0.calls() as u64
    }
}

pub struct Store(Arc<World>);

impl CheckpointStore for Store {
    fn read<'a>(
        &'a self,
        _consumer_group: &'a str,
        partitions: &'a [String],
        _memory: &'a mut GroupMemory,
    ) -> BoxFuture<'a, Result<Committed, Failure>> {
        Box::pin(async {
            self.0.passes().await;
            let committed = {
                let inner = self.0.inner();
                let of = |(id, partition): (&String, &Partition)| {
                    let number = partition.now().committed;
                    let checkpoint = Checkpoint {
                        sequence_number: number,
                        offset: number.to_string(),
                        written_at: Some(self.0.clock(partition.written_at)),
                    };
                    (id.clone(), CheckpointState::Present(checkpoint))
                };
                Committed {
                    partitions: partitions.iter().zip(&inner.partitions).map(of).collect(),
                    now: Some(self.0.clock(Instant::now())),
                    ..Committed::default()
                }
            };
            self.0.passes().await;
            Ok(committed)
        })
    }

    fn requests(&self) -> u64 {
        0
    }
}
