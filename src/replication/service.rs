//! What other replicas ask this one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Members;
use super::proto::follow_reply::Part;
use super::proto::replicas_server::Replicas;
use super::proto::{
    FollowReply, FollowRequest, HelloReply, HelloRequest, Trigger, TriggersRequest,
};
use crate::clock::Clock;
use crate::group::GroupState;
use crate::journal::{CODE, pack_state};
use crate::model::identity::GroupKey;
use crate::publish::Group;
use crate::registry::Registry;

/// A state is sent in pieces of so many bytes.
const PIECE: usize = 1 << 20;
/// A follower's line lives so long at most: one that is half dead does not for ever.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Answers them.
#[derive(Clone, Debug)]
pub struct ReplicaService {
    members: Arc<Members>,
    registry: Arc<Registry>,
    clock: Clock,
}

impl ReplicaService {
    /// For the groups and triggers of that registry.
    pub fn new(members: Arc<Members>, registry: Arc<Registry>, clock: Clock) -> Self {
        Self {
            members,
            registry,
            clock,
        }
    }
}

type Parts = BoxStream<'static, Result<FollowReply, Status>>;

#[tonic::async_trait]
impl Replicas for ReplicaService {
    type TriggersStream = BoxStream<'static, Result<Trigger, Status>>;
    type FollowStream = Parts;

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply {
            name: self.members.me().to_owned(),
            ready: self.members.is_ready(),
            now_millis: self.clock.now().as_millis(),
            registered: self.registry.registered(),
        }))
    }

    async fn triggers(
        &self,
        _: Request<TriggersRequest>,
    ) -> Result<Response<Self::TriggersStream>, Status> {
        let now = self.clock.now();
        let targets = stream::iter(self.registry.targets());
        let triggers = targets.map(move |target| {
            let called_ago = now.since(target.called_at());
            Ok(Trigger {
                namespace: target.key.namespace.clone(),
                name: target.key.name.clone(),
                metadata: target.metadata().clone(),
                called_ago_millis: u64::try_from(called_ago.as_millis()).unwrap_or(u64::MAX),
            })
        });
        Ok(Response::new(triggers.boxed()))
    }

    async fn follow(
        &self,
        request: Request<FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let FollowRequest {
            source,
            stream,
            consumer_group,
            code,
        } = request.into_inner();
        let key = GroupKey {
            source,
            stream,
            consumer_group,
        };
        let group = self.registry.group(&key);
        let not_led = || Status::failed_precondition("this replica does not lead the group");
        let group = group.ok_or_else(not_led)?;
        let (state, events) = group.followed().ok_or_else(not_led)?;
        let parts = match code == CODE {
            true => of_same_code(state, events).await?,
            false => of_other_code(&group, events)?,
        };
        let parts = parts.take_until(tokio::time::sleep(LONGEST));
        Ok(Response::new(parts.boxed()))
    }
}

async fn of_same_code(state: GroupState, events: mpsc::Receiver<Vec<u8>>) -> Result<Parts, Status> {
    let packed = tokio::task::spawn_blocking(move || pack_state(&state)).await;
    let no_state = |why: String| Status::internal(format!("the state cannot be told: {why}"));
    let packed = packed.map_err(|error| no_state(error.to_string()))?;
    let packed = packed.map_err(|error| no_state(error.to_string()))?;
    let pieces: Vec<Part> = packed
        .chunks(PIECE)
        .map(|piece| Part::State(piece.to_vec()))
        .chain([Part::StateIsWhole(true)])
        .collect();
    let events = ReceiverStream::new(events).map(Part::Event);
    Ok(stream::iter(pieces).chain(events).map(sent).boxed())
}

fn of_other_code(group: &Group, events: mpsc::Receiver<Vec<u8>>) -> Result<Parts, Status> {
    let learned = serde_json::to_vec(&group.remembered().sections())
        .map_err(|error| Status::internal(error.to_string()))?;
    // What happens means nothing to the other one but that this one leads.
    let silence = ReceiverStream::new(events).filter_map(|_| std::future::ready(None));
    Ok(stream::iter([Part::Learned(learned)])
        .chain(silence)
        .map(sent)
        .boxed())
}

fn sent(part: Part) -> Result<FollowReply, Status> {
    Ok(FollowReply { part: Some(part) })
}
