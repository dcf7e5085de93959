//! Who asks for what: groups and targets, with limits and expiry. Adapters register, collectors poll.

mod admission;
pub mod agreement;
mod calls;
mod expiry;
mod registration;
mod reload;
mod succession;
pub mod usage;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::config::metadata::{self, TriggerRequest};
use crate::config::types::{Config, SourceConfig};
use crate::group::event::TargetKey;
use crate::model::capacity::CapacityRules;
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;
use crate::policy::spec::{Mode, TargetSpec};
use crate::publish::Group;
use crate::publish::room::{Room, RoomLimits};

pub use self::admission::Refusal;
use self::calls::Calls;
pub use self::expiry::EXPIRES_AFTER;

/// Groups and targets. Whoever changes them takes turns, tells groups what concerns them (which may take a while) during its own turn,
/// and holds the lock that every answer needs only to write down who asks for what.
#[derive(Debug)]
pub struct Registry {
    rules: CapacityRules,
    turns: Mutex<()>,
    inner: RwLock<Inner>,
    /// New groups, for whoever starts their collectors.
    started: mpsc::UnboundedSender<Arc<Group>>,
    /// A target was registered.
    newcomer: Notify,
    /// Whether the Kubernetes API tells of the objects that ask.
    objects_are_read: AtomicBool,
    /// Whether other replicas share the groups: this one leads none before it knows who does.
    is_replicated: bool,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    groups: BTreeMap<GroupKey, Arc<Group>>,
    targets: HashMap<TargetKey, Arc<Target>>,
    registered: u64,
    /// The external triggers of objects as Kubernetes shows them: fingerprints in the order of the spec.
    orders: HashMap<ObjectKey, Vec<u64>>,
    /// Targets taken for the former wording of an edited trigger: if one is asked for again, both are alive.
    replaced: HashMap<TargetKey, Replaced>,
    /// Room for partitions.
    room: Arc<Room>,
}

/// A target that gave way to another one.
#[derive(Clone, Copy, Debug)]
struct Replaced {
    at: Timestamp,
    ordinal: u64,
}

/// Namespace and name of a ScaledObject or ScaledJob.
type ObjectKey = (String, String);

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
    metadata: HashMap<String, String>,
    ordinal: u64,
    registered_at: Timestamp,
    calls: Arc<Calls>,
    gone: AtomicBool,
}

impl Registry {
    /// A registry with the config's groups. Every group to be polled, now or later, comes out of the receiver.
    pub fn new(
        config: Config,
        rules: CapacityRules,
        now: Timestamp,
    ) -> (Self, mpsc::UnboundedReceiver<Arc<Group>>) {
        Self::shared(config, rules, now, false)
    }

    /// As that; `is_replicated`: where other replicas share the groups, it begins with leading none.
    pub fn shared(
        config: Config,
        rules: CapacityRules,
        now: Timestamp,
        is_replicated: bool,
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
            orders: HashMap::new(),
            replaced: HashMap::new(),
            room: Room::new(room_limits(&config)),
        };
        let registry = Self {
            rules,
            turns: Mutex::default(),
            inner: RwLock::new(empty),
            started,
            newcomer: Notify::new(),
            objects_are_read: AtomicBool::new(false),
            is_replicated,
        };
        registry.reconfigure(config, &BTreeSet::new(), now);
        (registry, to_start)
    }

    /// A new group, as it begins.
    fn placed(&self, group: Group) -> Group {
        match self.is_replicated {
            true => group.led_elsewhere(),
            false => group,
        }
    }

    /// Has a group polled.
    fn start(&self, group: &Arc<Group>) {
        // Only fails while shutting down, when nobody polls any more.
        let _ = self.started.send(group.clone());
    }

    /// Has new targets wait for what the Kubernetes API tells of their objects, or no longer.
    pub fn read_objects(&self, are_read: bool) {
        self.objects_are_read.store(are_read, Ordering::Relaxed);
    }

    /// Wakes one waiter when a target was registered.
    pub async fn newcomers(&self) {
        self.newcomer.notified().await;
    }

    /// Returns once the lock that every call needs can be had.
    pub fn wait_for_lock(&self) {
        drop(self.read());
    }

    /// The mode that a trigger will most likely have once it is served: for the metric that KEDA is to make an HPA with while it
    /// is refused.
    pub fn likely_mode(&self, metadata: &HashMap<String, String>) -> Mode {
        metadata::likely_mode(metadata)
            .or_else(|| self.read().config.mode_of_group(metadata))
            .unwrap_or_default()
    }

    /// How many triggers were ever registered.
    pub fn registered(&self) -> u64 {
        self.read().registered
    }

    /// A group.
    pub fn group(&self, key: &GroupKey) -> Option<Arc<Group>> {
        self.read().groups.get(key).cloned()
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
        let mut objects: BTreeMap<ObjectKey, Vec<&Arc<Target>>> = BTreeMap::new();
        for target in inner.targets.values() {
            objects.entry(target.object()).or_default().push(target);
        }
        let mut labels = HashMap::new();
        for (object, mut triggers) in objects {
            let order = inner.orders.get(&object);
            let place = |target: &Target| {
                let hash = target.key.metadata_hash;
                order.and_then(|order| order.iter().position(|known| *known == hash))
            };
            triggers.sort_by_key(|target| (place(target).unwrap_or(usize::MAX), target.ordinal));
            let (namespace, name) = object;
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

    /// Until it is dropped nobody else changes who asks for what. To be taken before the lock, never under it.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room_limits(config: &Config) -> RoomLimits {
    RoomLimits {
        partitions: config.limits.partitions,
        partitions_per_namespace: config.limits.partitions_per_namespace,
    }
}

/// Has a group's partitions counted for the namespaces that ask for it, if it is inline; those that it lists from the start.
fn count_listed(group: &Group, namespaces: BTreeSet<String>) {
    let definition = group.definition();
    let listed = definition.selector.listed();
    let namespaces = match definition.configured {
        true => BTreeSet::new(),
        false => namespaces,
    };
    group.claim().hold_for(namespaces, listed);
}

impl Inner {
    /// The namespaces that ask for a group.
    fn namespaces_of(&self, group: &Arc<Group>) -> BTreeSet<String> {
        let asking = self
            .targets
            .values()
            .filter(|target| Arc::ptr_eq(&target.group, group));
        asking.map(|target| target.key.namespace.clone()).collect()
    }
}

impl Target {
    /// Notes that somebody still wants it.
    pub fn touch(&self, now: Timestamp) {
        self.calls.note(now);
    }

    /// The trigger's metadata, as it was asked for.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// When it was first asked for.
    pub fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// Whether the registry dropped it: streams end then, and whoever still wants it registers it again.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// When it was last asked for.
    pub fn called_at(&self) -> Timestamp {
        self.calls.last_at()
    }

    /// How long KEDA leaves between its calls, once it called twice.
    fn call_interval(&self) -> Option<Duration> {
        self.calls.interval()
    }

    fn object(&self) -> ObjectKey {
        (self.key.namespace.clone(), self.key.name.clone())
    }
}

#[cfg(test)]
mod tests;
