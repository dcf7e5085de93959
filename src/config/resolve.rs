//! From a trigger's request to what is observed: the group of the config, or an inline one that the rules allow.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::policy::spec::{Measure, Mode, PolicySettings};

use super::allow::{allowed, allowed_of_hub};
use super::groups::{DEFAULT_HUB_GROUP, hub_group};
use super::metadata::keda::DEFAULT_COUNT;
use super::metadata::keda::KedaServers;
use super::metadata::{MetadataErrors, TriggerRequest, TriggerSubject};
use super::stream::{self, NamedStream};
use super::types::{
    CheckpointStrategy, Config, GroupConfig, RedisAddress, RedisServers, SourceConfig, SourceKind,
};

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
        "namespace {namespace} may not use this stream and consumer group of the source: ask for a rule under the \
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
            TriggerSubject::Named(name) => {
                let group = self.groups.iter().find(|group| group.name == *name);
                self.of_group(group.ok_or_else(|| unknown("group"))?, request)
            }
            TriggerSubject::Inline {
                source,
                stream,
                consumer_group,
            } => {
                let source = self.source(source).ok_or_else(|| unknown("source"))?;
                self.inline(
                    source,
                    (stream.as_ref(), consumer_group.as_deref()),
                    request,
                    namespace,
                )
            }
            TriggerSubject::AtServers {
                servers,
                stream,
                consumer_group,
            } => {
                let source = self.source_at(servers)?;
                self.inline(
                    source,
                    (stream.as_ref(), consumer_group.as_deref()),
                    request,
                    namespace,
                )
            }
        }
    }

    fn inline(
        &self,
        source: &SourceConfig,
        (stream, consumer_group): (Option<&NamedStream>, Option<&str>),
        request: &TriggerRequest,
        namespace: &str,
    ) -> Result<ResolvedTarget, ResolveError> {
        let request = &with_keda_s_default(source, request, consumer_group);
        let counts_length = request.measure() == Some(Measure::StreamLength);
        let (key, selector) = inline_key(source, stream, consumer_group, counts_length)?;
        let is_hub = source.kind.event_hub().is_some();
        let is_it = |group: &&GroupConfig| is_same(&group.key, &key, is_hub);
        match self.groups.iter().find(is_it) {
            Some(group) => self.of_group(group, request),
            None => of_inline(source, key, selector, request, namespace),
        }
    }

    /// The source on those servers and that database. Of a cluster, or of sentinels, each may list others.
    fn source_at(&self, named: &KedaServers) -> Result<&SourceConfig, MetadataErrors> {
        let is_it = |source: &&SourceConfig| match &source.kind {
            SourceKind::Redis(redis) => {
                let is_named = |at: &RedisAddress| {
                    let is_at = |named: &RedisAddress| {
                        at.host.eq_ignore_ascii_case(&named.host) && at.port == named.port
                    };
                    named.addresses.iter().any(is_at)
                };
                let is_one = matches!(redis.servers, RedisServers::Standalone(_));
                redis.servers.addresses().iter().any(is_named)
                    && !(is_one && named.addresses.len() > 1)
                    && redis.database == named.database
                    && redis.servers.master() == named.master.as_deref()
            }
            SourceKind::EventHubs(_) => false,
        };
        let mut found = self.sources.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(source), None) => Ok(source),
            (None, _) => Err(MetadataErrors::single("address", NO_SUCH_SERVER)),
            (Some(_), Some(_)) => Err(MetadataErrors::single("address", SEVERAL_SOURCES)),
        }
    }

    /// The mode of the configured group that trigger metadata names, or KEDA's for its kind of source, whatever else is wrong
    /// with it.
    pub fn mode_of_group(&self, metadata: &HashMap<String, String>) -> Option<Mode> {
        let text = |key: &str| metadata.get(key).map(String::as_str);
        let is_named = |group: &&GroupConfig| match text("group") {
            Some(name) => group.name == name,
            None => {
                let key = &group.key;
                let source = self.source(&key.source);
                let is_hub = source.is_some_and(|source| source.kind.event_hub().is_some());
                let by_default = is_hub.then_some(DEFAULT_HUB_GROUP);
                let named = GroupKey {
                    source: text("source").unwrap_or_default().to_owned(),
                    stream: text("stream").unwrap_or(&key.stream).to_owned(),
                    consumer_group: text("consumerGroup")
                        .or(by_default)
                        .unwrap_or_default()
                        .to_owned(),
                };
                is_same(key, &named, is_hub)
            }
        };
        if let Some(group) = self.groups.iter().find(is_named) {
            return group.policy.mode;
        }
        let source = self.source(text("source")?)?;
        let counts_length = source.kind.event_hub().is_none()
            && text("stream").is_some()
            && text("consumerGroup").is_none();
        counts_length.then_some(LENGTH_BY_DEFAULT)
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&SourceConfig> {
        self.sources.iter().find(|source| source.name == name)
    }

    fn of_group(
        &self,
        group: &GroupConfig,
        request: &TriggerRequest,
    ) -> Result<ResolvedTarget, ResolveError> {
        if let Some(source) = self.source(&group.key.source) {
            agree(source, request)?;
        }
        Ok(ResolvedTarget {
            group: group.name.clone(),
            key: group.key.clone(),
            selector: group.selector.clone(),
            poll_interval: group.poll_interval,
            settings: request.settings_over(&group.policy)?,
        })
    }
}

