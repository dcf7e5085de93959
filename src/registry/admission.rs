//! Who is let in: names that may become labels, and room for more.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::metadata::{MetadataErrors, TriggerRequest};
use crate::config::resolve::{ResolveError, ResolvedTarget};
use crate::group::event::TargetKey;
use crate::model::stream::StreamSelector;
use crate::policy::spec::TargetSpec;
use crate::publish::room::{Claim, RoomWanted};

use super::{Inner, Target, succession};

/// Triggers of one object that are served at a time.
const MOST_TRIGGERS: usize = 32;

/// Why a trigger is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The metadata is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The config does not let this namespace name that stream.
    #[error("{0}")]
    NotAllowed(String),
    /// A limit is reached.
    #[error("{0}")]
    Full(String),
}

impl From<MetadataErrors> for Refusal {
    fn from(errors: MetadataErrors) -> Self {
        Self::Invalid(errors.to_string())
    }
}

impl From<ResolveError> for Refusal {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Metadata(errors) => errors.into(),
            ResolveError::NotAllowed { .. } => Self::NotAllowed(error.to_string()),
        }
    }
}

/// Kubernetes names only: they become label values.
pub(super) fn check_names(key: &TargetKey) -> Result<(), Refusal> {
    for (what, value) in [("namespace", &key.namespace), ("name", &key.name)] {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if value.is_empty() || value.len() > 128 || !value.bytes().all(plain) {
            return Err(Refusal::Invalid(format!(
                "the ScaledObject's {what} must have 1 to 128 characters of a-z, A-Z, 0-9, '-', '.', '_'"
            )));
        }
    }
    Ok(())
}

/// A trigger that is let in.
pub(super) struct Admitted {
    pub resolved: ResolvedTarget,
    pub spec: TargetSpec,
    /// Its former wording, and others of its object that make room for it.
    pub replaces: Vec<Arc<Target>>,
    /// Whose memory it continues with.
    pub inherits: Option<TargetKey>,
    /// Its place among the triggers of its object.
    pub ordinal: u64,
}

/// Whether the trigger is served as things are, and in whose place.
pub(super) fn admit(
    inner: &Inner,
    key: &TargetKey,
    request: &TriggerRequest,
) -> Result<Admitted, Refusal> {
    let resolved = inner.config.resolve(request, &key.namespace)?;
    let spec = resolved.settings.resolve();
    let heritage = succession::heritage(inner, key, &resolved.key, &spec);
    let was = heritage.replaces.as_ref().map(|old| old.ordinal);
    let was = was.or_else(|| inner.replaced.get(key).map(|replaced| replaced.ordinal));
    let mut replaces = Vec::from_iter(heritage.replaces);
    let mut yielding = succession::yielding(inner, key)
        .into_iter()
        .filter(|old| !replaces.iter().any(|other| Arc::ptr_eq(other, old)))
        .collect::<Vec<_>>()
        .into_iter();
    while let Err(full) = check_room(inner, key, &resolved, &replaces) {
        replaces.push(yielding.next().ok_or(full)?);
    }
    Ok(Admitted {
        ordinal: was.unwrap_or(inner.registered + 1),
        inherits: heritage.inherits,
        resolved,
        spec,
        replaces,
    })
}

fn check_room(
    inner: &Inner,
    key: &TargetKey,
    resolved: &ResolvedTarget,
    freed: &[Arc<Target>],
) -> Result<(), Refusal> {
    let is_freed = |target: &&Arc<Target>| freed.iter().any(|old| Arc::ptr_eq(old, target));
    let targets = || inner.targets.values().filter(|target| !is_freed(target));
    check_objects(inner, key)?;
    check_triggers(key, targets())?;
    let group = inner.groups.get(&resolved.key);
    if group.is_some_and(|group| group.definition().configured) {
        return Ok(());
    }
    let inline = || targets().filter(|target| !target.group.definition().configured);
    let patterns: HashSet<_> = inline()
        .filter(|target| target.key.namespace == key.namespace && target.has_pattern())
        .map(|target| &target.group.definition().key)
        .collect();
    let allowed = inner.config.limits.patterns_per_namespace;
    let is_new = !patterns.contains(&resolved.key);
    if is_pattern(&resolved.selector) && is_new && patterns.len() >= allowed {
        return Err(Refusal::Full(format!(
            "namespace {} has {allowed} patterns, which is the limit (limits.patterns_per_namespace): raise it, list the \
             streams, or have the group put into the config",
            key.namespace
        )));
    }
    let is_asked_for = |old: &&Arc<Target>| inline().any(|t| Arc::ptr_eq(&t.group, &old.group));
    let is_inline = |old: &&Arc<Target>| !old.group.definition().configured;
    let unused = freed
        .iter()
        .filter(|old| is_inline(old) && !is_asked_for(old));
    let unused: Vec<&Claim> = unused.map(|old| old.group.claim()).collect();
    let wanted = RoomWanted {
        namespace: &key.namespace,
        partitions: resolved.selector.listed(),
        of: group.map(|group| group.claim()),
    };
    let room = inner.room.check(wanted, &unused);
    room.map_err(|no_room| Refusal::Full(no_room.to_string()))
}

/// A quota is one of objects: how often they are edited, and how many triggers they have, is their own affair within reason. One that
/// is known is served on, whatever the limits are by now.
fn check_objects(inner: &Inner, key: &TargetKey) -> Result<(), Refusal> {
    let of = inner.targets.keys();
    let objects: HashSet<(&str, &str)> = of.map(|key| (&*key.namespace, &*key.name)).collect();
    if objects.contains(&(&*key.namespace, &*key.name)) {
        return Ok(());
    }
    let limits = &inner.config.limits;
    if objects.len() >= limits.scaled_objects {
        return Err(Refusal::Full(format!(
            "{} ScaledObjects are registered, which is the limit (limits.scaled_objects): raise it; unused ones expire \
             after an hour",
            objects.len()
        )));
    }
    let of_namespace = objects.iter().filter(|(of, _)| *of == key.namespace);
    let of_namespace = of_namespace.count();
    if of_namespace >= limits.scaled_objects_per_namespace {
        return Err(Refusal::Full(format!(
            "namespace {} has {of_namespace} ScaledObjects registered, which is the limit \
             (limits.scaled_objects_per_namespace): raise it; unused ones expire after an hour",
            key.namespace
        )));
    }
    Ok(())
}

fn check_triggers<'a>(
    key: &TargetKey,
    targets: impl Iterator<Item = &'a Arc<Target>>,
) -> Result<(), Refusal> {
    let is_of_it = |of: &TargetKey| of.namespace == key.namespace && of.name == key.name;
    let of_it = targets.filter(|target| is_of_it(&target.key));
    if of_it.count() < MOST_TRIGGERS {
        return Ok(());
    }
    Err(Refusal::Full(format!(
        "the ScaledObject has {MOST_TRIGGERS} triggers here, which is the limit: split it"
    )))
}

const fn is_pattern(selector: &StreamSelector) -> bool {
    matches!(selector, StreamSelector::Pattern(_))
}

impl Target {
    pub(super) fn has_pattern(&self) -> bool {
        is_pattern(&self.group.definition().selector)
    }
}
