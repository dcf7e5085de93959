//! The `groups` of the configuration with their policies.

use std::collections::BTreeSet;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::model::identity::{Assignment, GroupKey};
use crate::policy::forecast::Forecasting;
use crate::policy::spec::{Measure, Mode, PolicySettings};

use super::label::label_fault;
use super::section::Section;
use super::signals;
use super::sources::{Sources, read_name};
use super::stream::{self, NamedStream};
use super::types::{EventHubsConfig, Granularity, GroupConfig};

/// The words for the mode, in config and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModeWord {
    Replicas,
    Backlog,
    Jobs,
}

/// The consumer group that every event hub has.
pub(super) const DEFAULT_HUB_GROUP: &str = "$Default";

/// What must be unique across groups.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    keys: BTreeSet<GroupKey>,
}

/// Reads all groups; none is fine, ScaledObjects may then name streams inline. `asks` is whether PromQL can be asked.
pub(super) fn read(root: &mut Section<'_>, sources: &Sources, asks: bool) -> Vec<GroupConfig> {
    let mut seen = Seen::default();
    let items = root.items("groups").unwrap_or_default();
    let mut groups = Vec::with_capacity(items.len());
    for (path, item) in items {
        if let Some(section) = Section::open(path, item, root.problems()) {
            groups.extend(read_group(section, sources, asks, &mut seen));
        }
    }
    groups
}

fn read_group(
    mut section: Section<'_>,
    sources: &Sources,
    asks: bool,
    seen: &mut Seen,
) -> Option<GroupConfig> {
    let name = read_name(&mut section, &mut seen.names, "give the group a name");
    let source = read_source_name(&mut section, sources);
    let known = source.as_deref().and_then(|name| sources.valid(name));
    let hub = known.and_then(|source| source.kind.event_hub());
    let stream = read_stream(&mut section, hub);
    let consumer_group = read_consumer_group(&mut section, hub.is_some());
    let poll_interval = section.poll_interval();
    let words = [
        ("partition", Granularity::Partition),
        ("group", Granularity::Group),
    ];
    let granularity = section.word("granularity", &words).unwrap_or_default();
    let policy = read_policy(&mut section);
    let signals = signals::read_signals(&mut section, asks, hub.is_none());
    let policy = known.map_or(policy.clone(), |source| {
        policy.over(&source.kind.default_policy())
    });
    let poll_interval = poll_interval
        .or(known.map(|source| source.poll_interval))
        .unwrap_or(Duration::from_secs(5));
    let key = |(source, (stream, consumer_group)): (String, (&NamedStream, String))| GroupKey {
        source,
        stream: stream.text.clone(),
        consumer_group,
    };
    let key = source.zip(stream.as_ref().zip(consumer_group)).map(key);
    let group = name
        .zip(key)
        .zip(stream)
        .map(|((name, key), stream)| GroupConfig {
            name,
            key,
            selector: stream.selector,
            poll_interval,
            policy,
            signals,
            granularity,
        });
    let identity = |key: &GroupKey| match hub {
        // Event Hubs ignores the case of names.
        Some(_) => GroupKey {
            consumer_group: key.consumer_group.to_ascii_lowercase(),
            ..key.clone()
        },
        None => key.clone(),
    };
    if let Some(group) = &group
        && !seen.keys.insert(identity(&group.key))
    {
        section.problem(
            "",
            "has the same source, stream and consumer_group as another group: remove one of them",
        );
    }
    section.finish();
    group
}

fn read_source_name(section: &mut Section<'_>, sources: &Sources) -> Option<String> {
    let name = section.required_text("source", "name one of the sources")?;
    if !sources.names.contains(&name) {
        let known: Vec<&str> = sources.names.iter().map(String::as_str).collect();
        let known = known.join(", ");
        section.problem(
            "source",
            format!("there is no source {name:?}; sources: {known}"),
        );
    }
    Some(name)
}

