//! Questions about groups that another replica leads, forwarded to it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::model::identity::GroupKey;
use crate::publish::Group;
use crate::replication::Members;
use crate::replication::view::{OtherReplica, Role};

use super::proto::external_scaler_client::ExternalScalerClient;
use super::proto::{IsActiveResponse, ScaledObjectRef};
use super::streams::Stream;

/// Says which replica an answer, or a refusal, is from. In the headers of every answer.
const REPLICA: &str = "streamgauge-replica";

/// Of a question: to be answered by a replica that does not lead the group, too.
const ANYHOW: &str = "streamgauge-anyhow";

/// How long the owner may take: it answers from memory. KEDA waits for seconds, and the standby can answer, too.
const HOP: Duration = Duration::from_millis(300);

/// A question on its way.
pub(super) type Forwarded<T> = BoxFuture<'static, Result<Response<T>, Status>>;

/// The other replicas, for questions.
#[derive(Clone, Debug)]
pub struct Forwarding {
    members: Arc<Members>,
    /// Whether questions are forwarded; those of other replicas are not.
    is_on: bool,
}

impl Forwarding {
    /// For questions of KEDA.
    pub fn of_keda(members: Arc<Members>) -> Self {
        Self {
            members,
            is_on: true,
        }
    }

    /// For questions of other replicas.
    pub fn of_replicas(members: Arc<Members>) -> Self {
        Self {
            members,
            is_on: false,
        }
    }

    /// Whether what this replica knows is to be told to who asks as `request` does: another replica asks for the leader's word first.
    pub(super) fn may_answer<T>(&self, group: &Group, request: &Request<T>) -> bool {
        let is_asked_anyhow = request.metadata().contains_key(ANYHOW);
        self.is_on || is_asked_anyhow || self.is_led_here(group)
    }

    fn is_led_here(&self, group: &Group) -> bool {
        !group.follows() && self.members.is_ready()
    }

    /// The answer of the replica that leads the group; where none says so, of this one, if it followed it; else of any. `None`: this
    /// replica is to answer.
    pub(super) async fn ask<M: Clone, T>(
        &self,
        group: &Group,
        message: &M,
        question: impl Fn(ExternalScalerClient<Channel>, Request<M>) -> Forwarded<T>,
    ) -> Option<Result<Response<T>, Status>> {
        if !self.is_on || self.is_led_here(group) {
            return None;
        }
        let view = self.members.view();
        let others = view.others_for(&group.definition().key);
        for anyhow in [false, true] {
            for other in &others {
                if let Some(answer) = ask_one(other, message, anyhow, &question).await {
                    return Some(answer);
                }
            }
            if group.was_observed() {
                break;
            }
        }
        // What it knows may be of before it was stopped, or of before it came.
        let is_of_now = others.is_empty() || self.members.is_ready();
        (!is_of_now).then(|| {
            let text =
                "this replica has just started, or stood still, and the others do not answer";
            Err(Status::unavailable(text))
        })
    }

    /// The stream of the replica that leads the group, until it breaks or ends.
    pub(super) async fn activity(
        &self,
        group: &Group,
        object: &ScaledObjectRef,
    ) -> Option<Stream<IsActiveResponse>> {
        let question = |mut owner: ExternalScalerClient<Channel>, request| -> Forwarded<_> {
            Box::pin(async move { owner.stream_is_active(request).await })
        };
        let stream = self.ask(group, object, question).await?.ok()?.into_inner();
        // A clean end: KEDA opens the next one after 2 s.
        let until_broken = stream.take_while(|part| std::future::ready(part.is_ok()));
        Some(until_broken.boxed())
    }

    /// Whether this replica knows nothing of the group but whom to ask.
    pub(super) fn is_bystander(&self, group: &GroupKey) -> bool {
        self.is_on && self.members.view().role(group) == Role::Bystander
    }

    /// Ends when this replica has another part in the group than now.
    pub(super) fn other_role(&self, group: GroupKey) -> impl Future<Output = ()> + Send + 'static {
        let mut views = self.members.subscribe();
        async move {
            let role = views.borrow_and_update().role(&group);
            // Fails when the process ends.
            let _ = views.wait_for(|view| view.role(&group) != role).await;
        }
    }

    /// Writes down whose answer it is.
    pub(super) fn sign<T>(
        &self,
        answer: Result<Response<T>, Status>,
    ) -> Result<Response<T>, Status> {
        let Ok(name) = MetadataValue::try_from(self.members.me()) else {
            return answer;
        };
        match answer {
            Ok(mut response) => {
                response.metadata_mut().insert(REPLICA, name);
                Ok(response)
            }
            Err(mut status) => {
                status.metadata_mut().insert(REPLICA, name);
                Err(status)
            }
        }
    }
}

/// Its word; `None` where the line has none, or it does not lead the group.
async fn ask_one<M: Clone, T>(
    other: &OtherReplica,
    message: &M,
    anyhow: bool,
    question: &impl Fn(ExternalScalerClient<Channel>, Request<M>) -> Forwarded<T>,
) -> Option<Result<Response<T>, Status>> {
    // If the connection broke, the second try opens another one.
    for _ in 0..2 {
        let mut request = Request::new(message.clone());
        if anyhow {
            let yes = MetadataValue::from_static("1");
            request.metadata_mut().insert(ANYHOW, yes);
        }
        let client = ExternalScalerClient::new(other.channel.clone());
        match tokio::time::timeout(HOP, question(client, request)).await {
            Ok(Ok(answer)) => return Some(Ok(answer)),
            Ok(Err(refusal)) if refusal.metadata().contains_key(REPLICA) => {
                return Some(Err(refusal));
            }
            Ok(Err(line)) if line.code() != Code::FailedPrecondition => {}
            Ok(Err(_)) | Err(_) => return None,
        }
    }
    None
}
