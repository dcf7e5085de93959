//! The `sources` of the configuration, with what inline metadata may name.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event_hubs;
use super::keys::Place;
use super::redis;
use super::table::{AllowKeys, EventHubsKeys, RedisKeys, SourceKeys};
use super::types::{AllowRule, SourceConfig, SourceKind};

/// Reading a Redis stream costs next to nothing, …
const REDIS_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// … while management calls have a quota and checkpoint reads are billed.
const EVENT_HUBS_POLL_INTERVAL: Duration = Duration::from_secs(15);

/// The sources found.
#[derive(Default)]
pub(super) struct ReadSources {
    /// Those without fault.
    pub valid: Vec<SourceConfig>,
    /// Every name written, faulty sources included, so that one fault is not reported twice.
    pub names: BTreeSet<String>,
}

impl ReadSources {
    /// The source of that name, if it is without fault.
    pub fn valid(&self, name: &str) -> Option<&SourceConfig> {
        self.valid.iter().find(|source| source.name == name)
    }
}

/// Reads all sources. `poll_interval` is what the file says for all of them.
pub(super) fn read(
    listed: Option<Vec<Option<SourceKeys>>>,
    poll_interval: Option<Duration>,
    place: &mut Place<'_>,
) -> ReadSources {
    let mut found = ReadSources::default();
    if listed.as_ref().is_some_and(Vec::is_empty) {
        place.fault("is empty: add at least one source");
    }
    for (n, keys) in listed.into_iter().flatten().enumerate() {
        let source = keys.and_then(|keys| {
            read_source(keys, &mut found.names, poll_interval, &mut place.item(n))
        });
        found.valid.extend(source);
    }
    found
}

fn read_source(
    keys: SourceKeys,
    names: &mut BTreeSet<String>,
    poll_interval: Option<Duration>,
    place: &mut Place<'_>,
) -> Option<SourceConfig> {
    let name = unique(keys.name, names, place);
    let kind = read_kind(keys.redis, keys.event_hubs, place);
    let poll_interval = keys.poll_interval.or(poll_interval);
    Some(SourceConfig {
        name: name?,
        poll_interval: poll_interval.unwrap_or(match kind {
            Some(SourceKind::EventHubs(_)) => EVENT_HUBS_POLL_INTERVAL,
            _ => REDIS_POLL_INTERVAL,
        }),
        kind: kind?,
        allow: keys
            .allow
            .into_iter()
            .flatten()
            .flatten()
            .map(rule)
            .collect(),
    })
}

/// A name that must be new.
pub(super) fn unique(
    name: Option<String>,
    names: &mut BTreeSet<String>,
    place: &mut Place<'_>,
) -> Option<String> {
    let name = name?;
    if !names.insert(name.clone()) {
        place.fault_at(
            "name",
            format!("{name:?} is already in use: choose a unique name"),
        );
    }
    Some(name)
}

/// One optional section per kind, and exactly one of them.
fn read_kind(
    redis: Option<RedisKeys>,
    event_hubs: Option<EventHubsKeys>,
    place: &mut Place<'_>,
) -> Option<SourceKind> {
    match (redis, event_hubs) {
        (Some(_), Some(_)) => {
            let text = "cannot be used together with redis: split it into two sources";
            place.fault_at("event_hubs", text);
            None
        }
        (Some(redis), None) => redis::config(redis, &mut place.at("redis"))
            .map(|redis| SourceKind::Redis(Box::new(redis))),
        (None, Some(hub)) => event_hubs::config(hub, &mut place.at("event_hubs"))
            .map(|hub| SourceKind::EventHubs(Box::new(hub))),
        (None, None) => {
            if !place.is_faulty("redis") && !place.is_faulty("event_hubs") {
                place.fault(
                    "has neither redis nor event_hubs: add redis: { url: redis://host:6379/0 } or event_hubs: { … }",
                );
            }
            None
        }
    }
}

fn rule(keys: AllowKeys) -> AllowRule {
    AllowRule {
        namespaces: keys.namespaces.unwrap_or_default(),
        streams: keys.streams.unwrap_or_default(),
        consumer_groups: keys.consumer_groups.unwrap_or_default(),
    }
}
