//! The `groups` of the configuration with their policies.

use std::collections::BTreeSet;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_yaml::Value;

use crate::model::identity::GroupKey;
use crate::policy::spec::{Measure, Mode, PolicySettings};
use crate::policy::tuning::spec::MAX_REPLICAS;

use super::keys::{self, Place};
use super::signals;
use super::sources::{ReadSources, unique};
use super::stream::{self, NamedStream};
use super::table::{ConsumerKeys, GroupKeys, ModeWord, PolicyKeys};
use super::types::{EventHubsConfig, GroupConfig};

/// The consumer group that every event hub has.
pub(super) const DEFAULT_HUB_GROUP: &str = "$Default";

/// What must be unique across groups.
#[derive(Default)]
struct SeenGroups {
    names: BTreeSet<String>,
    keys: BTreeSet<GroupKey>,
}

/// What all groups mean; none is fine, ScaledObjects may then name streams inline. `asks` is whether PromQL can be asked.
pub(super) fn read(
    listed: Option<Vec<Option<GroupKeys>>>,
    sources: &ReadSources,
    asks: bool,
    place: &mut Place<'_>,
) -> Vec<GroupConfig> {
    let mut seen = SeenGroups::default();
    let listed = listed.into_iter().flatten().enumerate();
    let read = |(n, keys): (usize, Option<GroupKeys>)| {
        read_group(keys?, sources, asks, &mut seen, &mut place.item(n))
    };
    listed.filter_map(read).collect()
}

fn read_group(
    keys: GroupKeys,
    sources: &ReadSources,
    asks: bool,
    seen: &mut SeenGroups,
    place: &mut Place<'_>,
) -> Option<GroupConfig> {
    let name = unique(keys.name, &mut seen.names, place);
    check_source(keys.source.as_deref(), sources, place);
    let known = keys.source.as_deref().and_then(|name| sources.valid(name));
    let hub = known.and_then(|source| source.kind.event_hub());
    let stream = read_stream(keys.stream, hub, place);
    let consumer_group = read_consumer_group(keys.consumer_group, hub.is_some(), place);
    let policy = settings(keys.policy, &keys.consumers, place);
    let policy = known.map_or(policy.clone(), |source| {
        policy.over(&source.kind.default_policy())
    });
    let signals = keys
        .signals
        .map(|keys| signals::signals(keys, asks, hub.is_none(), &mut place.at("signals")));
    let stream = stream?;
    let key = GroupKey {
        source: keys.source?,
        stream: stream.text,
        consumer_group: consumer_group?,
    };
    if !seen.keys.insert(identity(&key, hub.is_some())) {
        place.fault(
            "has the same source, stream and consumer_group as another group: remove one of them",
        );
    }
    Some(GroupConfig {
        name: name?,
        key,
        selector: stream.selector,
        poll_interval: keys
            .poll_interval
            .or(known.map(|source| source.poll_interval))
            .unwrap_or(Duration::from_secs(5)),
        policy,
        signals: signals.unwrap_or_default(),
        granularity: keys.granularity,
    })
}

/// What two groups must not have in common. Event Hubs ignores the case of names.
fn identity(key: &GroupKey, of_hub: bool) -> GroupKey {
    let mut key = key.clone();
    if of_hub {
        key.consumer_group.make_ascii_lowercase();
    }
    key
}

fn check_source(name: Option<&str>, sources: &ReadSources, place: &mut Place<'_>) {
    if let Some(name) = name
        && !sources.names.contains(name)
    {
        let known: Vec<&str> = sources.names.iter().map(String::as_str).collect();
        let advice = match &known[..] {
            [] => "add it under sources".to_owned(),
            known => format!("use one of {}", known.join(", ")),
        };
        place.fault_at("source", format!("no source is named {name:?}: {advice}"));
    }
}

fn read_stream(
    value: Option<Value>,
    hub: Option<&EventHubsConfig>,
    place: &mut Place<'_>,
) -> Option<NamedStream> {
    let found = match (hub, value) {
        (Some(hub), None) => stream::of_event_hub(&hub.event_hub, None),
        (Some(hub), Some(Value::String(name))) => stream::of_event_hub(&hub.event_hub, Some(&name)),
        (Some(_), Some(_)) => Err("must be the event hub of the source: remove it".into()),
        (None, Some(value)) => stream::read(&value),
        (None, None) => {
            place.missing(
                "stream",
                "set it to a key, a pattern such as \"orders:*\", a template such as \"orders:{0..15}\", or a list of keys",
            );
            return None;
        }
    };
    found.map_err(|fault| place.fault_at("stream", fault)).ok()
}

