//! The metadata of a ScaledObject's trigger: what is asked for, and with which settings.

mod error;
pub(in crate::config) mod keda;
mod keys;
mod reader;

use std::collections::HashMap;

use crate::model::stream::{StreamError, StreamSelector};
use crate::policy::spec::{Measure, Mode, PolicySettings};

pub use error::{MetadataErrors, MetadataProblem};

use super::allow::is_simple;
use super::groups;
use super::keys::Keys;
use super::label::is_name;
use super::stream::{self, NamedStream};
use super::table::TriggerKeys;
use super::types::CheckpointStrategy;
use keda::KedaServers;
use reader::MetadataReader;

pub(super) use keys::camel;

/// What one trigger asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerRequest {
    /// What is to be observed.
    pub subject: TriggerSubject,
    /// The settings that the metadata names; the rest comes from the config and the defaults.
    pub settings: PolicySettings,
    /// What it says of the checkpoints.
    pub checkpoints: CheckpointClaims,
}

/// What a trigger wants observed.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerSubject {
    /// A group of the config.
    Named(String),
    /// Named piece by piece; subject to the source's `allow` rules.
    Inline {
        /// A configured source.
        source: String,
        /// The stream; an event hub needs none.
        stream: Option<NamedStream>,
        /// The consumer group; an event hub has one of its own, a stream whose length alone counts needs none.
        consumer_group: Option<String>,
    },
    /// As KEDA's triggers for Redis streams name it.
    AtServers {
        /// The servers of a configured source.
        servers: KedaServers,
        /// The stream.
        stream: Option<NamedStream>,
        /// The consumer group; without one the stream's length counts.
        consumer_group: Option<String>,
    },
}

/// KEDA's keys that only repeat what the source says: they must agree with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointClaims {
    /// `blobContainer`
    pub container: Option<String>,
    /// `checkpointStrategy`
    pub strategy: Option<CheckpointStrategy>,
}

impl TriggerRequest {
    /// Reads trigger metadata.
    ///
    /// # Errors
    /// Everything that is wrong with it, by key. No value ever shows up: it may be a secret that KEDA resolved.
    pub fn parse(metadata: &HashMap<String, String>) -> Result<Self, MetadataErrors> {
        let mut reader = MetadataReader::new(metadata);
        let keys = TriggerKeys::read(&mut reader);
        let names_server = keda::names_server(&reader);
        reader.refuse_foreign_keys(names_server);
        let subject = read_subject(&mut reader, &keys);
        let settings = read_settings(&mut reader, &keys);
        if let Some((field, text)) = settings.contradiction() {
            reader.problem_of_field(field, &text);
        }
        let checkpoints = CheckpointClaims {
            container: keys.keda.blob_container,
            strategy: keys.keda.checkpoint_strategy,
        };
        match (subject, reader.finish()) {
            (Some(subject), Ok(())) => Ok(Self {
                subject,
                settings,
                checkpoints,
            }),
            (_, Err(errors)) => Err(errors),
            (None, Ok(())) => Err(MetadataErrors::single("group", NO_SUBJECT)),
        }
    }

    /// What its `backlog` mode counts, if it asks for that mode.
    pub fn measure(&self) -> Option<Measure> {
        match self.settings.mode {
            Some(Mode::Backlog { measure, .. }) => Some(measure),
            Some(Mode::Replicas | Mode::Jobs) | None => None,
        }
    }

    /// These settings over those of the config, checked together.
    ///
    /// # Errors
    /// The settings contradict each other, although each alone is fine.
    pub fn settings_over(&self, base: &PolicySettings) -> Result<PolicySettings, MetadataErrors> {
        let merged = self.settings.over(base);
        match groups::contradiction(&merged) {
            Some(fault) => Err(MetadataErrors::of_field(fault)),
            None => Ok(merged),
        }
    }
}

/// The mode that metadata asks for, whatever else is wrong with it; `None` where it leaves that to the config, or names a threshold
/// that cannot be read.
pub fn likely_mode(metadata: &HashMap<String, String>) -> Option<Mode> {
    let mut reader = MetadataReader::new(metadata);
    match reader.text("mode") {
        Some("replicas") => Some(Mode::Replicas),
        Some("jobs") => Some(Mode::Jobs),
        _ => {
            let keys = TriggerKeys::read(&mut reader);
            read_settings(&mut reader, &keys).mode
        }
    }
}

