//! From a trigger's request to what is observed: the group of the config, or an inline one that the rules allow.

use std::time::Duration;

use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::policy::spec::PolicySettings;

use super::allow::allowed;
use super::metadata::{MetadataErrors, Subject, TriggerRequest};
use super::types::{Config, GroupConfig};

/// What a trigger's target rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedTarget {
    /// The `group` label: the config's name, or `source/stream/consumerGroup`.
    pub group: String,
    /// What is observed.
    pub key: GroupKey,
    /// The stream, expanded.
    pub selector: StreamSelector,
    /// How often it is polled.
    pub poll_interval: Duration,
    /// The metadata's settings over the config's, checked.
    pub settings: PolicySettings,
}

/// Why a trigger cannot be served as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The metadata is wrong, alone or together with the config (INVALID_ARGUMENT).
    #[error(transparent)]
    Metadata(#[from] MetadataErrors),
    /// The source's `allow` rules do not cover the request (PERMISSION_DENIED).
    #[error(
        "namespace {namespace} may not name this stream and consumer group of the source: ask for a rule under the \
         source's allow in streamgauge's config, or use a group of the config"
    )]
    NotAllowed {
        /// The ScaledObject's namespace.
        namespace: String,
    },
}

impl Config {
    /// What a request of a ScaledObject in `namespace` rests on. An inline request for the very source, stream and
    /// consumer group of a configured group is that group; any other needs a rule.
    ///
    /// # Errors
    /// No such group or source, settings that contradict the config's, or no rule that allows it.
    pub fn resolve(
        &self,
        request: &TriggerRequest,
        namespace: &str,
    ) -> Result<ResolvedTarget, ResolveError> {
        match &request.subject {
            Subject::Named(name) => {
                let group = self.groups.iter().find(|group| group.name == *name);
                of_group(group.ok_or_else(|| unknown("group"))?, request)
            }
            Subject::Inline {
                source,
                stream,
                selector,
                consumer_group,
            } => {
                let key = GroupKey {
                    source: source.clone(),
                    stream: stream.clone(),
                    consumer_group: consumer_group.clone(),
                };
                match self.groups.iter().find(|group| group.key == key) {
                    Some(group) => of_group(group, request),
                    None => self.of_inline(key, selector, request, namespace),
                }
            }
        }
    }

    fn of_inline(
        &self,
        key: GroupKey,
        selector: &StreamSelector,
        request: &TriggerRequest,
        namespace: &str,
    ) -> Result<ResolvedTarget, ResolveError> {
        let source = self.sources.iter().find(|source| source.name == key.source);
        let source = source.ok_or_else(|| unknown("source"))?;
        if !allowed(&source.allow, namespace, &key.stream, &key.consumer_group) {
            return Err(ResolveError::NotAllowed {
                namespace: super::label::shown(namespace),
            });
        }
        Ok(ResolvedTarget {
            group: key.to_string(),
            key,
            selector: selector.clone(),
            poll_interval: source.poll_interval,
            settings: request.settings_over(&PolicySettings::default())?,
        })
    }
}

fn of_group(group: &GroupConfig, request: &TriggerRequest) -> Result<ResolvedTarget, ResolveError> {
    Ok(ResolvedTarget {
        group: group.name.clone(),
        key: group.key.clone(),
        selector: group.selector.clone(),
        poll_interval: group.poll_interval,
        settings: request.settings_over(&group.policy)?,
    })
}

fn unknown(key: &'static str) -> ResolveError {
    MetadataErrors::single(
        key,
        "there is none of that name in streamgauge's config: check the spelling or add it",
    )
    .into()
}
