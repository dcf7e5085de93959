//! The two streams. KEDA's reconnect backoff resets only on a clean end, so every stream ends with OK: after half an hour, at
//! shutdown, when the group or the target goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::clock::Clock;
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

type Stream<T> = ReceiverStream<Result<T, Status>>;

/// The state on open, then changes, then a slow heartbeat while active; nothing while unknown.
pub fn activity(target: Arc<Target>, clock: Clock, shutdown: Shutdown) -> Stream<IsActiveResponse> {
    let (out, stream) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut changes = target.group.subscribe();
        let mut heartbeat = heartbeat();
        let end = end_of(&target);
        let mut sent = None;
        let mut repeat = false;
        loop {
            changes.mark_unchanged();
            if target.group.is_retired() || target.is_gone() {
                break;
            }
            let active = target.group.activity(&target.key, clock.now()).ok();
            let due = active.is_some() && active != sent || repeat && active == Some(true);
            // A full channel means that KEDA does not read: the state is sent again at the next occasion.
            if let Some(result) = active.filter(|_| due)
                && out.try_send(Ok(IsActiveResponse { result })).is_ok()
            {
                sent = Some(result);
            }
            repeat = tokio::select! {
                changed = changes.changed() => if changed.is_ok() { false } else { break },
                _ = heartbeat.tick() => { target.touch(clock.now()); true },
                () = over(end, &shutdown, &out) => break,
            };
        }
    });
    ReceiverStream::new(stream)
}

/// The specs at once. They change only with the trigger's metadata, which opens another stream, or with the configuration,
/// which ends this one.
pub fn specs(
    target: Arc<Target>,
    specs: GetMetricSpecResponse,
    clock: Clock,
    shutdown: Shutdown,
) -> Stream<GetMetricSpecResponse> {
    let (out, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut changes = target.group.subscribe();
        let mut heartbeat = heartbeat();
        let end = end_of(&target);
        if out.send(Ok(specs)).await.is_err() {
            return;
        }
        while !target.group.is_retired() && !target.is_gone() {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                _ = heartbeat.tick() => target.touch(clock.now()),
                () = over(end, &shutdown, &out) => break,
            }
        }
    });
    ReceiverStream::new(stream)
}

/// What a rejected trigger gets: its likely specs if the stream is one of specs, else nothing, and a clean end once it is served:
/// KEDA opens the next stream 2 s later. An error would be logged there at each attempt, up to a minute apart.
pub fn refused<T: Send + 'static>(
    first: Option<T>,
    is_served: impl Fn() -> bool + Send + 'static,
    shutdown: Shutdown,
) -> Stream<T> {
    let (out, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut look = tokio::time::interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        let end = Instant::now() + LONGEST;
        if let Some(first) = first
            && out.send(Ok(first)).await.is_err()
        {
            return;
        }
        loop {
            tokio::select! {
                _ = look.tick() => if is_served() { break },
                () = over(end, &shutdown, &out) => break,
            }
        }
    });
    ReceiverStream::new(stream)
}

fn heartbeat() -> tokio::time::Interval {
    tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT)
}

fn end_of(target: &Target) -> Instant {
    Instant::now() + LONGEST + Duration::from_secs(target.key.metadata_hash % JITTER_SECONDS)
}

/// Waits until the stream has lived long enough, the service stops, or the caller is gone.
async fn over<T>(end: Instant, shutdown: &Shutdown, out: &mpsc::Sender<T>) {
    tokio::select! {
        () = tokio::time::sleep_until(end) => {}
        () = shutdown.reached(Phase::Stopping) => {}
        () = out.closed() => {}
    }
}
