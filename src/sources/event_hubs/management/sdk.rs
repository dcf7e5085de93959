//! The Azure SDK's client behind the same seam: several of them, each asked one thing at a time and trusted with nothing.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_messaging_eventhubs::{ConsumerClient, EventHubsError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::access::{Access, ConnectTarget};
use super::client::{HubProperties, Management, PartitionProperties};
use super::sdk_client::Client;
use super::{failure, sdk_error};
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;
use crate::sources::BoxFuture as Boxed;

/// Several clients of the SDK. A call takes one out of the pool and puts it back only after an answer that was in step: one that
/// timed out, or whose call was dropped, holds an answer that a later call would take for its own.
pub struct SdkPool {
    access: Access,
    deadline: Duration,
    calls: AtomicU64,
    permits: Semaphore,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Raised when everything built so far is to be dropped.
    generation: u64,
    clients: Vec<Pooled>,
}

struct Pooled {
    client: Client,
    generation: u64,
}

type Asking<'a, T> = BoxFuture<'a, Result<T, EventHubsError>>;

/// What connecting and authorizing takes at most where it goes well.
const ENOUGH_TO_CONNECT: Duration = Duration::from_secs(1);

impl SdkPool {
    /// At most `clients` of the SDK's, each connected when it is first needed. `deadline` bounds each call, waiting for a
    /// client and connecting included.
    pub fn new(access: Access, deadline: Duration, clients: usize) -> Self {
        Self {
            access,
            deadline,
            calls: AtomicU64::new(0),
            permits: Semaphore::new(clients.max(1)),
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a client of the pool, and new ones where they may do better, all within the deadline.
    async fn read<S, T>(
        &self,
        ask: impl for<'c> Fn(&'c ConsumerClient) -> Asking<'c, S>,
        value: impl Fn(S, &ConnectTarget) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + self.deadline;
        let closed = |_| failure::unreachable(&self.access.subject(), "the pool is closed");
        let permit = timeout_at(until, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| self.late())?.map_err(closed)?;
        if let Some(used) = self.take() {
            let asked = self.read_with(used, &ask, &value);
            match self.by(share_of(until), asked).await {
                Err(failure) if is_stale(failure.kind) => self.note_stale(failure.kind),
                outcome => return outcome,
            }
        }
        let anew = async || self.read_with(self.open().await?, &ask, &value).await;
        let mut outcome = self.by(share_of(until), anew()).await;
        for tries_left in (0..MORE_CLIENTS).rev() {
            let broken = matches!(&outcome, Err(failure) if is_broken(failure.kind));
            if !broken || Instant::now() >= until {
                break;
            }
            let by = if tries_left == 0 {
                until
            } else {
                share_of(until)
            };
            outcome = self.by(by, anew()).await;
        }
        outcome
    }

    async fn by<T>(
        &self,
        until: Instant,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let outcome = timeout_at(until, asked).await;
        outcome.unwrap_or_else(|_| Err(self.late()))
    }

    async fn read_with<S, T>(
        &self,
        pooled: Pooled,
        ask: &impl for<'c> Fn(&'c ConsumerClient) -> Asking<'c, S>,
        value: &impl Fn(S, &ConnectTarget) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let Client {
            consumer, target, ..
        } = &pooled.client;
        let subject = target.subject();
        // The SDK panics on values of another type than it expects.
        let asked = AssertUnwindSafe(ask(consumer)).catch_unwind().await;
        let outcome = match asked {
            Ok(Ok(properties)) => value(properties, target),
            Ok(Err(error)) => Err(sdk_error::of_error(&subject, &error)),
            Err(_) => Err(failure::garbled(&subject, "a value is of the wrong type")),
        };
        if outcome
            .as_ref()
            .map_or_else(|failure| is_in_step(failure.kind), |_| true)
        {
            self.put_back(pooled);
        }
        outcome
    }

    fn take(&self) -> Option<Pooled> {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.clients.retain(|pooled| pooled.client.good_until > now);
        idle.clients.pop()
    }

    fn put_back(&self, pooled: Pooled) {
        let mut idle = self.idle();
        if pooled.generation == idle.generation {
            idle.clients.push(pooled);
        }
    }

