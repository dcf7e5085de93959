//! Targets that nobody asks for any more go, and inline groups with them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLockWriteGuard};
use std::time::Duration;

use crate::group::event::{Event, What};
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::publish::Group;

use super::{Inner, ObjectKey, Registry, Replaced, Target, count_listed};

/// A target that nobody asked for goes after this long. No sooner without Kubernetes: a paused object is not asked for at all, and a
/// `pollingInterval` may be long …
pub const EXPIRES_AFTER: Duration = Duration::from_secs(3_600);
/// … and sooner if the same object asks with other metadata: then it was edited. After so many of its own call intervals …
const SUPERSEDED_AFTER_INTERVALS: u32 = 4;
/// … but no sooner than this …
const SUPERSEDED_AT_THE_EARLIEST: Duration = Duration::from_secs(20);
/// … and after this where it was called only once.
const SUPERSEDED_AFTER: Duration = Duration::from_secs(600);

impl Registry {
    /// Drops targets that nobody asked for lately, and inline groups without any.
    pub fn expire(&self, now: Timestamp) {
        let _turn = self.turn();
        // Under one lock: a target that KEDA asks for meanwhile stays.
        let inner = self.write();
        let over = over(&inner, now);
        remove(inner, &over, now);
        let objects: HashSet<ObjectKey> = self.targets().iter().map(|t| t.object()).collect();
        let is_fresh = |replaced: &Replaced| now.since(replaced.at) < SUPERSEDED_AFTER;
        let mut inner = self.write();
        inner.replaced.retain(|_, replaced| is_fresh(replaced));
        inner.orders.retain(|object, _| objects.contains(object));
    }

    /// Drops all that an object asked for: it does not exist any more. Whether there was anything.
    pub fn remove_object(&self, namespace: &str, name: &str, now: Timestamp) -> bool {
        let _turn = self.turn();
        let mut inner = self.write();
        let object = (namespace.to_owned(), name.to_owned());
        inner.orders.remove(&object);
        inner
            .replaced
            .retain(|key, _| key.namespace != namespace || key.name != name);
        let targets = inner.targets.values();
        let of_it: Vec<Arc<Target>> = targets.filter(|t| t.object() == object).cloned().collect();
        remove(inner, &of_it, now);
        !of_it.is_empty()
    }
}

/// Strikes targets out, and inline groups that nobody asks for then. Groups hear of it once the lock is free.
pub(super) fn remove(
    mut inner: RwLockWriteGuard<'_, Inner>,
    targets: &[Arc<Target>],
    now: Timestamp,
) {
    let unused = inner.strike_out(targets);
    drop(inner);
    for target in targets {
        target.group.apply_contained(&Event {
            at: now,
            what: What::TargetExpired(target.key.clone()),
        });
    }
    for group in unused {
        group.retire();
    }
}

fn over(inner: &Inner, now: Timestamp) -> Vec<Arc<Target>> {
    let mut newest: HashMap<ObjectKey, Timestamp> = HashMap::new();
    for target in inner.targets.values() {
        let called = target.called_at();
        let latest = newest.entry(target.object()).or_insert(called);
        *latest = called.max(*latest);
    }
    let is_over = |target: &&Arc<Target>| {
        let called = target.called_at();
        let others = newest.get(&target.object());
        let superseded = others.is_some_and(|n| n.since(called) >= patience(target));
        superseded && !inner.is_listed(target) || now.since(called) >= EXPIRES_AFTER
    };
    inner.targets.values().filter(is_over).cloned().collect()
}

impl Inner {
    /// Gives the inline groups that went with the targets.
    fn strike_out(&mut self, targets: &[Arc<Target>]) -> Vec<Arc<Group>> {
        for target in targets {
            self.targets.remove(&target.key);
            target.gone.store(true, Ordering::Release);
        }
        let key = |target: &'_ Arc<Target>| target.group.definition().key.clone();
        let used: HashSet<GroupKey> = match targets {
            [] => HashSet::new(),
            _ => self.targets.values().map(key).collect(),
        };
        let inline = targets.iter().filter(|t| !t.group.definition().configured);
        let (used, unused): (Vec<GroupKey>, Vec<GroupKey>) =
            inline.map(key).partition(|key| used.contains(key));
        for group in used.iter().filter_map(|key| self.groups.get(key)) {
            count_listed(group, self.namespaces_of(group));
        }
        let unused = unused.iter();
        unused.filter_map(|key| self.groups.remove(key)).collect()
    }

    /// Whether Kubernetes shows the trigger in its object's spec.
    pub(super) fn is_listed(&self, target: &Target) -> bool {
        let order = self.orders.get(&target.object());
        order.is_some_and(|order| order.contains(&target.key.metadata_hash))
    }
}

/// For how long other triggers of the object may be asked for and this one not.
fn patience(target: &Target) -> Duration {
    match target.call_interval() {
        None => SUPERSEDED_AFTER,
        Some(interval) => {
            (interval * SUPERSEDED_AFTER_INTERVALS).clamp(SUPERSEDED_AT_THE_EARLIEST, EXPIRES_AFTER)
        }
    }
}
