//! An edited trigger: its new wording takes the place of the old one, and what was known of that.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use crate::group::event::{Event, TargetKey, What};
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::policy::spec::TargetSpec;

use super::{Inner, Registry, Target, expiry};

/// KEDA may ask with an edited trigger a moment before the watch shows the edit.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// What the spec does not show goes without a successor when nobody asked for so long, or for twice its call interval: another
/// cluster's KEDA may ask for an object of the same name.
const QUIET: Duration = Duration::from_secs(30);

/// What a new target takes over.
#[derive(Default)]
pub(super) struct Heritage {
    /// The former wording of the same trigger.
    pub replaces: Option<Arc<Target>>,
    /// Whose memory it continues with.
    pub inherits: Option<TargetKey>,
}

/// Which target of the same object a new one continues.
pub(super) fn heritage(
    inner: &Inner,
    key: &TargetKey,
    group: &GroupKey,
    spec: &TargetSpec,
) -> Heritage {
    let object = (key.namespace.clone(), key.name.clone());
    let mut siblings: Vec<&Arc<Target>> = inner
        .targets
        .values()
        .filter(|sibling| sibling.object() == object && sibling.key != *key)
        .collect();
    siblings.sort_by_key(|sibling| (!sibling.is_like(group, spec), sibling.ordinal));
    let like = |sibling: &&&Arc<Target>| sibling.is_like(group, spec);
    let order = inner.orders.get(&object).map_or(&[][..], Vec::as_slice);
    let is_listed = |hash: u64| order.contains(&hash);
    let by_spec = siblings.iter().find(|sibling| {
        let (old, new) = (sibling.key.metadata_hash, key.metadata_hash);
        // The second: KEDA is faster than the watch.
        is_listed(new) && !is_listed(old) || order == [old]
    });
    if by_spec.is_none() && inner.replaced.contains_key(key) {
        // It was taken for edited, and is asked for all the same: both are alive.
        let of = siblings.iter().find(like);
        return Heritage {
            replaces: None,
            inherits: of.map(|sibling| sibling.key.clone()),
        };
    }
    // Called more than once, it is no second trigger that has just come with this one.
    let settled = |sibling: &&&Arc<Target>| {
        sibling.call_interval().is_some() && !is_listed(sibling.key.metadata_hash)
    };
    let by_calls = || siblings.iter().filter(like).find(settled);
    let replaces = by_spec.or_else(by_calls);
    let replaces = replaces.map(|sibling| Arc::clone(sibling));
    let inherits = replaces.as_ref().filter(|old| old.is_like(group, spec));
    Heritage {
        inherits: inherits.map(|old| old.key.clone()),
        replaces,
    }
}

/// Other targets of the same object that make room for a new one, those first that were not asked for longest: one that was there
/// before it only if it may be its former wording, and one that took its place in any case.
pub(super) fn yielding(inner: &Inner, key: &TargetKey) -> Vec<Arc<Target>> {
    let was = inner.replaced.get(key).map(|replaced| replaced.ordinal);
    let object = (key.namespace.clone(), key.name.clone());
    let yields = |old: &&Arc<Target>| {
        let is_sibling = old.object() == object && old.key != *key;
        let gives_way = match was {
            Some(ordinal) => old.ordinal > ordinal,
            None => old.call_interval().is_some(),
        };
        is_sibling && gives_way && !inner.is_listed(old)
    };
    let mut yielding: Vec<_> = inner.targets.values().filter(yields).cloned().collect();
    yielding.sort_by_key(|old| old.called_at());
    yielding
}

impl Target {
    fn is_quiet(&self, now: Timestamp) -> bool {
        let interval = self.call_interval().unwrap_or_default();
        now.since(self.called_at()) >= QUIET.max(interval * 2)
    }

    /// Whether it answers in the same way for the same group.
    fn is_like(&self, group: &GroupKey, spec: &TargetSpec) -> bool {
        let same_mode = discriminant(&self.spec.mode) == discriminant(&spec.mode);
        self.group.definition().key == *group && same_mode
    }
}

impl Registry {
    /// Takes in which external triggers an object has: fingerprints of their metadata in the order of its spec. Targets that are
    /// none of these go as soon as their successors ask, or when nobody asks for them any more.
    pub fn note_triggers(&self, namespace: &str, name: &str, order: &[u64], now: Timestamp) {
        let object = (namespace.to_owned(), name.to_owned());
        let _turn = self.turn();
        let of_it: Vec<Arc<Target>> = {
            let mut inner = self.write();
            inner.orders.insert(object.clone(), order.to_vec());
            let targets = inner.targets.values();
            targets.filter(|t| t.object() == object).cloned().collect()
        };
        let (listed, mut others): (Vec<_>, Vec<_>) = of_it
            .into_iter()
            .partition(|target| order.contains(&target.key.metadata_hash));
        others.retain(|old| now.since(old.registered_at) >= WATCH_LAG);
        others.sort_by_key(|old| old.ordinal);
        let mut over = Vec::new();
        for old in others {
            let successor = listed.iter().find(|new| {
                new.registered_at > old.registered_at
                    && new.is_like(&old.group.definition().key, &old.spec)
            });
            if let Some(new) = successor {
                let what = What::TargetInherits(old.key.clone(), new.key.clone());
                new.group.apply_contained(&Event { at: now, what });
            }
            if successor.is_some() || old.is_quiet(now) {
                over.push(old);
            }
        }
        expiry::remove(self.write(), &over, now);
    }

    /// Nobody shows the triggers of objects any more.
    pub fn forget_triggers(&self) {
        let _turn = self.turn();
        self.write().orders.clear();
    }
}