/// Whether two keys mean the same: Event Hubs ignores the case of names.
fn is_same(one: &GroupKey, other: &GroupKey, is_hub: bool) -> bool {
    if !is_hub {
        return one == other;
    }
    let groups = [one, other].map(|key| hub_group(&key.consumer_group).to_ascii_lowercase());
    one.source == other.source
        && one.stream.eq_ignore_ascii_case(&other.stream)
        && groups[0] == groups[1]
}

/// For KEDA a Redis stream without a consumer group counts its length, whatever else it names but `streamLength`; ours need a group.
fn with_keda_s_default(
    source: &SourceConfig,
    request: &TriggerRequest,
    consumer_group: Option<&str>,
) -> TriggerRequest {
    let mut request = request.clone();
    let has_nothing = request.settings == PolicySettings::default();
    let counts_group = matches!(request.measure(), Some(Measure::Lag | Measure::Pending));
    let is_kedas = has_nothing || counts_group;
    if source.kind.event_hub().is_none() && consumer_group.is_none() && is_kedas {
        request.settings.mode = Some(LENGTH_BY_DEFAULT);
    }
    request
}

const LENGTH_BY_DEFAULT: Mode = Mode::Backlog {
    threshold: DEFAULT_COUNT,
    measure: Measure::StreamLength,
};

fn of_inline(
    source: &SourceConfig,
    key: GroupKey,
    selector: StreamSelector,
    request: &TriggerRequest,
    namespace: &str,
) -> Result<ResolvedTarget, ResolveError> {
    let (stream, group) = (&key.stream, &key.consumer_group);
    let is_allowed = match source.kind.event_hub() {
        Some(_) => allowed_of_hub(&source.allow, namespace, stream, group),
        None => allowed(&source.allow, namespace, stream, group),
    };
    if !is_allowed {
        return Err(ResolveError::NotAllowed {
            namespace: super::label::shown(namespace),
        });
    }
    agree(source, request)?;
    Ok(ResolvedTarget {
        group: key.to_string(),
        key,
        selector,
        poll_interval: source.poll_interval,
        settings: request.settings_over(&source.kind.default_policy())?,
    })
}

