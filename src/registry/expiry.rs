//! Targets that nobody asks for any more go, and inline groups with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::time::Timestamp;
use crate::policy::event::{Event, What};
use crate::publish::Group;

use super::{Inner, ObjectKey, Registry, Target};

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
        let mut inner = self.write();
        for target in over(&inner, now) {
            remove(&mut inner, &target, now);
        }
        let is_fresh = |at: &Timestamp| now.since(*at) < SUPERSEDED_AFTER;
        inner.replaced.retain(|_, at| is_fresh(at));
        let objects: HashSet<ObjectKey> = inner.targets.values().map(|t| t.object()).collect();
        inner.orders.retain(|object, _| objects.contains(object));
    }

    /// Drops all that an object asked for: it does not exist any more. Whether there was anything.
    pub fn remove_object(&self, namespace: &str, name: &str, now: Timestamp) -> bool {
        let mut inner = self.write();
        let object = (namespace.to_owned(), name.to_owned());
        inner.orders.remove(&object);
        inner
            .replaced
            .retain(|key, _| key.namespace != namespace || key.name != name);
        let targets = inner.targets.values();
        let of_it: Vec<Arc<Target>> = targets.filter(|t| t.object() == object).cloned().collect();
        for target in &of_it {
            remove(&mut inner, target, now);
        }
        !of_it.is_empty()
    }
}

pub(super) fn remove(inner: &mut Inner, target: &Arc<Target>, now: Timestamp) {
    inner.targets.remove(&target.key);
    target.gone.store(true, Ordering::Release);
    target.group.apply_contained(&Event {
        at: now,
        what: What::TargetExpired(target.key.clone()),
    });
    retire_if_unused(inner, &target.group);
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
    /// Whether Kubernetes shows the trigger in its object's spec.
    fn is_listed(&self, target: &Target) -> bool {
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

fn retire_if_unused(inner: &mut Inner, group: &Arc<Group>) {
    let used = inner
        .targets
        .values()
        .any(|target| Arc::ptr_eq(&target.group, group));
    if !group.definition().configured && !used {
        inner.groups.remove(&group.definition().key);
        group.retire();
    }
}
