//! The two streams. KEDA's reconnect backoff resets only on a clean end, so every stream ends with OK: after half an hour, at
//! shutdown, when the group or the target goes.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt, iter, once, unfold};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

use crate::clock::Clock;
use crate::publish::GroupSnapshot;
use crate::registry::Target;
use crate::shutdown::{Phase, Shutdown};

use super::proto::{GetMetricSpecResponse, IsActiveResponse};

/// While active, the state is repeated this often. Not faster: each `true` refreshes KEDA's cooldown.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// A refused trigger is looked at again this often: the config may allow it by now.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Streams that were opened together do not end together.
const JITTER_SECONDS: u64 = 300;

/// Polled by the connection itself: a task of its own and a channel to it would double what an open stream costs.
pub type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// The state on open, then changes, then a slow heartbeat while active; nothing while unknown. A caller who does not read gets
/// the latest once it does.
pub fn activity(target: Arc<Target>, clock: Clock, shutdown: Shutdown) -> Stream<IsActiveResponse> {
    let open = Activity {
        open: Open::new(target, clock, shutdown),
        sent: None,
        repeat: false,
    };
    let states = unfold(open, |mut open| async move {
        let result = open.next().await?;
        Some((Ok(IsActiveResponse { result }), open))
    });
    states.boxed()
}

/// The specs at once. They change only with the trigger's metadata, which opens another stream, or with the configuration,
/// which ends this one.
pub fn specs(
    target: Arc<Target>,
    specs: GetMetricSpecResponse,
    clock: Clock,
    shutdown: Shutdown,
) -> Stream<GetMetricSpecResponse> {
    let mut open = Open::new(target, clock, shutdown);
    let end = async move { while open.woken().await != Woken::Over {} };
    until(end, Some(specs))
}

/// What a rejected trigger gets: its likely specs if the stream is one of specs, else nothing, and a clean end once it is served:
/// KEDA opens the next stream 2 s later. An error would be logged there at each attempt, up to a minute apart.
pub fn refused<T: Send + 'static>(
    first: Option<T>,
    is_served: impl Fn() -> bool + Send + 'static,
    shutdown: Shutdown,
) -> Stream<T> {
    let end = Instant::now() + LONGEST;
    let end = async move {
        let served = async move {
            loop {
                sleep(LOOK_AGAIN).await;
                if is_served() || Instant::now() >= end {
                    break;
                }
            }
        };
        tokio::select! {
            () = served => {}
            () = shutdown.reached(Phase::Stopping) => {}
        }
    };
    until(end, first)
}

/// What is told at once, and nothing more until `end` returns.
fn until<T: Send + 'static>(
    end: impl Future<Output = ()> + Send + 'static,
    first: Option<T>,
) -> Stream<T> {
    let silence = once(end).filter_map(|()| ready(None));
    iter(first.map(Ok)).chain(silence).boxed()
}

/// A stream of a target that is served.
struct Open {
    target: Arc<Target>,
    changes: watch::Receiver<Arc<GroupSnapshot>>,
    clock: Clock,
    shutdown: Shutdown,
    heartbeat: Instant,
    end: Instant,
}

/// Why it is to be looked at.
#[derive(PartialEq, Eq)]
enum Woken {
    Changed,
    Heartbeat,
    /// The group or the target is gone, the stream has lived long enough, or the service stops.
    Over,
}

impl Open {
    fn new(target: Arc<Target>, clock: Clock, shutdown: Shutdown) -> Self {
        let now = Instant::now();
        let jitter = Duration::from_secs(target.key.metadata_hash % JITTER_SECONDS);
        Self {
            changes: target.group.subscribe(),
            target,
            clock,
            shutdown,
            heartbeat: now + HEARTBEAT,
            end: now + LONGEST + jitter,
        }
    }

    fn is_gone(&self) -> bool {
        self.target.group.is_retired() || self.target.is_gone()
    }

    async fn woken(&mut self) -> Woken {
        if self.is_gone() {
            return Woken::Over;
        }
        let at = self.heartbeat.min(self.end);
        tokio::select! {
            changed = self.changes.changed() => match changed {
                Ok(()) if !self.is_gone() => Woken::Changed,
                _ => Woken::Over,
            },
            () = sleep_until(at) => {
                if at == self.end {
                    return Woken::Over;
                }
                self.heartbeat = Instant::now() + HEARTBEAT;
                self.target.touch(self.clock.now());
                Woken::Heartbeat
            }
            () = self.shutdown.reached(Phase::Stopping) => Woken::Over,
        }
    }
}

struct Activity {
    open: Open,
    sent: Option<bool>,
    /// Whether an unchanged `true` is due again.
    repeat: bool,
}

impl Activity {
    async fn next(&mut self) -> Option<bool> {
        loop {
            let Open {
                target,
                changes,
                clock,
                ..
            } = &mut self.open;
            changes.mark_unchanged();
            let active = target.group.activity(&target.key, clock.now()).ok();
            let repeat = std::mem::take(&mut self.repeat) && active == Some(true);
            if !self.open.is_gone() && (repeat || active.is_some() && active != self.sent) {
                self.sent = active;
                return active;
            }
            match self.open.woken().await {
                Woken::Over => return None,
                woken => self.repeat = woken == Woken::Heartbeat,
            }
        }
    }
}
