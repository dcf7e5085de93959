//! What this replica does for a group: polls it, follows the replica that does, or neither.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::publish::Group;
use crate::replication::Members;
use crate::replication::follow;
use crate::replication::view::{ReplicaView, Role};
use crate::sources::guarded::GuardedSource;

use super::{Outlets, collect, keeping, reader, report};

/// Between two polls of a replica that follows; at least six poll intervals. Polls of event hubs cost money.
const WARM: Duration = Duration::from_secs(30);

/// Until the first of these: a leader is mostly found, or none is needed, earlier.
const FIRST_WARM: Duration = Duration::from_secs(2);

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
            // Always granted: it is less than before.
            let _ = group.claim().resize(0);
            tokio::select! {
                _ = views.wait_for(|view| !is_bystander(view)) => {}
                () = retired(&group) => {}
            }
            continue;
        }
        // Whoever leads is followed to the end, also where this replica is to lead next.
        tokio::select! {
            () = follow::follow_leader(&group, &members) => {}
            () = stay_warm(&group, &source, clock) => {}
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

/// Polls what it follows once in a while, so that the way to the source is open, and known to be, when this replica has to lead. What it
/// sees is not the group's: that is what the leader sees. Never ends.
async fn stay_warm(group: &Arc<Group>, source: &Arc<GuardedSource>, clock: Clock) {
    let interval = group.definition().poll_interval;
    let deadline = source.poll_deadline(interval);
    let mut reader = reader(group, source);
    let mut failing = None;
    tokio::time::sleep(FIRST_WARM).await;
    loop {
        let seen = source
            .poll(&mut reader, deadline, &move || clock.now())
            .await;
        failing = report(&group.definition().name, failing, &seen);
        tokio::time::sleep(WARM.max(interval * 6)).await;
    }
}

async fn retired(group: &Group) {
    let mut changes = group.subscribe();
    while !group.is_retired() {
        // Never fails: the group is there.
        let _ = changes.changed().await;
    }
}
