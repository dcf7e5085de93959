//! What this replica does for a group: polls it, follows the replica that does, or neither.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::publish::Group;
use crate::replication::Members;
use crate::replication::follow;
use crate::replication::view::{ReplicaView, Role};
use crate::sources::guarded::GuardedSource;

use super::{Outlets, collect, keeping};

/// Before it is asked again who leads.
const PAUSE: Duration = Duration::from_millis(100);

/// Does it until the group is retired; as the only replica, polls it.
pub(super) async fn collect_by_role(
    group: Arc<Group>,
    source: Arc<GuardedSource>,
    outlets: Outlets,
    clock: Clock,
) {
    let Some(members) = outlets.members.clone() else {
        keeping::go_on(&group, &outlets, clock).await;
        return collect(group, source, outlets, clock).await;
    };
    let key = group.definition().key.clone();
    let mut views = members.subscribe();
    while !group.is_retired() {
        group.step_back(clock.moment());
        let is_bystander = |view: &Arc<ReplicaView>| view.role(&key) == Role::Bystander;
        if is_bystander(&views.borrow_and_update()) {
            group.forget();
            tokio::select! {
                _ = views.wait_for(|view| !is_bystander(view)) => {}
                () = retired(&group) => {}
            }
            continue;
        }
        // Whoever leads is followed to the end, also where this replica is to lead next.
        tokio::select! {
            () = follow::follow_leader(&group, &members) => {}
            _ = views.wait_for(is_bystander) => continue,
            () = retired(&group) => return,
        }
        if !members.is_settled() || members.view().role(&key) != Role::Owner {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let leading = lead(&group, &source, &outlets, &members, clock);
        tokio::select! {
            _ = views.wait_for(|view| view.role(&key) != Role::Owner) => {}
            () = leading => {}
        }
    }
}

/// Goes on where the leader before stopped, if it was followed.
async fn lead(
    group: &Arc<Group>,
    source: &Arc<GuardedSource>,
    outlets: &Outlets,
    members: &Members,
    clock: Clock,
) {
    match group.lead(outlets.journals.as_ref(), clock.moment()) {
        true => members.took_over(),
        false => keeping::go_on(group, outlets, clock).await,
    }
    collect(group.clone(), source.clone(), outlets.clone(), clock).await;
}

async fn retired(group: &Group) {
    let mut changes = group.subscribe();
    while !group.is_retired() {
        // Never fails: the group is there.
        let _ = changes.changed().await;
    }
}
