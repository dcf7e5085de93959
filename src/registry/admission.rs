//! Who is let in: names that may become labels, and room for more.

use crate::config::metadata::{MetadataErrors, TriggerRequest};
use crate::config::resolve::ResolveError;
use crate::group::event::TargetKey;

use super::{Inner, succession};

/// Targets that ScaledObjects may have registered at a time.
pub const MOST_TARGETS: usize = 2_000;
/// … of one namespace.
pub const MOST_TARGETS_PER_NAMESPACE: usize = 50;

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

pub(super) fn check_room(inner: &Inner, namespace: &str) -> Result<(), Refusal> {
    let of_namespace = inner
        .targets
        .keys()
        .filter(|key| key.namespace == namespace)
        .count();
    if inner.targets.len() >= MOST_TARGETS {
        return Err(Refusal::Full(format!(
            "{MOST_TARGETS} triggers are registered, which is the limit; unused ones expire after an hour"
        )));
    }
    if of_namespace >= MOST_TARGETS_PER_NAMESPACE {
        return Err(Refusal::Full(format!(
            "namespace {namespace} has {MOST_TARGETS_PER_NAMESPACE} triggers registered, which is the limit per \
             namespace; unused ones expire after an hour"
        )));
    }
    Ok(())
}

/// Whether the trigger would be served as things are.
pub(super) fn check(
    inner: &Inner,
    key: &TargetKey,
    request: &TriggerRequest,
) -> Result<(), Refusal> {
    let resolved = inner.config.resolve(request, &key.namespace)?;
    let spec = resolved.settings.resolve();
    let heritage = succession::heritage(inner, key, &resolved.key, &spec);
    match heritage.replaces {
        None => check_room(inner, &key.namespace),
        Some(_) => Ok(()),
    }
}
