//! A trigger that is asked for the first time: admitted, resolved, told to its group, and written down.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::metadata::{TriggerRequest, fingerprint};
use crate::config::resolve::ResolvedTarget;
use crate::config::signals::SignalSources;
use crate::config::types::{Granularity, GroupConfig};
use crate::group::event::{Event, TargetKey, What};
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;
use crate::publish::{Group, GroupDefinition};

use super::admission::{self, Admitted, Refusal};
use super::calls::Calls;
use super::{Registry, Replaced, Target, count_listed, expiry};

impl Registry {
    /// The target of a trigger, registered if it is new. Names and values come from outside: everything is checked.
    ///
    /// # Errors
    /// [`Refusal`] with a text that names keys, never values that could be secrets.
    pub fn resolve(
        &self,
        namespace: &str,
        name: &str,
        metadata: &HashMap<String, String>,
        now: Timestamp,
    ) -> Result<Arc<Target>, Refusal> {
        let key = TargetKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            metadata_hash: fingerprint(metadata),
        };
        if let Some(target) = self.read().targets.get(&key) {
            target.touch(now);
            return Ok(target.clone());
        }
        self.register(key, metadata, now)
    }

    /// Takes in a trigger that another replica was asked about then.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn introduce(
        &self,
        namespace: &str,
        name: &str,
        metadata: &HashMap<String, String>,
        called_at: Timestamp,
    ) -> Result<(), Refusal> {
        let key = TargetKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            metadata_hash: fingerprint(metadata),
        };
        let known = self.read().targets.get(&key).cloned();
        match known {
            Some(target) => target.calls.note_elsewhere(called_at),
            None => drop(self.register(key, metadata, called_at)?),
        }
        Ok(())
    }

    fn register(
        &self,
        key: TargetKey,
        metadata: &HashMap<String, String>,
        now: Timestamp,
    ) -> Result<Arc<Target>, Refusal> {
        admission::check_names(&key)?;
        let request = TriggerRequest::parse(metadata)?;
        // A trigger that is refused does not wait for a reload: KEDA asks for it again and again.
        admission::admit(&self.read(), &key, &request)?;
        let _turn = self.turn();
        let inner = self.read();
        if let Some(target) = inner.targets.get(&key) {
            return Ok(target.clone());
        }
        let Admitted {
            resolved,
            spec,
            replaces,
            inherits,
            ordinal,
        } = admission::admit(&inner, &key, &request)?;
        let known = inner.groups.get(&resolved.key).cloned();
        let claim = || inner.room.claim();
        let new = || {
            let group = Group::within(claim(), inline(resolved), self.rules);
            Arc::new(self.placed(group))
        };
        let group = known.unwrap_or_else(new);
        drop(inner);
        let target = Arc::new(Target {
            key,
            spec,
            group,
            request,
            metadata: metadata.clone(),
            ordinal,
            registered_at: now,
            calls: Arc::new(Calls::since(now)),
            gone: AtomicBool::new(false),
        });
        // Whoever finds it is to find an answer.
        self.tell_group(&target, inherits, now);
        self.enter(&target, &replaces, now);
        self.newcomer.notify_one();
        Ok(target)
    }

    fn tell_group(&self, target: &Target, inherits: Option<TargetKey>, now: Timestamp) {
        let (key, group) = (&target.key, &target.group);
        if let Some(from) = inherits {
            let what = What::TargetInherits(from, key.clone());
            group.apply_contained(&Event { at: now, what });
        }
        let spec = Box::new(target.spec.clone());
        let what = match self.objects_are_read.load(Ordering::Relaxed) {
            true => What::TargetAwaited(key.clone(), spec),
            false => What::TargetRegistered(key.clone(), spec),
        };
        group.apply_contained(&Event { at: now, what });
    }

    /// Writes a target down, in the place of those that it replaces.
    fn enter(&self, target: &Arc<Target>, replaces: &[Arc<Target>], now: Timestamp) {
        let mut inner = self.write();
        inner.registered += 1;
        inner.targets.insert(target.key.clone(), target.clone());
        let group = &target.group;
        let key = group.definition().key.clone();
        let is_new = inner.groups.insert(key, group.clone()).is_none();
        inner.replaced.remove(&target.key);
        let replaced = replaces.iter().map(|old| {
            let replaced = Replaced {
                at: now,
                ordinal: old.ordinal,
            };
            (old.key.clone(), replaced)
        });
        inner.replaced.extend(replaced);
        count_listed(group, inner.namespaces_of(group));
        expiry::remove(inner, replaces, now);
        if is_new {
            self.start(group);
        }
    }
}

/// A group of the config.
pub(super) fn configured(group: &GroupConfig) -> GroupDefinition {
    GroupDefinition {
        name: group.name.clone(),
        key: group.key.clone(),
        selector: group.selector.clone(),
        poll_interval: group.poll_interval,
        settings: group.policy.clone(),
        signals: group.signals.clone(),
        granularity: group.granularity,
        configured: true,
    }
}

/// A group that only triggers name.
pub(super) fn inline(resolved: ResolvedTarget) -> GroupDefinition {
    GroupDefinition {
        name: resolved.group,
        key: resolved.key,
        selector: resolved.selector,
        poll_interval: resolved.poll_interval,
        settings: PolicySettings::default(),
        signals: SignalSources::new(),
        granularity: Granularity::default(),
        configured: false,
    }
}
