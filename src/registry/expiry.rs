//! Targets that nobody asks for any more go, and inline groups with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::time::Timestamp;
use crate::policy::event::{Event, What};
use crate::publish::Group;

use super::{Inner, Registry, Target};

/// A target that nobody asked for goes after this long …
pub const EXPIRES_AFTER: Duration = Duration::from_secs(3_600);
/// … and sooner if the same ScaledObject asks with other metadata: then it was edited.
const SUPERSEDED_AFTER: Duration = Duration::from_secs(600);

impl Registry {
    /// Drops targets that nobody asked for lately, and inline groups without any.
    pub fn expire(&self, now: Timestamp) {
        let mut inner = self.write();
        for target in over(&inner, now) {
            inner.targets.remove(&target.key);
            target.group.apply(&Event {
                at: now,
                what: What::TargetExpired(target.key.clone()),
            });
            retire_if_unused(&mut inner, &target.group);
        }
    }
}

fn over(inner: &Inner, now: Timestamp) -> Vec<Arc<Target>> {
    let object = |target: &Target| (target.key.namespace.clone(), target.key.name.clone());
    let mut newest: HashMap<(String, String), Timestamp> = HashMap::new();
    for target in inner.targets.values() {
        let called = newest
            .entry(object(target))
            .or_insert_with(|| target.called_at());
        *called = target.called_at().max(*called);
    }
    let is_over = |target: &&Arc<Target>| {
        let called = target.called_at();
        let superseded = newest
            .get(&object(target))
            .is_some_and(|n| n.since(called) >= SUPERSEDED_AFTER);
        superseded || now.since(called) >= EXPIRES_AFTER
    };
    inner.targets.values().filter(is_over).cloned().collect()
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
