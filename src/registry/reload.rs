//! Another configuration, put in force at once: what is the same goes on, what changed starts anew with what it knew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::types::Config;
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::policy::event::{Event, TargetKey, What};
use crate::publish::{Group, GroupDefinition};

use super::{Inner, Registry, Target, configured, inline};

type Groups = BTreeMap<GroupKey, Arc<Group>>;

impl Registry {
    /// Replaces the configuration. `replaced` names the sources that are opened anew: their groups are, too. Triggers are
    /// resolved again; those that the new configuration refuses go, and hear why at their next call.
    pub fn reconfigure(&self, config: Config, replaced: &BTreeSet<String>, now: Timestamp) {
        let mut inner = self.write();
        let before = std::mem::take(&mut inner.groups);
        inner.config = config;
        let definitions: Vec<GroupDefinition> =
            inner.config.groups.iter().map(configured).collect();
        for definition in definitions {
            let group = self.adopt(&mut inner, &before, replaced, definition, now);
            let spec = Box::new(group.definition().settings.resolve());
            let what = What::TargetRegistered(TargetKey::default(), spec);
            group.apply_contained(&Event { at: now, what });
        }
        self.resolve_again(&mut inner, &before, replaced, now);
        for (key, group) in before {
            let goes_on = inner
                .groups
                .get(&key)
                .is_some_and(|now| Arc::ptr_eq(now, &group));
            if !goes_on {
                group.retire();
            }
        }
    }

    /// The group of that definition: the very same if nothing changed, else a new one that knows what the old one knew.
    fn adopt(
        &self,
        inner: &mut Inner,
        before: &Groups,
        replaced: &BTreeSet<String>,
        definition: GroupDefinition,
        now: Timestamp,
    ) -> Arc<Group> {
        let key = definition.key.clone();
        if let Some(group) = inner.groups.get(&key) {
            return group.clone();
        }
        match before.get(&key) {
            Some(known) if *known.definition() == definition && !replaced.contains(&key.source) => {
                inner.groups.insert(key, known.clone());
                known.clone()
            }
            Some(known) => {
                let group = known.succeed(definition);
                forget_other_signals(known, &group, now);
                self.add_group(inner, group)
            }
            None => self.add_group(inner, Group::new(definition, self.rules)),
        }
    }

    fn resolve_again(
        &self,
        inner: &mut Inner,
        before: &Groups,
        replaced: &BTreeSet<String>,
        now: Timestamp,
    ) {
        for (key, target) in std::mem::take(&mut inner.targets) {
            let Ok(resolved) = inner.config.resolve(&target.request, &key.namespace) else {
                target.gone.store(true, Ordering::Release);
                continue;
            };
            let spec = resolved.settings.resolve();
            let group = self.adopt(inner, before, replaced, inline(resolved), now);
            let what = What::TargetRegistered(key.clone(), Box::new(spec.clone()));
            group.apply_contained(&Event { at: now, what });
            let target = Target {
                key: key.clone(),
                spec,
                group,
                request: target.request.clone(),
                ordinal: target.ordinal,
                registered_at: target.registered_at,
                last_called: AtomicU64::new(target.called_at().as_millis()),
                call_interval: AtomicU64::new(target.call_interval.load(Ordering::Relaxed)),
                gone: AtomicBool::new(false),
            };
            inner.targets.insert(key, Arc::new(target));
        }
        forget_the_refused(inner, now);
    }
}

/// Groups that go on or know what their predecessors knew still hold targets that were refused, and the unnamed one of a
/// group that the configuration no longer names.
fn forget_the_refused(inner: &Inner, now: Timestamp) {
    for group in inner.groups.values() {
        let held: Vec<TargetKey> = group.target_keys();
        let wanted = |key: &TargetKey| match key.is_unnamed() {
            true => group.definition().configured,
            false => inner
                .targets
                .get(key)
                .is_some_and(|target| Arc::ptr_eq(&target.group, group)),
        };
        for key in held.into_iter().filter(|key| !wanted(key)) {
            group.apply_contained(&Event {
                at: now,
                what: What::TargetExpired(key),
            });
        }
    }
}

/// Forgets signals that come from elsewhere than they came to the group before, or from nowhere.
fn forget_other_signals(before: &Group, group: &Group, now: Timestamp) {
    for (signal, source) in &before.definition().signals {
        if group.definition().signals.get(signal) != Some(source) {
            let what = What::SignalForgotten(*signal);
            group.apply_contained(&Event { at: now, what });
        }
    }
}