    async fn open(&self) -> Result<Pooled, Failure> {
        let generation = self.idle().generation;
        let client = Client::open(&self.access, &self.calls).await?;
        Ok(Pooled { client, generation })
    }

    /// A stall may be one client's own; a lost connection or a refused token is met by all of them.
    fn note_stale(&self, kind: FailureKind) {
        if kind != FailureKind::Timeout {
            self.reconnect();
        }
    }

    fn late(&self) -> Failure {
        failure::timed_out(&self.access.subject(), "a request")
    }
}

/// Clients opened for one call after the first one. While it opens, the SDK drops the session that its token went through; where the
/// broker is near (6 % of the times over loopback, none over 1 ms), that session stops a frame too early and takes the connection
/// with it: "Illegal session state", of fe2o3-amqp 0.16.
const MORE_CLIENTS: u32 = 4;

/// Half of the time that is left, if that is enough to connect in. The SDK stalls for good when its connection is gone, or when
/// the broker is faster to settle a request than the SDK is to take note of having sent it: time must be left for another client.
fn share_of(until: Instant) -> Instant {
    let now = Instant::now();
    let half = until.saturating_duration_since(now) / 2;
    (now + half.max(ENOUGH_TO_CONNECT)).min(until)
}

/// Whether a new client may do better than one that was used before: a connection that broke since the last poll, a rotated key,
/// or one of the SDK's own stalls is not a failure yet.
const fn is_stale(kind: FailureKind) -> bool {
    is_broken(kind) || matches!(kind, FailureKind::Auth)
}

/// Whether another new client may do better than this one: the SDK's stall, or fail to open, for no reason of the broker's.
const fn is_broken(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Unreachable | FailureKind::Timeout)
}

/// Whether the broker answered the question that was asked, if not with a value: the client is as good as before.
const fn is_in_step(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Throttled | FailureKind::Misconfigured)
}

fn must_be(subject: &str, what: &str, found: &str, asked: &str) -> Result<(), Failure> {
    if found.eq_ignore_ascii_case(asked) {
        return Ok(());
    }
    let text = format!("{what} is {found}, requested was {asked}");
    Err(failure::garbled(subject, &text))
}

/// A time; `None` for those before 1970, which stand for "never".
fn timestamp(time: Option<SystemTime>) -> Option<Timestamp> {
    let since = time?.duration_since(UNIX_EPOCH).ok()?;
    let millis = u64::try_from(since.as_millis()).ok()?;
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

impl Management for SdkPool {
    fn hub(&self) -> Boxed<'_, Result<HubProperties, Failure>> {
        Box::pin(self.read(
            |consumer| consumer.get_eventhub_properties().boxed(),
            |properties, target| {
                let subject = target.subject();
                must_be(&subject, "name", &properties.name, &target.event_hub)?;
                let created_at = timestamp(properties.created_on);
                HubProperties::told(&subject, created_at, properties.partition_ids)
            },
        ))
    }

    fn partition<'a>(&'a self, id: &'a str) -> Boxed<'a, Result<PartitionProperties, Failure>> {
        Box::pin(async move {
            let asked = id.to_owned();
            self.read(
                move |consumer| {
                    let asked = asked.clone();
                    async move { consumer.get_partition_properties(&asked).await }.boxed()
                },
                |found, target| {
                    let subject = target.subject();
                    must_be(&subject, "name", &found.eventhub, &target.event_hub)?;
                    must_be(&subject, "partition", &found.id, id)?;
                    Ok(PartitionProperties {
                        partition_id: found.id,
                        beginning_sequence_number: found.beginning_sequence_number,
                        last_enqueued_sequence_number: found.last_enqueued_sequence_number,
                        last_enqueued_offset: found.last_enqueued_offset,
                        last_enqueued_at: timestamp(found.last_enqueued_time_utc),
                        is_empty: found.is_empty,
                        // The SDK reads it and does not tell.
                        epoch: None,
                    })
                },
            )
            .await
        })
    }

    fn reconnect(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.clients.clear();
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
