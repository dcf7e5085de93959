//! The `sources` of the configuration, with what inline metadata may name.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_yaml::Value;

use super::error::Problem;
use super::event_hubs;
use super::label::{NAME, is_name};
use super::redis;
use super::section::Section;
use super::types::{AllowRule, SourceConfig, SourceKind};

/// Reading a Redis stream costs next to nothing, …
const REDIS_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// … while management calls have a quota and checkpoint reads are billed.
const EVENT_HUBS_POLL_INTERVAL: Duration = Duration::from_secs(15);

/// The sources found.
#[derive(Default)]
pub(super) struct Sources {
    /// Those without fault.
    pub valid: Vec<SourceConfig>,
    /// Every name written, faulty sources included, so that one fault is not reported twice.
    pub names: BTreeSet<String>,
}

impl Sources {
    /// The source of that name, if it is without fault.
    pub fn valid(&self, name: &str) -> Option<&SourceConfig> {
        self.valid.iter().find(|source| source.name == name)
    }
}

/// Reads all sources. `poll_interval` is what the file says for all of them.
pub(super) fn read(root: &mut Section<'_>, poll_interval: Option<Duration>) -> Sources {
    let mut found = Sources::default();
    let listed = root.path_of("sources");
    let items = root.items("sources").unwrap_or_default();
    if items.is_empty() && !root.problems().iter().any(|p| p.path == listed) {
        root.problem("sources", "is missing: name at least one source");
    }
    for (path, item) in items {
        let Some(section) = Section::open(path, item, root.problems()) else {
            continue;
        };
        found
            .valid
            .extend(read_source(section, &mut found.names, poll_interval));
    }
    found
}

fn read_source(
    mut section: Section<'_>,
    names: &mut BTreeSet<String>,
    poll_interval: Option<Duration>,
) -> Option<SourceConfig> {
    let name = read_name(&mut section, names, "give the source a name");
    let poll_interval = section.poll_interval().or(poll_interval);
    let kind = read_kind(&mut section);
    let allow = read_allow(&mut section);
    section.finish();
    Some(SourceConfig {
        name: name?,
        poll_interval: poll_interval.unwrap_or(match kind {
            Some(SourceKind::EventHubs(_)) => EVENT_HUBS_POLL_INTERVAL,
            _ => REDIS_POLL_INTERVAL,
        }),
        kind: kind?,
        allow,
    })
}

/// Reads a `name` that must be valid and new.
pub(super) fn read_name(
    section: &mut Section<'_>,
    names: &mut BTreeSet<String>,
    advice: &str,
) -> Option<String> {
    let name = section.required_text("name", advice)?;
    if !is_name(&name) {
        section.problem("name", NAME);
    } else if !names.insert(name.clone()) {
        section.problem("name", format!("{name:?} is taken: names must be unique"));
    }
    Some(name)
}

/// One optional section per kind, and exactly one of them.
fn read_kind(section: &mut Section<'_>) -> Option<SourceKind> {
    match (section.has("redis"), section.has("event_hubs")) {
        (true, true) => {
            section.problem(
                "event_hubs",
                "stands beside redis: a source is one of them, make two sources",
            );
            section.take("redis");
            section.take("event_hubs");
            None
        }
        (true, false) => redis::read(section.section("redis")?).map(SourceKind::Redis),
        (false, true) => event_hubs::read(section.section("event_hubs")?)
            .map(|hub| SourceKind::EventHubs(Box::new(hub))),
        (false, false) => {
            section.take("redis");
            section.take("event_hubs");
            section.problem(
                "",
                "has no kind: add redis: { url: redis://host:6379/0 }, or event_hubs: { … }",
            );
            None
        }
    }
}

fn read_allow(section: &mut Section<'_>) -> Vec<AllowRule> {
    let items = section.items("allow").unwrap_or_default();
    let rules = items.into_iter();
    rules
        .filter_map(|(path, item)| read_rule(path, item, section.problems()))
        .collect()
}

fn read_rule(path: String, item: Value, problems: &mut Vec<Problem>) -> Option<AllowRule> {
    let mut section = Section::open(path, item, problems)?;
    let mut part = |key: &'static str| {
        let before = section.problems().len();
        let texts = section.texts(key).unwrap_or_default();
        if texts.is_empty() && section.problems().len() == before {
            section.problem(
                key,
                "is missing: list what is allowed, or [\"*\"] for everything",
            );
        }
        texts
    };
    let rule = AllowRule {
        namespaces: part("namespaces"),
        streams: part("streams"),
        consumer_groups: part("consumer_groups"),
    };
    section.finish();
    Some(rule)
}
