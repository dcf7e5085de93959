//! One other replica: asked several times a second whether it is there, and for the triggers that it was asked about.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint};

use super::Members;
use super::proto::replicas_client::ReplicasClient;
use super::proto::{HelloReply, HelloRequest, Trigger, TriggersRequest};
use super::view::OtherReplica;
use crate::clock::Clock;
use crate::model::time::{Timestamp, WallOffset};
use crate::registry::Registry;

/// Between two questions.
const BEAT: Duration = Duration::from_millis(500);
/// An answer may take so long.
const ANSWER: Duration = Duration::from_millis(1_000);
/// A line is asked whether it still stands this often, and has as long to say so.
const KEEPALIVE: Duration = Duration::from_millis(1_500);
/// Triggers are also asked for when there are no new ones: for when KEDA last asked about them.
const AGAIN: Duration = Duration::from_secs(60);
/// For all triggers to be told.
const TELLING: Duration = Duration::from_secs(10);

/// Asks until it is dropped.
pub(super) async fn keep_asking(
    address: Arc<str>,
    members: Arc<Members>,
    registry: Arc<Registry>,
    clock: Clock,
) {
    let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
        Ok(endpoint) => endpoint,
        Err(_) => {
            tracing::warn!(address = &*address, "this is no address of a replica");
            // Nobody is there; others must not wait to hear of it.
            loop {
                members.silent(&address);
                tokio::time::sleep(BEAT).await;
            }
        }
    };
    // A connection that died silently is closed and opened again.
    let endpoint = endpoint
        .connect_timeout(ANSWER)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect_lazy();
    let mut client = ReplicasClient::new(channel.clone());
    let mut told: Option<(Arc<str>, u64, Instant)> = None;
    loop {
        let begun = Instant::now();
        match hello(&mut client, clock).await {
            Some((reply, ahead)) => {
                let replica = OtherReplica {
                    name: reply.name.as_str().into(),
                    channel: channel.clone(),
                    is_ready: reply.ready,
                    ahead,
                };
                let name = replica.name.clone();
                let is_another = members.heard(&address, replica);
                let is_known = told.as_ref().is_some_and(|(of, registered, at)| {
                    *of == name && *registered == reply.registered && at.elapsed() < AGAIN
                });
                if is_another && !is_known {
                    let all = timeout(TELLING, triggers(&mut client, &registry, clock)).await;
                    if all == Ok(true) {
                        told = Some((name.clone(), reply.registered, Instant::now()));
                        members.told(&name);
                    }
                }
            }
            None => members.silent(&address),
        }
        tokio::time::sleep(BEAT.saturating_sub(begun.elapsed())).await;
    }
}

/// What it says, and by how much this clock is ahead of its clock: as if it had looked at it in the middle.
async fn hello(
    client: &mut ReplicasClient<Channel>,
    clock: Clock,
) -> Option<(HelloReply, WallOffset)> {
    let asked = clock.now();
    let reply = timeout(ANSWER, client.hello(HelloRequest {})).await;
    let reply = reply.ok()?.ok()?.into_inner();
    let middle = asked.plus(clock.now().since(asked) / 2);
    let ahead = WallOffset::between(Timestamp::from_millis(reply.now_millis), middle);
    Some((reply, ahead))
}

/// Has the registry know all triggers that the other one knows; whether all were told.
async fn triggers(client: &mut ReplicasClient<Channel>, registry: &Registry, clock: Clock) -> bool {
    let Ok(triggers) = client.triggers(TriggersRequest {}).await else {
        return false;
    };
    let mut triggers = triggers.into_inner();
    while let Some(trigger) = triggers.next().await {
        let Ok(Trigger {
            namespace,
            name,
            metadata,
            called_ago_millis,
        }) = trigger
        else {
            return false;
        };
        let now = clock.now();
        let called_at = now.minus(Duration::from_millis(called_ago_millis));
        // What is refused here is refused with its reason when KEDA asks.
        let _ = registry.introduce(&namespace, &name, &metadata, called_at);
    }
    true
}
