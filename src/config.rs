//! The configuration file and trigger metadata: reading, validation, errors that say what, where and what to do.

pub mod addresses;
pub mod allow;
mod byte_size;
mod choices;
pub mod duration;
pub mod error;
mod event_hubs;
mod expansion;
mod groups;
mod identity;
pub mod incidents;
mod keys;
pub mod kubernetes;
mod label;
pub mod limits;
pub mod metadata;
mod print;
pub mod redis;
mod redis_url;
pub mod reference;
pub mod replication;
pub mod resolve;
pub mod secret;
mod server;
pub mod signals;
mod sources;
pub mod stream;
mod suggest;
mod table;
pub mod types;

use std::path::Path;

use serde_yaml::Value;

use error::ConfigErrors;
use keys::{Kind, Place, Sub};
use table::{FileKeys, RecordingKeys, StateKeys};
use types::{Config, RecordingConfig, StateConfig};

use crate::files;

/// A file of the largest config that makes sense: 10,000 keys for each of several groups.
pub const MOST_BYTES: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// That it cannot be read, is no YAML, or everything that is wrong with its contents.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        match files::read_text(path, MOST_BYTES) {
            Ok(text) => Self::parse(&text, &file),
            Err(reason) => Err(ConfigErrors::Unreadable { file, reason }),
        }
    }

    /// Validates a configuration; `file` is the name that errors show.
    ///
    /// # Errors
    /// A syntax error with its line and column, or everything that is wrong with the contents, all at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigErrors> {
        expansion::check(text).map_err(|error| ConfigErrors::syntax(file, &error))?;
        let value: Value =
            serde_yaml::from_str(text).map_err(|error| ConfigErrors::syntax(file, &error))?;
        let order = error::order(&value);
        let mut problems = Vec::new();
        let mut place = Place::root(&mut problems);
        let keys = Sub::<FileKeys>::new().read(value, &mut place);
        match keys.map(|keys| config(keys, &mut place)) {
            Some(config) if problems.is_empty() => Ok(config),
            _ => {
                problems.sort_by_cached_key(|problem| error::rank(&order, &problem.path));
                let file = file.to_owned();
                Err(ConfigErrors::Invalid { file, problems })
            }
        }
    }
}

/// What the keys mean together. Beside problems it is incomplete and not to be used.
fn config(keys: FileKeys, place: &mut Place<'_>) -> Config {
    server::check(&keys.server, &mut place.at("server"));
    kubernetes::check(&keys.kubernetes, &mut place.at("kubernetes"));
    replication::check(
        &keys.replication,
        &keys.server,
        &mut place.at("replication"),
    );
    let sources = sources::read(keys.sources, keys.poll_interval, &mut place.at("sources"));
    // One that is there but wrong was complained of already.
    let asks = keys.prometheus.is_some() || place.is_faulty("prometheus");
    let groups = groups::read(keys.groups, &sources, asks, &mut place.at("groups"));
    let prometheus = keys.prometheus;
    let webhook = keys.incidents.and_then(|incidents| incidents.webhook);
    Config {
        server: keys.server,
        kubernetes: keys.kubernetes,
        replication: keys.replication,
        recording: keys.recording.and_then(recording),
        state: keys.state.and_then(state),
        prometheus: prometheus
            .and_then(|keys| signals::prometheus(keys, &mut place.at("prometheus"))),
        webhook: webhook.and_then(incidents::webhook),
        limits: keys.limits,
        max_series: keys.metrics.max_series,
        sources: sources.valid,
        groups,
    }
}

fn recording(keys: RecordingKeys) -> Option<RecordingConfig> {
    Some(RecordingConfig {
        dir: keys.dir?,
        keep_files: keys.keep_files,
    })
}

fn state(keys: StateKeys) -> Option<StateConfig> {
    Some(StateConfig {
        dir: keys.dir?,
        interval: keys.interval,
        journal: keys.journal,
    })
}

#[cfg(test)]
mod tests;
