//! What a group learned: read before its first poll, written once in a while. Never on a thread of the runtime.

use std::sync::Arc;

use crate::clock::Clock;
use crate::group::event::{Event, What};
use crate::model::time::Moment;
use crate::publish::Group;
use crate::state::Keeper;

/// Goes on with what the group had learned before a restart, if nothing is known of it yet.
pub(super) async fn restore(group: &Group, keeper: Option<&Arc<Keeper>>, clock: Clock) {
    let Some(keeper) = keeper.filter(|_| !group.was_observed()) else {
        return;
    };
    let (keeper, now) = (Arc::clone(keeper), clock.moment());
    let (name, key) = {
        let definition = group.definition();
        (definition.name.clone(), definition.key.clone())
    };
    let loading = tokio::task::spawn_blocking(move || keeper.load(&name, &key, now));
    if let Ok(Some(remembered)) = loading.await {
        let what = What::Restored(Box::new(remembered));
        group.apply(&Event { at: now.at, what });
    }
}

/// Puts aside what was kept: the group failed with it.
pub(super) async fn set_aside(group: &Group, keeper: Option<&Arc<Keeper>>) {
    if let Some(keeper) = keeper.cloned() {
        let key = group.definition().key.clone();
        let setting_aside = tokio::task::spawn_blocking(move || keeper.set_aside(&key));
        // If that fails, too, the group goes on learning with what is there.
        let _ = setting_aside.await;
    }
}

/// Has it written if that is due.
pub(super) fn keep(group: &Arc<Group>, keeper: &Arc<Keeper>, now: Moment) {
    if keeper.is_due(&group.definition().key, now.at) {
        let (group, keeper) = (Arc::clone(group), Arc::clone(keeper));
        tokio::task::spawn_blocking(move || {
            keeper.save(&group.definition().key, now, &group.remembered());
        });
    }
}
