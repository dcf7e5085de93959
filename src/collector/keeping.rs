//! What a group learned: read before its first poll, written once in a while. Never on a thread of the runtime.

use std::sync::Arc;

use crate::clock::Clock;
use crate::group::event::{Event, What};
use crate::model::time::Moment;
use crate::publish::{Group, GroupDefinition};
use crate::state::Keeper;

use super::outlets::Outlets;

/// Goes on where the process before stopped, if nothing is known of the group yet; else with what it had learned.
pub(super) async fn go_on(group: &Arc<Group>, outlets: &Outlets, clock: Clock) {
    let now = clock.moment();
    let (journals, keeper) = (outlets.journals.clone(), outlets.state.clone());
    let group = Arc::clone(group);
    let reading = tokio::task::spawn_blocking(move || {
        if let Some(journals) = journals.filter(|_| !group.has_journal()) {
            let GroupDefinition { key, name, .. } = group.definition();
            let recovered = journals.recover(key, name, now);
            if recovered.state.is_none() {
                restore(&group, keeper.as_deref(), now);
            }
            group.go_on(&journals, recovered, now);
        } else {
            restore(&group, keeper.as_deref(), now);
        }
    });
    // If that fails, the group begins with nothing.
    let _ = reading.await;
}

fn restore(group: &Group, keeper: Option<&Keeper>, now: Moment) {
    let Some(keeper) = keeper.filter(|_| !group.was_observed()) else {
        return;
    };
    let GroupDefinition { key, name, .. } = group.definition();
    if let Some(remembered) = keeper.load(name, key, now) {
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
