//! Another configuration, put in force at once: what is the same goes on, what changed starts anew with what it knew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::types::Config;
use crate::group::event::{Event, TargetKey, What};
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::publish::room::Room;
use crate::publish::{Group, GroupDefinition};

use super::registration::{configured, inline};
use super::{Registry, Target, count_listed, room_limits};

type GroupsByKey = BTreeMap<GroupKey, Arc<Group>>;
type Targets = HashMap<TargetKey, Arc<Target>>;

impl Registry {
    /// Replaces the configuration. `replaced` names the sources that are reopened; so are their groups. Triggers are
    /// resolved again; those that the new configuration refuses go, and hear why at their next call. Until everything is ready
    /// calls are answered as before.
    pub fn reconfigure(&self, config: Config, replaced: &BTreeSet<String>, now: Timestamp) {
        let _turn = self.turn();
        let (before, asking) = {
            let inner = self.read();
            (inner.groups.clone(), inner.targets.clone())
        };
        let room = self.read().room.clone();
        room.limit(room_limits(&config));
        let mut next = Next {
            registry: self,
            room,
            now,
            before: &before,
            replaced,
            groups: GroupsByKey::new(),
            targets: Targets::new(),
            new: Vec::new(),
        };
        next.take_over_groups(&config);
        next.take_over_targets(&config, &asking);
        let Next {
            groups,
            targets,
            new,
            ..
        } = next;
        {
            let mut inner = self.write();
            inner.config = config;
            inner.groups.clone_from(&groups);
            inner.targets.clone_from(&targets);
        }
        count_room(&groups, &targets);
        for group in &new {
            self.start(group);
        }
        let refused = asking.iter().filter(|(key, _)| !targets.contains_key(key));
        for (_, target) in refused {
            target.gone.store(true, Ordering::Release);
        }
        forget_the_refused(&groups, &targets, now);
        let goes_on = |key, group| groups.get(key).is_some_and(|now| Arc::ptr_eq(now, group));
        for (_, group) in before.iter().filter(|(key, group)| !goes_on(key, group)) {
            group.retire();
        }
    }
}

/// What a configuration makes of the groups and targets before.
struct Next<'a> {
    registry: &'a Registry,
    room: Arc<Room>,
    now: Timestamp,
    before: &'a GroupsByKey,
    /// Sources that are reopened.
    replaced: &'a BTreeSet<String>,
    groups: GroupsByKey,
    targets: Targets,
    /// Groups that are to be polled from now on.
    new: Vec<Arc<Group>>,
}

impl Next<'_> {
    fn take_over_groups(&mut self, config: &Config) {
        for definition in config.groups.iter().map(configured) {
            let group = self.adopt(definition);
            let spec = Box::new(group.definition().settings.resolve());
            let what = What::TargetRegistered(TargetKey::default(), spec);
            group.apply_contained(&Event { at: self.now, what });
        }
    }

    fn take_over_targets(&mut self, config: &Config, asking: &Targets) {
        for (key, target) in asking {
            let Ok(resolved) = config.resolve(&target.request, &key.namespace) else {
                continue;
            };
            let spec = resolved.settings.resolve();
            let group = self.adopt(inline(resolved));
            let what = What::TargetRegistered(key.clone(), Box::new(spec.clone()));
            group.apply_contained(&Event { at: self.now, what });
            let target = Target {
                key: key.clone(),
                spec,
                group,
                request: target.request.clone(),
                metadata: target.metadata.clone(),
                ordinal: target.ordinal,
                registered_at: target.registered_at,
                calls: Arc::clone(&target.calls),
                gone: AtomicBool::new(false),
            };
            self.targets.insert(key.clone(), Arc::new(target));
        }
    }

    /// The group of that definition: the very same if nothing changed, else a new one that knows what the old one knew.
    fn adopt(&mut self, definition: GroupDefinition) -> Arc<Group> {
        let key = definition.key.clone();
        if let Some(group) = self.groups.get(&key) {
            return group.clone();
        }
        let is_replaced = self.replaced.contains(&key.source);
        let group = match self.before.get(&key) {
            Some(known) if *known.definition() == definition && !is_replaced => known.clone(),
            Some(known) => {
                let group = known.succeed(definition);
                forget_other_signals(known, &group, self.now);
                self.is_new(group)
            }
            None => {
                let group = Group::within(self.room.claim(), definition, self.registry.rules);
                self.is_new(self.registry.placed(group))
            }
        };
        self.groups.insert(key, group.clone());
        group
    }

    fn is_new(&mut self, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        self.new.push(group.clone());
        group
    }
}

/// Has the partitions of every group counted for those who ask for it now.
fn count_room(groups: &GroupsByKey, targets: &Targets) {
    let mut asking: BTreeMap<GroupKey, BTreeSet<String>> = BTreeMap::new();
    for (key, target) in targets {
        let group = target.group.definition().key.clone();
        asking
            .entry(group)
            .or_default()
            .insert(key.namespace.clone());
    }
    for (key, group) in groups {
        let namespaces = asking.remove(key).unwrap_or_default();
        count_listed(group, namespaces);
    }
}

/// Groups that go on or know what their predecessors knew still hold targets that were refused, and the unnamed one of a
/// group that the configuration no longer names.
fn forget_the_refused(groups: &GroupsByKey, targets: &Targets, now: Timestamp) {
    for group in groups.values() {
        let held: Vec<TargetKey> = group.target_keys();
        let wanted = |key: &TargetKey| match key.is_unnamed() {
            true => group.definition().configured,
            false => targets
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
