//! The configuration file and trigger metadata: reading, validation, errors that say what, where and what to do.

pub mod allow;
pub mod duration;
pub mod error;
mod event_hubs;
mod groups;
pub mod incidents;
pub mod kubernetes;
mod label;
pub mod metadata;
pub mod redis;
pub mod resolve;
pub mod secret;
mod section;
pub mod signals;
mod sources;
pub mod stream;
mod suggest;
pub mod types;
mod web;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;

use error::{ConfigErrors, Problem};
use section::Section;
use types::{Config, RecordingConfig, ServerConfig, StateConfig};

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// That it cannot be read, is no YAML, or everything that is wrong with its contents.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(reason) => Err(ConfigErrors::Unreadable { file, reason }),
        }
    }

    /// Validates a configuration; `file` is the name that errors show.
    ///
    /// # Errors
    /// A syntax error with its line and column, or everything that is wrong with the contents, all at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigErrors> {
        let value =
            serde_yaml::from_str(text).map_err(|error| ConfigErrors::syntax(file, &error))?;
        let mut problems = Vec::new();
        match read(value, &mut problems) {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigErrors::Invalid {
                file: file.to_owned(),
                problems,
            }),
        }
    }
}

/// `None` only after at least one problem was noted; a config beside problems is incomplete and not to be used.
fn read(value: Value, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut root = Section::open(String::new(), value, problems)?;
    let server = read_server(&mut root);
    let kubernetes = kubernetes::read(&mut root);
    let recording = read_recording(&mut root);
    let state = read_state(&mut root);
    let max_series = read_max_series(&mut root);
    let webhook = incidents::read(&mut root);
    let poll_interval = root.poll_interval();
    let sources = sources::read(&mut root, poll_interval);
    let prometheus = signals::read_prometheus(&mut root);
    // One that is there but wrong was complained of already.
    let asks = prometheus.is_some() || root.has_problem_within("prometheus");
    let groups = groups::read(&mut root, &sources, asks);
    root.finish();
    Some(Config {
        server,
        kubernetes,
        recording,
        state,
        sources: sources.valid,
        groups,
        prometheus,
        webhook,
        max_series,
    })
}

fn read_server(root: &mut Section<'_>) -> ServerConfig {
    let mut server = ServerConfig::default();
    if let Some(mut section) = root.section("server") {
        section.later(&["tls"]);
        server.grpc = section.address("grpc").unwrap_or(server.grpc);
        server.http = section.address("http").unwrap_or(server.http);
        server.reflection = section.flag("reflection").unwrap_or(server.reflection);
        if server.grpc == server.http && server.grpc.port() != 0 {
            section.problem(
                "http",
                "is the same address as server.grpc: give it its own port",
            );
        }
        section.finish();
    }
    server
}

fn read_recording(root: &mut Section<'_>) -> Option<RecordingConfig> {
    let mut section = root.section("recording")?;
    if !section.has("dir") {
        section.missing("dir", "the folder for the files");
    }
    let dir = section.file("dir");
    let keep_files = section.whole("keep_files").unwrap_or(14);
    if !(2..=10_000).contains(&keep_files) {
        section.problem("keep_files", "must be between 2 and 10000");
    }
    section.finish();
    Some(RecordingConfig {
        dir: dir?,
        keep_files,
    })
}

/// How often what is learned may be written.
const KEEP_INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

fn read_state(root: &mut Section<'_>) -> Option<StateConfig> {
    let mut section = root.section("state")?;
    section.later(&["redis"]);
    if !section.has("dir") && !section.has_problem("redis") {
        section.missing("dir", "the folder for what is learned");
    }
    let dir = section.file("dir");
    let interval = web::read_between(
        &mut section,
        "interval",
        &KEEP_INTERVALS,
        "between 1s and 1h",
    );
    section.finish();
    Some(StateConfig {
        dir: dir?,
        interval: interval.unwrap_or(Duration::from_secs(60)),
    })
}

/// 11,000 partitions: the 10,000 that a group may have, and some.
const DEFAULT_MAX_SERIES: usize = 300_000;

fn read_max_series(root: &mut Section<'_>) -> usize {
    let Some(mut section) = root.section("metrics") else {
        return DEFAULT_MAX_SERIES;
    };
    let found = section.whole("max_series");
    section.finish();
    found.unwrap_or(DEFAULT_MAX_SERIES)
}

impl Default for ServerConfig {
    fn default() -> Self {
        let any = std::net::Ipv4Addr::UNSPECIFIED;
        Self {
            grpc: (any, 9090).into(),
            http: (any, 8080).into(),
            reflection: false,
        }
    }
}

#[cfg(test)]
mod tests;
