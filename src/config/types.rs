//! The configuration after validation: what the rest of the program may rely on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::identity::{Assignment, GroupKey};
use crate::model::stream::StreamSelector;
use crate::policy::spec::PolicySettings;

/// The whole configuration, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the service listens.
    pub server: ServerConfig,
    /// Configured sources; names are unique.
    pub sources: Vec<SourceConfig>,
    /// Groups observed whether or not a ScaledObject names them; names and keys are unique.
    pub groups: Vec<GroupConfig>,
}

/// Listening addresses and switches.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// KEDA calls here.
    pub grpc: SocketAddr,
    /// Metrics, API, probes.
    pub http: SocketAddr,
    /// Whether gRPC server reflection is offered.
    pub reflection: bool,
}

/// One source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Its name, as groups, metadata and labels use it.
    pub name: String,
    /// How often its groups are polled unless a group says otherwise.
    pub poll_interval: Duration,
    /// What it is.
    pub kind: SourceKind,
    /// What inline metadata may name; empty: nothing.
    pub allow: Vec<AllowRule>,
}

/// The kinds of sources.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// A Redis or Valkey server.
    Redis(RedisConfig),
}

/// A standalone Redis server.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub database: i64,
    /// ACL user; `None` is the default user.
    pub username: Option<String>,
    /// Where the password is; read when connecting, so that a rotated file is picked up.
    pub password: Option<Secret>,
    /// Pending entries delivered longer ago than this count as stuck.
    pub stuck_after: Duration,
}

/// Where a secret is to be found. The value itself is never kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; a trailing line break is not part of the secret.
    File(PathBuf),
}

/// What inline metadata of some namespaces may name. `*` is the only wildcard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowRule {
    /// Kubernetes namespaces of the ScaledObject.
    pub namespaces: Vec<String>,
    /// Stream expressions.
    pub streams: Vec<String>,
    /// Consumer groups.
    pub consumer_groups: Vec<String>,
}

/// One group of the config.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupConfig {
    /// The `group` label.
    pub name: String,
    /// What is observed.
    pub key: GroupKey,
    /// The stream, expanded.
    pub selector: StreamSelector,
    /// How often it is polled.
    pub poll_interval: Duration,
    /// Shared or exclusive, and how many consumers one replica runs, with the rest of the policy.
    pub policy: PolicySettings,
}

impl GroupConfig {
    /// How messages find a consumer, resolved.
    pub fn assignment(&self) -> Assignment {
        self.policy.assignment.unwrap_or_default()
    }
}
