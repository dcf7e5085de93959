//! The table of config keys: every key of the file and of trigger metadata, with its kind, its default and what it is for. Reader,
//! printed config, docs and JSON Schema are made from it.

mod event_hubs;
mod file;
mod groups;
mod server;
mod sources;
mod trigger;

pub(super) use event_hubs::{CheckpointKeys, EventHubsKeys, IdentityKeys, IdentityWord};
pub(super) use file::{
    FileKeys, IncidentsKeys, MetricsKeys, PrometheusKeys, RecordingKeys, StateKeys, WebhookKeys,
};
pub(super) use groups::{
    ConsumerKeys, ErrorRateKeys, GroupKeys, ModeWord, PolicyKeys, PromqlKeys, SignalKeys,
};
pub(super) use sources::{
    AllowKeys, RedisKeys, RedisMode, RedisSentinelKeys, RedisTlsKeys, STUCK_AFTER, SourceKeys,
};
pub(super) use trigger::{KedaKeys, TriggerKeys};

pub use file::{JournalConfig, KubernetesConfig, LimitsConfig, ReplicationConfig};
pub use server::{LoginKeys, ServerConfig, ServerTlsKeys};
