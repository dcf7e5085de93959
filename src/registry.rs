//! Who asks for what: groups and targets, with limits and expiry. Adapters register, collectors poll.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::allow::allowed;
use crate::config::metadata::{Subject, TriggerRequest};
use crate::config::types::{Config, SourceConfig};
use crate::model::capacity::CapacityRules;
use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::event::{Event, TargetKey, What};
use crate::policy::spec::{PolicySettings, TargetSpec};
use crate::publish::{Group, GroupDefinition};

/// Targets that ScaledObjects may have registered at a time.
pub const MOST_TARGETS: usize = 2_000;
/// … of one namespace.
pub const MOST_TARGETS_PER_NAMESPACE: usize = 50;
/// A target that nobody asked for goes after this long …
pub const EXPIRES_AFTER: Duration = Duration::from_secs(3_600);
/// … and sooner if the same ScaledObject asks with other metadata: then it was edited.
const SUPERSEDED_AFTER: Duration = Duration::from_secs(600);

/// Groups and targets.
#[derive(Debug)]
pub struct Registry {
    sources: BTreeMap<String, SourceConfig>,
    rules: CapacityRules,
    inner: RwLock<Inner>,
    /// New groups, for whoever starts their collectors.
    started: mpsc::UnboundedSender<Arc<Group>>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<GroupKey, Arc<Group>>,
    /// Names of the config's groups. Inline ones have none: naming one would pass by the allow rules.
    names: BTreeMap<String, GroupKey>,
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
    ordinal: u64,
    last_called: AtomicU64,
}

/// Why a trigger is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The metadata is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The config does not let this namespace name that stream.
    #[error("{0}")]
    NotAllowed(String),
    /// Too many targets.
    #[error("{0}")]
    Full(String),
}

