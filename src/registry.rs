//! Who asks for what: groups and targets, with limits and expiry. Adapters register, collectors poll.

mod admission;
mod expiry;
mod reload;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::metadata::TriggerRequest;
use crate::config::resolve::ResolvedTarget;
use crate::config::signals::SignalSources;
use crate::config::types::{Config, Granularity, GroupConfig, SourceConfig};
use crate::model::capacity::CapacityRules;
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::policy::event::{Event, TargetKey, What};
use crate::policy::spec::{PolicySettings, TargetSpec};
use crate::publish::{Group, GroupDefinition};

pub use self::admission::{MOST_TARGETS, MOST_TARGETS_PER_NAMESPACE, Refusal};
pub use self::expiry::EXPIRES_AFTER;

/// Groups and targets.
#[derive(Debug)]
pub struct Registry {
    rules: CapacityRules,
    inner: RwLock<Inner>,
    /// New groups, for whoever starts their collectors.
    started: mpsc::UnboundedSender<Arc<Group>>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    groups: BTreeMap<GroupKey, Arc<Group>>,
    targets: HashMap<TargetKey, Arc<Target>>,
    registered: u64,
}

/// One trigger of one ScaledObject.
#[derive(Debug)]
pub struct Target {
    /// Who asks.
    pub key: TargetKey,
    /// What is answered with.
    pub spec: TargetSpec,
    /// For which group.
    pub group: Arc<Group>,
    /// As it was asked for, to be resolved again when the configuration changes.
    request: TriggerRequest,
    ordinal: u64,
    last_called: AtomicU64,
}

impl Registry {
    /// A registry with the config's groups. Every group to be polled, now or later, comes out of the receiver.
    pub fn new(
        config: Config,
        rules: CapacityRules,
        now: Timestamp,
    ) -> (Self, mpsc::UnboundedReceiver<Arc<Group>>) {
        let (started, to_start) = mpsc::unbounded_channel();
        let empty = Inner {
            config: Config {
                groups: Vec::new(),
                ..config.clone()
            },
            groups: BTreeMap::new(),
            targets: HashMap::new(),
            registered: 0,
        };
        let registry = Self {
            rules,
            inner: RwLock::new(empty),
            started,
        };
        registry.reconfigure(config, &BTreeSet::new(), now);
        (registry, to_start)
    }

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
            metadata_hash: hash_of(metadata),
        };
        if let Some(target) = self.read().targets.get(&key) {
            target.touch(now);
            return Ok(target.clone());
        }
        self.register(key, metadata, now)
    }

    fn register(
        &self,
        key: TargetKey,
        metadata: &HashMap<String, String>,
        now: Timestamp,
    ) -> Result<Arc<Target>, Refusal> {
        admission::check_names(&key)?;
        let request = TriggerRequest::parse(metadata)?;
        let mut inner = self.write();
        let resolved = inner.config.resolve(&request, &key.namespace)?;
        let spec = resolved.settings.resolve();
        if let Some(target) = inner.targets.get(&key) {
            return Ok(target.clone());
        }
        admission::check_room(&inner, &key.namespace)?;
        let group = self.group_of(&mut inner, resolved);
        inner.registered += 1;
        let target = Arc::new(Target {
            key: key.clone(),
            spec: spec.clone(),
            group: group.clone(),
            request,
            ordinal: inner.registered,
            last_called: AtomicU64::new(now.as_millis()),
        });
        inner.targets.insert(key.clone(), target.clone());
        group.apply(&Event {
            at: now,
            what: What::TargetRegistered(key, Box::new(spec)),
        });
        Ok(target)
    }

    /// Every group.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.read().groups.values().cloned().collect()
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.read().config.clone()
    }

    /// When every target that a ScaledObject asks for was last asked for.
    pub fn last_called(&self) -> HashMap<TargetKey, Timestamp> {
        let inner = self.read();
        let targets = inner.targets.iter();
        targets
            .map(|(key, target)| (key.clone(), target.called_at()))
            .collect()
    }

    /// How long sources keep messages, where the config says so; by name.
    pub fn retentions(&self) -> Vec<(String, Duration)> {
        let inner = self.read();
        let sources = inner.config.sources.iter();
        let of = |source: &SourceConfig| {
            Some((source.name.clone(), source.kind.event_hub()?.retention?))
        };
        sources.filter_map(of).collect()
    }

    /// Series about partitions that are exported, at most.
    pub fn max_series(&self) -> usize {
        self.read().config.max_series
    }

    /// Every target that a ScaledObject asks for.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.read().targets.values().cloned().collect()
    }

    /// Whether that ScaledObject still asks.
    pub fn has_target(&self, key: &TargetKey) -> bool {
        self.read().targets.contains_key(key)
    }

    /// The `scaled_object` label of every registered target: `namespace/name`, with `#n` if it has several triggers here.
    pub fn labels(&self) -> HashMap<TargetKey, String> {
        let inner = self.read();
        let mut objects: BTreeMap<(&str, &str), Vec<&Arc<Target>>> = BTreeMap::new();
        for target in inner.targets.values() {
            let object = (target.key.namespace.as_str(), target.key.name.as_str());
            objects.entry(object).or_default().push(target);
        }
        let mut labels = HashMap::new();
        for ((namespace, name), mut triggers) in objects {
            triggers.sort_by_key(|target| target.ordinal);
            let several = triggers.len() > 1;
            for (n, target) in triggers.into_iter().enumerate() {
                let suffix = if several {
                    format!("#{n}")
                } else {
                    String::new()
                };
                labels.insert(target.key.clone(), format!("{namespace}/{name}{suffix}"));
            }
        }
        labels
    }

    /// The group that a request resolved to: the config's, one that others ask for already, or a new inline one.
    fn group_of(&self, inner: &mut Inner, resolved: ResolvedTarget) -> Arc<Group> {
        match inner.groups.get(&resolved.key) {
            Some(group) => group.clone(),
            None => self.add_group(inner, Group::new(inline(resolved), self.rules)),
        }
    }

    fn add_group(&self, inner: &mut Inner, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        inner
            .groups
            .insert(group.definition().key.clone(), group.clone());
        // Only fails while shutting down, when nobody polls any more.
        let _ = self.started.send(group.clone());
        group
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Notes that somebody still wants it.
    pub fn touch(&self, now: Timestamp) {
        self.last_called.store(now.as_millis(), Ordering::Relaxed);
    }

    fn called_at(&self) -> Timestamp {
        Timestamp::from_millis(self.last_called.load(Ordering::Relaxed))
    }
}

/// A group of the config.
fn configured(group: &GroupConfig) -> GroupDefinition {
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
fn inline(resolved: ResolvedTarget) -> GroupDefinition {
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

/// The sum of FNV-1a over each pair: the same in any order, and over restarts and releases, so that a journal can name a target.
fn hash_of(metadata: &HashMap<String, String>) -> u64 {
    let of_pair = |(key, value): (&String, &String)| {
        let bytes = key.bytes().chain([0xff]).chain(value.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    metadata.iter().map(of_pair).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests;