/// Tells one trigger's metadata from another's: the sum of FNV-1a over each pair. The same in any order, and over restarts and
/// releases, so that a journal can name a target.
pub fn fingerprint(metadata: &HashMap<String, String>) -> u64 {
    let of_pair = |(key, value): (&String, &String)| {
        let bytes = key.bytes().chain([0xff]).chain(value.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    metadata.iter().map(of_pair).fold(0, u64::wrapping_add)
}

const NO_SUBJECT: &str =
    "is missing: set it to a group of the config, or set source, stream and consumerGroup";

fn read_subject(reader: &mut MetadataReader<'_>, keys: &TriggerKeys) -> Option<TriggerSubject> {
    let mut inline = ["source", "stream", "consumerGroup"].into_iter();
    let inline = inline.find(|key| reader.has_key(key));
    match (&keys.group, inline) {
        (Some(_), Some(key)) => {
            reader.problem(
                key,
                "cannot be used together with group: set either group, or source, stream and consumerGroup",
            );
            None
        }
        (Some(name), None) => {
            if !is_name(name) {
                reader.problem(
                    "group",
                    "must be the name of a group in streamgauge's config",
                );
            }
            Some(TriggerSubject::Named(name.clone()))
        }
        (None, Some(_)) => read_inline(reader, keys),
        (None, None) => {
            reader.problem("group", NO_SUBJECT);
            None
        }
    }
}

fn read_inline(reader: &mut MetadataReader<'_>, keys: &TriggerKeys) -> Option<TriggerSubject> {
    let stream = keys.stream.as_deref().map(read_stream).transpose();
    let stream = stream.map_err(|fault| reader.problem("stream", &fault));
    let consumer_group = keys.consumer_group.clone();
    if keda::names_server(reader) {
        return Some(TriggerSubject::AtServers {
            servers: keda::servers(reader)?,
            stream: stream.ok()?,
            consumer_group,
        });
    }
    let Some(source) = &keys.source else {
        let text = "is missing: set it to the name of a source in streamgauge's config";
        reader.problem("source", text);
        return None;
    };
    if !is_name(source) {
        reader.problem(
            "source",
            "must be the name of a source in streamgauge's config, not an address",
        );
    }
    Some(TriggerSubject::Inline {
        source: source.clone(),
        stream: stream.ok()?,
        consumer_group,
    })
}

fn read_stream(text: &str) -> Result<NamedStream, String> {
    if !is_simple(text) {
        return Err(
            "may use only the wildcard *: for a pattern with ?, [ or \\, add a group to streamgauge's config"
                .into(),
        );
    }
    // The selector's own texts repeat parts of the expression; here nothing of a value is repeated.
    match StreamSelector::parse(text) {
        Err(StreamError::Backwards(..)) => {
            Err("has a template that ends before it starts: write the smaller number first".into())
        }
        Err(StreamError::Template(_)) => {
            Err("has an invalid template: use whole numbers, such as {0..15}".into())
        }
        Err(StreamError::TooMany(_)) => Err(
            "has more than 10,000 partitions, which is the limit: split it into several triggers"
                .into(),
        ),
        _ => stream::expression(text),
    }
}

fn read_settings(reader: &mut MetadataReader<'_>, keys: &TriggerKeys) -> PolicySettings {
    let keda = keda::read(reader, keys);
    let (word, threshold) = (keys.policy.mode, keys.policy.backlog_threshold);
    let mode = match keda {
        Some(mode) => Some(mode),
        None => groups::mode(word, threshold, Measure::Backlog).unwrap_or_else(|(field, text)| {
            reader.problem_of_field(field, text);
            None
        }),
    };
    let settings = keys.policy.settings(&keys.consumers);
    let activation_backlog = keda::activation(reader, &keys.keda, keda);
    PolicySettings {
        mode,
        activation_backlog: activation_backlog.or(settings.activation_backlog),
        ..settings
    }
}

#[cfg(test)]
mod tests;