impl Registry {
    /// A registry with the config's groups. Every group to be polled, now or later, comes out of the receiver.
    pub fn new(
        config: &Config,
        rules: CapacityRules,
        now: Timestamp,
    ) -> (Self, mpsc::UnboundedReceiver<Arc<Group>>) {
        let (started, to_start) = mpsc::unbounded_channel();
        let sources = config
            .sources
            .iter()
            .map(|s| (s.name.clone(), s.clone()))
            .collect();
        let registry = Self {
            sources,
            rules,
            inner: RwLock::default(),
            started,
        };
        for group in &config.groups {
            let group = registry.add_group(
                &mut registry.write(),
                GroupDefinition {
                    name: group.name.clone(),
                    key: group.key.clone(),
                    selector: group.selector.clone(),
                    poll_interval: group.poll_interval,
                    settings: group.policy.clone(),
                    configured: true,
                },
            );
            let spec = Box::new(group.definition().settings.resolve());
            group.apply(&Event {
                at: now,
                what: What::TargetRegistered(TargetKey::default(), spec),
            });
        }
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
            target.last_called.store(now.as_millis(), Ordering::Relaxed);
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
        valid_name("namespace", &key.namespace)?;
        valid_name("name", &key.name)?;
        let request =
            TriggerRequest::parse(metadata).map_err(|e| Refusal::Invalid(e.to_string()))?;
        let mut inner = self.write();
        if let Some(target) = inner.targets.get(&key) {
            return Ok(target.clone());
        }
        self.check_subject(&inner, &key.namespace, &request)?;
        let settings = request
            .settings
            .over(&self.base_settings(&inner, &request.subject));
        if let Some((field, problem)) = settings.problems().into_iter().next() {
            return Err(Refusal::Invalid(format!(
                "{}: {problem}",
                camel_case(field)
            )));
        }
        has_room(&inner, &key.namespace)?;
        let group = self.group_of(&mut inner, &request.subject)?;
        let spec = settings.resolve();
        inner.registered += 1;
        let target = Arc::new(Target {
            key: key.clone(),
            spec: spec.clone(),
            group: group.clone(),
            ordinal: inner.registered,
            last_called: AtomicU64::new(now.as_millis()),
        });
        inner.targets.insert(key.clone(), target.clone());
        drop(inner);
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

    /// Drops targets that nobody asked for lately, and inline groups without any.
    pub fn expire(&self, now: Timestamp) {
        let mut inner = self.write();
        let newest = newest_calls(&inner);
        let gone: Vec<Arc<Target>> = inner
            .targets
            .values()
            .filter(|target| is_over(target, &newest, now))
            .cloned()
            .collect();
        for target in &gone {
            inner.targets.remove(&target.key);
            target.group.apply(&Event {
                at: now,
                what: What::TargetExpired(target.key.clone()),
            });
            retire_if_unused(&mut inner, &target.group);
        }
    }

    fn check_subject(
        &self,
        inner: &Inner,
        namespace: &str,
        request: &TriggerRequest,
    ) -> Result<(), Refusal> {
        match &request.subject {
            Subject::Named(name) if inner.names.contains_key(name) => Ok(()),
            Subject::Named(_) => Err(Refusal::Invalid(
                "group: the config names no such group; see groups[].name there".to_owned(),
            )),
            Subject::Inline {
                source,
                stream,
                consumer_group,
            } => {
                let Some(config) = self.sources.get(source) else {
                    return Err(Refusal::Invalid(
                        "source: the config names no such source; see sources[].name there"
                            .to_owned(),
                    ));
                };
                if allowed(&config.allow, namespace, stream, consumer_group) {
                    return Ok(());
                }
                Err(Refusal::NotAllowed(format!(
                    "source {source} does not allow namespace {namespace} this stream and consumer group; an administrator \
                     can add it to sources[].allow of streamgauge's config"
                )))
            }
        }
    }

    /// The policy of the config group that the trigger names or means; nothing for an inline group.
    fn base_settings(&self, inner: &Inner, subject: &Subject) -> PolicySettings {
        known_group(inner, subject)
            .filter(|group| group.definition().configured)
            .map(|group| group.definition().settings.clone())
            .unwrap_or_default()
    }

    fn group_of(&self, inner: &mut Inner, subject: &Subject) -> Result<Arc<Group>, Refusal> {
        if let Some(group) = known_group(inner, subject) {
            return Ok(group);
        }
        let named = key_of(subject).and_then(|key| Some((self.sources.get(&key.source)?, key)));
        let Some((source, key)) = named else {
            return Err(Refusal::Invalid(
                "group: the config names no such group".to_owned(),
            ));
        };
        let selector = StreamSelector::parse(&key.stream)
            .map_err(|e| Refusal::Invalid(format!("stream: {e}")))?;
        Ok(self.add_group(
            inner,
            GroupDefinition {
                name: key.to_string(),
                key,
                selector,
                poll_interval: source.poll_interval,
                settings: PolicySettings::default(),
                configured: false,
            },
        ))
    }

    fn add_group(&self, inner: &mut Inner, definition: GroupDefinition) -> Arc<Group> {
        let group = Arc::new(Group::new(definition, self.rules));
        let definition = group.definition();
        inner.groups.insert(definition.key.clone(), group.clone());
        if definition.configured {
            inner
                .names
                .insert(definition.name.clone(), definition.key.clone());
        }
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

fn key_of(subject: &Subject) -> Option<GroupKey> {
    match subject {
        Subject::Named(_) => None,
        Subject::Inline {
            source,
            stream,
            consumer_group,
        } => Some(GroupKey {
            source: source.clone(),
            stream: stream.clone(),
            consumer_group: consumer_group.clone(),
        }),
    }
}

fn known_group(inner: &Inner, subject: &Subject) -> Option<Arc<Group>> {
    let key = match subject {
        Subject::Named(name) => inner.names.get(name).cloned(),
        Subject::Inline { .. } => key_of(subject),
    };
    inner.groups.get(&key?).cloned()
}

fn newest_calls(inner: &Inner) -> HashMap<(String, String), Timestamp> {
    let mut newest = HashMap::new();
    for target in inner.targets.values() {
        let object = (target.key.namespace.clone(), target.key.name.clone());
        let called = newest.entry(object).or_insert_with(|| target.called_at());
        *called = target.called_at().max(*called);
    }
    newest
}

fn is_over(target: &Target, newest: &HashMap<(String, String), Timestamp>, now: Timestamp) -> bool {
    let silent = now.since(target.called_at());
    let object = (target.key.namespace.clone(), target.key.name.clone());
    let superseded = newest
        .get(&object)
        .is_some_and(|newest| newest.since(target.called_at()) >= SUPERSEDED_AFTER);
    silent >= EXPIRES_AFTER || superseded
}

fn retire_if_unused(inner: &mut Inner, group: &Arc<Group>) {
    let definition = group.definition();
    let used = inner
        .targets
        .values()
        .any(|target| Arc::ptr_eq(&target.group, group));
    if !definition.configured && !used {
        inner.groups.remove(&definition.key);
        group.retire();
    }
}

fn has_room(inner: &Inner, namespace: &str) -> Result<(), Refusal> {
    if inner.targets.len() >= MOST_TARGETS {
        return Err(Refusal::Full(format!(
            "{MOST_TARGETS} triggers are registered, the most this service takes; unused ones go after an hour"
        )));
    }
    let of_namespace = inner
        .targets
        .keys()
        .filter(|key| key.namespace == namespace)
        .count();
    if of_namespace >= MOST_TARGETS_PER_NAMESPACE {
        return Err(Refusal::Full(format!(
            "namespace {namespace} has {MOST_TARGETS_PER_NAMESPACE} triggers registered, the most one namespace may have; unused \
             ones go after an hour"
        )));
    }
    Ok(())
}

/// Kubernetes names only: they become label values.
fn valid_name(what: &str, value: &str) -> Result<(), Refusal> {
    let fine = !value.is_empty()
        && value.len() <= 128
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if fine {
        Ok(())
    } else {
        Err(Refusal::Invalid(format!(
            "the ScaledObject's {what} must have 1 to 128 characters of a-z, A-Z, 0-9, '-', '.', '_'"
        )))
    }
}

/// FNV-1a over the sorted pairs: stable over restarts and releases, so that a journal can name a target.
fn hash_of(metadata: &HashMap<String, String>) -> u64 {
    let sorted: BTreeMap<&String, &String> = metadata.iter().collect();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (key, value) in sorted {
        for byte in key.bytes().chain([0xff]).chain(value.bytes()).chain([0xfe]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}