fn read_consumer_group(
    name: Option<String>,
    of_hub: bool,
    place: &mut Place<'_>,
) -> Option<String> {
    match (name, of_hub) {
        (Some(name), true) => Some(hub_group(&name)),
        (None, true) => Some(DEFAULT_HUB_GROUP.to_owned()),
        (Some(name), false) => Some(name),
        (None, false) => {
            place.missing(
                "consumer_group",
                "set it to the consumer group whose backlog is to be read",
            );
            None
        }
    }
}

/// A consumer group of an event hub as everybody spells it: some tools percent-encode the `$` of `$Default` or write it in lower
/// case.
pub(super) fn hub_group(name: &str) -> String {
    let decoded = percent_decode_str(name).decode_utf8();
    let plain = decoded.map_or_else(|_| name.to_owned(), |decoded| decoded.into_owned());
    match plain.eq_ignore_ascii_case(DEFAULT_HUB_GROUP) {
        true => DEFAULT_HUB_GROUP.to_owned(),
        false => plain,
    }
}

/// Assignment and consumers stand beside the policy in the file and within it in the program.
fn settings(
    keys: Option<PolicyKeys>,
    consumers: &ConsumerKeys,
    place: &mut Place<'_>,
) -> PolicySettings {
    let mut place = place.at("policy");
    let keys = keys.unwrap_or_else(keys::standard);
    let mode = mode(keys.mode, keys.backlog_threshold, Measure::Backlog);
    let mode = mode.unwrap_or_else(|(key, text)| {
        if !place.is_faulty("backlog_threshold") {
            place.fault_at(key, text);
        }
        None
    });
    let settings = PolicySettings {
        mode,
        ..keys.settings(consumers)
    };
    if let Some((key, text)) = contradiction(&settings) {
        place.fault_at(key, text);
    }
    settings
}

impl PolicyKeys {
    /// The settings, but for the mode: it follows from several keys.
    pub(super) fn settings(&self, consumers: &ConsumerKeys) -> PolicySettings {
        PolicySettings {
            mode: None,
            target_delay: self.target_delay,
            capacity_per_replica: self.capacity_per_replica,
            min_replicas: self.min_replicas,
            max_replicas: self.max_replicas,
            activation_backlog: self.activation_backlog,
            activation_window: self.activation_window,
            scale_in_hold: self.scale_in_hold,
            assignment: consumers.assignment,
            consumers_per_replica: consumers.consumers_per_replica,
            forecast: self.forecast,
        }
    }
}

/// The mode from its word and its threshold. A threshold alone means `backlog`.
pub(super) fn mode(
    word: Option<ModeWord>,
    threshold: Option<u64>,
    measure: Measure,
) -> Result<Option<Mode>, (&'static str, &'static str)> {
    match (word, threshold) {
        (None, None) => Ok(None),
        (Some(ModeWord::Replicas), None) => Ok(Some(Mode::Replicas)),
        (Some(ModeWord::Jobs), None) => Ok(Some(Mode::Jobs)),
        (Some(ModeWord::Replicas), Some(_)) => Err((
            "backlog_threshold",
            "does not apply to mode replicas: remove it, or set mode to backlog",
        )),
        (Some(ModeWord::Jobs), Some(_)) => Err((
            "backlog_threshold",
            "does not apply to mode jobs: remove it, or set mode to backlog",
        )),
        (Some(ModeWord::Backlog), None) => Err((
            "mode",
            "backlog requires backlog_threshold, the messages per replica",
        )),
        (_, Some(threshold)) => Ok(Some(Mode::Backlog { threshold, measure })),
    }
}

/// What is wrong with settings, the defaults of what they leave open included.
pub(super) fn contradiction(settings: &PolicySettings) -> Option<(&'static str, String)> {
    let by_default = || match (settings.min_replicas, settings.max_replicas) {
        (Some(min), None) if min > MAX_REPLICAS => Some((
            "min_replicas",
            format!(
                "is greater than the default max_replicas ({MAX_REPLICAS}): set max_replicas too"
            ),
        )),
        _ => None,
    };
    settings.contradiction().or_else(by_default)
}