/// What is observed, by the names that this kind of source needs.
fn inline_key(
    source: &SourceConfig,
    stream: Option<&NamedStream>,
    consumer_group: Option<&str>,
    counts_length_only: bool,
) -> Result<(GroupKey, StreamSelector), MetadataErrors> {
    let hub = source.kind.event_hub();
    let named = match (hub, stream) {
        (Some(hub), stream) => {
            let text = stream.map(|stream| stream.text.as_str());
            stream::of_event_hub(&hub.event_hub, text)
                .map_err(|fault| MetadataErrors::single("stream", &fault))?
        }
        (None, Some(stream)) => stream.clone(),
        (None, None) => {
            let advice = "is missing: set it to a key, a pattern such as orders:*, or a template such as orders:{0..15}";
            return Err(MetadataErrors::single("stream", advice));
        }
    };
    let consumer_group = match (consumer_group, hub) {
        (Some(name), Some(_)) => hub_group(name),
        (Some(name), None) => name.to_owned(),
        (None, Some(_)) => DEFAULT_HUB_GROUP.to_owned(),
        (None, None) if counts_length_only => String::new(),
        (None, None) => {
            let advice = "is missing: only streamLength works without a consumer group";
            return Err(MetadataErrors::single("consumerGroup", advice));
        }
    };
    let key = GroupKey {
        source: source.name.clone(),
        stream: named.text,
        consumer_group,
    };
    Ok((key, named.selector))
}

/// KEDA's keys must fit the kind of source, and say of its checkpoints what the config says.
fn agree(source: &SourceConfig, request: &TriggerRequest) -> Result<(), MetadataErrors> {
    let fault = |key: &str, text: &str| Err(MetadataErrors::single(key, text));
    let claims = &request.checkpoints;
    let counts = request.measure();
    let Some(hub) = source.kind.event_hub() else {
        return match counts {
            _ if claims.container.is_some() => fault("blobContainer", NOT_A_HUB),
            _ if claims.strategy.is_some() => fault("checkpointStrategy", NOT_A_HUB),
            Some(Measure::UnprocessedEvents) => fault(
                "unprocessedEventThreshold",
                "is for event hubs, but the source is Redis: use lagCount or backlogThreshold",
            ),
            _ => Ok(()),
        };
    };
    let redis_key = match counts {
        Some(Measure::Lag) => Some("lagCount"),
        Some(Measure::Pending) => Some("pendingEntriesCount"),
        Some(Measure::StreamLength) => Some("streamLength"),
        Some(Measure::Backlog | Measure::UnprocessedEvents) | None => None,
    };
    if let Some(key) = redis_key {
        return fault(
            key,
            "is for Redis streams, but the source is an event hub: use unprocessedEventThreshold or backlogThreshold",
        );
    }
    let checkpoints = &hub.checkpoints;
    let container = claims.container.as_deref();
    if container.is_some_and(|claimed| claimed != checkpoints.container_name()) {
        return fault("blobContainer", NOT_THE_SOURCES);
    }
    // Whatever the claim, `auto` reads what is there.
    let finds_itself = checkpoints.strategy == CheckpointStrategy::Auto;
    let is_other = |claimed| claimed != checkpoints.strategy;
    if !finds_itself && claims.strategy.is_some_and(is_other) {
        return fault("checkpointStrategy", NOT_THE_SOURCES);
    }
    Ok(())
}

const NO_SUCH_SERVER: &str =
    "no source in streamgauge's config uses this server and database: add one under sources";
const SEVERAL_SOURCES: &str = "several sources in streamgauge's config use this server and database: set source to one of them, and remove the address";
const NOT_A_HUB: &str = "is for event hubs, but the source is Redis: remove it";
const NOT_THE_SOURCES: &str =
    "differs from the source in streamgauge's config: remove it, or use another source";

fn unknown(key: &'static str) -> ResolveError {
    let text =
        format!("streamgauge's config has no {key} of that name: check the spelling, or add it");
    MetadataErrors::single(key, &text).into()
}

#[cfg(test)]
mod tests;
