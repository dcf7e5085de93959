//! Our management client: one connection, many requests in flight, each with its deadline and told apart by its id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout, timeout_at};

use super::access::{Access, ConnectTarget, Token};
use super::client::{HubProperties, Management, PartitionProperties};
use super::connection::AmqpConnection;
use super::failure;
use super::message::{ManagementRequest, Reply};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::BoxFuture as Boxed;

/// A client that asks many things at once over one connection.
pub struct Pipelined {
    access: Arc<Access>,
    deadline: Duration,
    calls: Arc<AtomicU64>,
    attempt: Mutex<Option<Attempt>>,
}

/// An attempt to connect, going on or finished, that all callers share. It is a task of its own, so that a caller who goes away
/// takes nothing from the others.
type Attempt = Shared<BoxFuture<'static, Result<Arc<AmqpConnection>, Failure>>>;

impl Pipelined {
    /// Connects at the first call. `deadline` bounds each call, connecting included.
    pub fn new(access: Access, deadline: Duration) -> Self {
        Self {
            access: Arc::new(access),
            deadline,
            calls: Arc::default(),
            attempt: Mutex::default(),
        }
    }

    fn attempt(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection in use, or the attempt to make one.
    fn lease(&self) -> Lease {
        let mut slot = self.attempt();
        match slot.as_ref().map(|attempt| (attempt, result_of(attempt))) {
            Some((attempt, None)) => return Lease::Joined(attempt.clone()),
            Some((attempt, Some(Ok(connection)))) if !connection.is_over() => {
                return Lease::Reused(attempt.clone());
            }
            _ => {}
        }
        let attempt = self.connect();
        *slot = Some(attempt.clone());
        Lease::New(attempt)
    }

    fn connect(&self) -> Attempt {
        let access = self.access.clone();
        let opening = AmqpConnection::open(self.access.clone(), self.calls.clone(), self.deadline);
        let bounded = timeout(self.deadline, opening);
        let task = tokio::spawn(async move {
            let what = "the connection attempt";
            let late = |_| Err(failure::timed_out(&access.subject(), what));
            bounded.await.unwrap_or_else(late)
        });
        let ended = |_| {
            Err(Failure::new(
                FailureKind::Unreachable,
                "the connection attempt was canceled",
            ))
        };
        async move { task.await.unwrap_or_else(ended) }
            .boxed()
            .shared()
    }

    /// Asks, and once more on a new connection where that may do better: a connection that broke since the last poll, a rotated
    /// key, or somebody else's attempt to connect that had little time left, is not a failure yet.
    async fn read<T>(
        &self,
        request: impl Fn(&ConnectTarget, &Token) -> ManagementRequest,
        value: impl Fn(&Reply, &ConnectTarget) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + self.deadline;
        let lease = self.lease();
        let first = self.read_by(until, lease.attempt(), &request, &value).await;
        match first {
            Err(failure) if lease.is_stale(failure.kind) && Instant::now() < until => {
                let lease = self.lease();
                self.read_by(until, lease.attempt(), &request, &value).await
            }
            first => first,
        }
    }

    /// Asks over one connection, and drops it if it must not be used again.
    async fn read_by<T>(
        &self,
        until: Instant,
        attempt: &Attempt,
        request: &impl Fn(&ConnectTarget, &Token) -> ManagementRequest,
        value: &impl Fn(&Reply, &ConnectTarget) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let asked = async {
            let connection = attempt.clone().await?;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let reply = connection.ask(request).await?;
            value(&reply, connection.target())
        };
        let late = |_| Err(failure::timed_out(&self.access.subject(), "a request"));
        let outcome = timeout_at(until, asked).await.unwrap_or_else(late);
        if let (Err(failure), Some(Ok(connection))) = (&outcome, attempt.peek())
            && is_fatal(failure.kind)
        {
            connection.end(failure.clone());
        }
        outcome
    }
}

/// What came of an attempt; looks itself, for nobody may have waited until it was finished.
fn result_of(attempt: &Attempt) -> Option<Result<Arc<AmqpConnection>, Failure>> {
    attempt.clone().now_or_never()
}

/// How a call came to its connection.
enum Lease {
    /// It made the attempt.
    New(Attempt),
    /// Somebody else's attempt was going on.
    Joined(Attempt),
    /// The connection was there.
    Reused(Attempt),
}

impl Lease {
    const fn attempt(&self) -> &Attempt {
        match self {
            Self::New(attempt) | Self::Joined(attempt) | Self::Reused(attempt) => attempt,
        }
    }

    /// Whether another connection may do better right now.
    const fn is_stale(&self, kind: FailureKind) -> bool {
        match self {
            Self::New(_) => false,
            Self::Joined(_) => matches!(kind, FailureKind::Timeout),
            Self::Reused(_) => matches!(kind, FailureKind::Unreachable | FailureKind::Auth),
        }
    }
}

/// Whether a connection that this happened on must not be used again: it is silent, out of step, broken, or its token is
/// refused and the credential has to be read again.
const fn is_fatal(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Timeout | FailureKind::Protocol | FailureKind::Unreachable | FailureKind::Auth
    )
}

impl Management for Pipelined {
    fn hub(&self) -> Boxed<'_, Result<HubProperties, Failure>> {
        let value =
            |reply: &Reply, target: &ConnectTarget| reply.hub(&target.subject(), &target.event_hub);
        Box::pin(self.read(ManagementRequest::hub, value))
    }

    fn partition<'a>(&'a self, id: &'a str) -> Boxed<'a, Result<PartitionProperties, Failure>> {
        let request = move |target: &ConnectTarget, token: &Token| {
            ManagementRequest::partition(target, token, id)
        };
        let value = move |reply: &Reply, target: &ConnectTarget| {
            reply.partition(&target.subject(), &target.event_hub, id)
        };
        Box::pin(self.read(request, value))
    }

    fn reconnect(&self) {
        let dropped = self.attempt().take();
        if let Some(Ok(connection)) = dropped.as_ref().and_then(result_of) {
            let subject = connection.target().subject();
            connection.end(failure::unreachable(&subject, "the connection was dropped"));
        }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
