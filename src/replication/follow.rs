//! What another replica leads, followed: its state, then every event, folded here as it was there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::{Code, Streaming};

use super::Members;
use super::proto::follow_reply::Part;
use super::proto::replicas_client::ReplicasClient;
use super::proto::{FollowReply, FollowRequest};
use super::view::OtherReplica;
use crate::group::remembered::Remembered;
use crate::journal::{CODE, JournalRecord, unpack_state};
use crate::model::time::WallOffset;
use crate::publish::Group;

/// Until the leader says that it leads.
const ANSWER: Duration = Duration::from_secs(1);
/// Until its state is here: 10,000 partitions take a few megabytes.
const STATE: Duration = Duration::from_secs(10);
/// A larger state is refused.
const LARGEST_STATE: usize = 256 << 20;
/// A record of a group with 10,000 partitions takes a few megabytes.
const LARGEST_MESSAGE: usize = 64 << 20;

/// Follows whoever leads the group, for as long as anybody does.
pub async fn follow_leader(group: &Arc<Group>, members: &Members) {
    let key = &group.definition().key;
    loop {
        let mut said = Vec::new();
        for leader in members.view().others_for(key) {
            said.push(follow(group, members, &leader).await);
        }
        if said.contains(&FollowOutcome::Leads) {
            continue;
        }
        if !said.is_empty() && !said.contains(&FollowOutcome::Nothing) {
            // Nobody leads it, so nobody knows more of it.
            members.is_in_step(key);
        }
        return;
    }
}

/// What another replica says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowOutcome {
    /// It led the group until now.
    Leads,
    /// It does not.
    LeadsNot,
    /// No word, or none to go on with.
    Nothing,
}

/// Returns when it leads the group no longer.
async fn follow(group: &Group, members: &Members, leader: &OtherReplica) -> FollowOutcome {
    let mut parts = match begin(group, leader).await {
        Ok(parts) => parts,
        Err(said) => return said,
    };
    let name = &group.definition().name;
    let is_here = timeout(STATE, state(group, leader.ahead, &mut parts)).await;
    if is_here != Ok(true) {
        let leader = &*leader.name;
        tracing::warn!(group = name, leader, "the group's state cannot be had");
        return FollowOutcome::Nothing;
    }
    members.is_in_step(&group.definition().key);
    let mut views = members.subscribe();
    let is_gone = views.wait_for(|view| !view.others.contains_key(&leader.name));
    tokio::pin!(is_gone);
    loop {
        let part = tokio::select! {
            part = parts.next() => part,
            _ = &mut is_gone => break,
        };
        let Some(Ok(FollowReply { part })) = part else {
            break;
        };
        let Some(Part::Event(bytes)) = part else {
            continue;
        };
        let folded = JournalRecord::decode(&bytes).map(|record| group.folded(&record));
        if !matches!(folded, Ok(true)) {
            tracing::error!(
                group = name,
                leader = &*leader.name,
                "the same event led to another answer than at the leader; its state is read again"
            );
            break;
        }
    }
    FollowOutcome::Leads
}

async fn begin(
    group: &Group,
    leader: &OtherReplica,
) -> Result<Streaming<FollowReply>, FollowOutcome> {
    let [source, stream, consumer_group] = group.definition().key.parts().map(str::to_owned);
    let request = FollowRequest {
        source,
        stream,
        consumer_group,
        code: CODE.to_owned(),
    };
    let mut client =
        ReplicasClient::new(leader.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE);
    let reply = timeout(ANSWER, client.follow(request)).await;
    match reply {
        Ok(Ok(parts)) => Ok(parts.into_inner()),
        Ok(Err(status)) if status.code() == Code::FailedPrecondition => {
            Err(FollowOutcome::LeadsNot)
        }
        Ok(Err(_)) | Err(_) => Err(FollowOutcome::Nothing),
    }
}

/// Reads what the leader knows; whether that came.
async fn state(group: &Group, ahead: WallOffset, parts: &mut Streaming<FollowReply>) -> bool {
    let mut packed = Vec::new();
    while let Some(Ok(FollowReply { part })) = parts.next().await {
        match part {
            Some(Part::State(piece)) if packed.len() + piece.len() <= LARGEST_STATE => {
                packed.extend_from_slice(&piece);
            }
            Some(Part::StateIsWhole(_)) if packed.is_empty() => return false,
            Some(Part::StateIsWhole(_)) => {
                // Away from the threads that answer.
                let unpacked = tokio::task::spawn_blocking(move || unpack_state(&packed)).await;
                let Ok(Ok(state)) = unpacked else {
                    return false;
                };
                group.adopt(state, ahead);
                return true;
            }
            Some(Part::Learned(learned)) => {
                let sections = serde_json::from_slice(&learned);
                let Ok((remembered, _)) = sections.map(Remembered::read) else {
                    return false;
                };
                group.adopt_learned(remembered);
                return true;
            }
            _ => return false,
        }
    }
    false
}
