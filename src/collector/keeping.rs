//! What a group learned: read before its first poll, written once in a while. Never on a thread of the runtime.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::group::event::{Event, What};
use crate::group::remembered::Remembered;
use crate::journal::{Journals, Recovered};
use crate::model::time::Moment;
use crate::publish::{Group, GroupDefinition};
use crate::state::Keeper;

use super::outlets::Outlets;

/// How long a group waits for it. A start with 100,000 partitions reads for half as long on one core; KEDA asks every 30 s, so at most
/// one of its calls goes without an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept of a group.
#[derive(Default)]
struct KeptState {
    recovered: Recovered,
    remembered: Option<Remembered>,
}

/// Goes on where the process before stopped, if nothing is known of the group yet; else with what it had learned; without either
/// where the disk hangs.
pub(super) async fn go_on(group: &Arc<Group>, outlets: &Outlets, clock: Clock) {
    let now = clock.moment();
    let journals = outlets.journals.clone().filter(|_| !group.has_journal());
    let keeper = outlets.state.clone().filter(|_| !group.was_observed());
    let definition = group.definition().clone();
    let (from, by) = (journals.clone(), keeper.clone());
    let reading = move || read(&definition, from.as_ref(), by.as_deref(), now);
    let reading = tokio::task::spawn_blocking(reading);
    let Ok(read) = tokio::time::timeout(PATIENCE, reading).await else {
        // What is read later is older than what is seen meanwhile, and dropped. Here, for all threads for blocking work may hang.
        without(group, journals.as_ref(), keeper.as_deref(), now);
        return;
    };
    // If that failed, the group begins with nothing.
    let kept = read.unwrap_or_default();
    let group = Arc::clone(group);
    let going_on = tokio::task::spawn_blocking(move || apply(&group, journals.as_ref(), kept, now));
    let _ = going_on.await;
}

fn read(
    GroupDefinition { key, name, .. }: &GroupDefinition,
    journals: Option<&Journals>,
    keeper: Option<&Keeper>,
    now: Moment,
) -> KeptState {
    let recovered = journals.map(|journals| journals.recover(key, name, now));
    let recovered = recovered.unwrap_or_default();
    let learned = keeper.filter(|_| recovered.state.is_none());
    let remembered = learned.and_then(|keeper| keeper.load(name, key, now));
    KeptState {
        recovered,
        remembered,
    }
}

fn apply(group: &Group, journals: Option<&Journals>, kept: KeptState, now: Moment) {
    if let Some(remembered) = kept.remembered {
        let what = What::Restored(Box::new(remembered));
        group.apply(&Event { at: now.at, what });
    }
    if let Some(journals) = journals {
        group.go_on(journals, kept.recovered, now);
    }
}

/// Begins with nothing.
fn without(group: &Group, journals: Option<&Journals>, keeper: Option<&Keeper>, now: Moment) {
    let seconds = PATIENCE.as_secs();
    tracing::warn!(
        group = group.definition().name,
        "the disk of state.dir did not answer within {seconds} s: the group starts without its saved state"
    );
    if let Some(keeper) = keeper {
        keeper.note_failure();
    }
    if let Some(journals) = journals {
        journals.note_failure();
        let kept = KeptState {
            recovered: Recovered::unread(now),
            remembered: None,
        };
        apply(group, Some(journals), kept, now);
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