fn read_stream(section: &mut Section<'_>, hub: Option<&EventHubsConfig>) -> Option<NamedStream> {
    if let Some(hub) = hub {
        let named = section.text("stream");
        let found = stream::of_event_hub(&hub.event_hub, named.as_deref());
        return found.map_err(|fault| section.problem("stream", fault)).ok();
    }
    let Some(value) = section.take("stream") else {
        section.problem(
            "stream",
            "is missing: a key, a pattern \"orders:*\", a template \"orders:{0..15}\", or a list of keys",
        );
        return None;
    };
    let found = stream::read(&value);
    found.map_err(|fault| section.problem("stream", fault)).ok()
}

fn read_consumer_group(section: &mut Section<'_>, of_hub: bool) -> Option<String> {
    if of_hub && !section.has("consumer_group") {
        section.take("consumer_group");
        return Some(DEFAULT_HUB_GROUP.to_owned());
    }
    let name = section.required_text(
        "consumer_group",
        "name the consumer group whose backlog counts",
    )?;
    if name.is_empty() {
        section.problem(
            "consumer_group",
            "is empty: name the consumer group whose backlog counts",
        );
    } else if let Some(fault) = label_fault(&name) {
        section.problem("consumer_group", fault);
    }
    Some(if of_hub { hub_group(&name) } else { name })
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
fn read_policy(group: &mut Section<'_>) -> PolicySettings {
    let assignment = group.word(
        "assignment",
        &[
            ("shared", Assignment::Shared),
            ("exclusive", Assignment::Exclusive),
        ],
    );
    let consumers_per_replica = group.whole("consumers_per_replica");
    if consumers_per_replica == Some(0) {
        group.problem("consumers_per_replica", "must be at least 1");
    }
    let mut settings = PolicySettings::default();
    if let Some(mut section) = group.section("policy") {
        settings = read_settings(&mut section);
        for (key, text) in problems(&settings) {
            section.problem(key, text);
        }
        section.finish();
    }
    PolicySettings {
        assignment,
        consumers_per_replica,
        ..settings
    }
}

fn read_settings(section: &mut Section<'_>) -> PolicySettings {
    let word = section.word(
        "mode",
        &[
            ("replicas", ModeWord::Replicas),
            ("backlog", ModeWord::Backlog),
            ("jobs", ModeWord::Jobs),
        ],
    );
    let threshold = section.whole("backlog_threshold");
    let mode = mode(word, threshold, Measure::Backlog).unwrap_or_else(|(key, text)| {
        section.problem(key, text);
        None
    });
    PolicySettings {
        mode,
        target_delay: section.duration("target_delay"),
        capacity_per_replica: section.number("capacity_per_replica"),
        min_replicas: section.whole("min_replicas"),
        max_replicas: section.whole("max_replicas"),
        activation_backlog: section.whole("activation_backlog"),
        activation_window: section.duration("activation_window"),
        scale_in_hold: section.duration("scale_in_hold"),
        forecast: section.word("forecast", &Forecasting::WORDS),
        assignment: None,
        consumers_per_replica: None,
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
            "has no meaning in mode replicas: remove it, or set mode to backlog",
        )),
        (Some(ModeWord::Jobs), Some(_)) => Err((
            "backlog_threshold",
            "has no meaning in mode jobs: remove it, or set mode to backlog",
        )),
        (Some(ModeWord::Backlog), None) => Err((
            "mode",
            "backlog needs backlog_threshold, the messages per replica",
        )),
        (_, Some(threshold)) => Ok(Some(Mode::Backlog { threshold, measure })),
    }
}

/// What is wrong with settings, the defaults of what they leave open included.
pub(super) fn problems(settings: &PolicySettings) -> Vec<(&'static str, String)> {
    let mut found = settings.problems();
    let default_max = PolicySettings::default().resolve().max_replicas;
    if let (Some(min), None) = (settings.min_replicas, settings.max_replicas)
        && min > default_max
    {
        found.push((
            "min_replicas",
            format!("is above the default max_replicas of {default_max}: set max_replicas, too"),
        ));
    }
    found
}
