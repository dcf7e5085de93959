//! The configuration after validation: what the rest of the program may rely on.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::identity::{Assignment, GroupKey};
use crate::model::stream::StreamSelector;
use crate::policy::spec::PolicySettings;

use super::incidents::WebhookConfig;
use super::signals::{PrometheusConfig, SignalSources};

pub use super::addresses::Endpoint;
pub use super::byte_size::ByteSize;
pub use super::choices::{CheckpointStrategy, Cloud, Granularity, ManagementClient};
pub use super::limits::LimitsConfig;
pub use super::redis_url::RedisAddress;
pub use super::secret::Secret;
pub use super::table::{
    JournalConfig, KubernetesConfig, LoginKeys, ReplicationConfig, ServerConfig, ServerTlsKeys,
};

/// The whole configuration, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the service listens.
    pub server: ServerConfig,
    /// Where replicas are read.
    pub kubernetes: KubernetesConfig,
    /// The other replicas.
    pub replication: ReplicationConfig,
    /// Where arrivals are recorded; `None`: nowhere.
    pub recording: Option<RecordingConfig>,
    /// Where what is learned is kept over a restart; `None`: nowhere.
    pub state: Option<StateConfig>,
    /// Configured sources; names are unique.
    pub sources: Vec<SourceConfig>,
    /// Groups observed whether or not a ScaledObject names them; names and keys are unique.
    pub groups: Vec<GroupConfig>,
    /// Whom to ask for signals that are PromQL; `None`: nobody.
    pub prometheus: Option<PrometheusConfig>,
    /// How much ScaledObjects may ask for.
    pub limits: LimitsConfig,
    /// Series about partitions that are exported, at most.
    pub max_series: usize,
    /// Whom to tell of incidents; `None`: nobody.
    pub webhook: Option<WebhookConfig>,
}

/// Arrivals on disk, for `simulate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingConfig {
    /// The folder; made if it is not there.
    pub dir: PathBuf,
    /// Files kept per group, the one being written included.
    pub keep_files: u32,
}

/// What is learned, on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StateConfig {
    /// The folder; made if it is not there.
    pub dir: PathBuf,
    /// How often each group is written.
    pub interval: Duration,
    /// What is written of all that happens.
    pub journal: JournalConfig,
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
    Redis(Box<RedisConfig>),
    /// An Azure event hub with the store of its checkpoints.
    EventHubs(Box<EventHubsConfig>),
}

/// One event hub and the store of its checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct EventHubsConfig {
    /// Fully qualified namespace, `ns.servicebus.windows.net`.
    pub namespace: String,
    /// The event hub.
    pub event_hub: String,
    /// Where to connect instead of the namespace's own address.
    pub endpoint: Option<Endpoint>,
    /// How to prove who we are.
    pub auth: HubAuth,
    /// PEM file of certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who reads the partition properties.
    pub client: ManagementClient,
    /// Management calls within any second, at most.
    pub management_calls_per_second: u32,
    /// Throughput units of the namespace, if the user says so: they bound how fast consumers can read.
    pub throughput_units: Option<u32>,
    /// How long the event hub keeps events, if the user says so: AMQP does not tell it.
    pub retention: Option<Duration>,
    /// The checkpoint store.
    pub checkpoints: CheckpointsConfig,
}

/// How the event hub is told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubAuth {
    /// A connection string with a shared access key (or a ready signature).
    ConnectionString(Secret),
    /// A Microsoft Entra identity.
    Identity(Identity),
}

/// How the blob store is told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobAuth {
    /// A storage connection string: account key, or shared access signature.
    ConnectionString(Secret),
    /// The account's key.
    AccountKey(Secret),
    /// A shared access signature, with or without its leading `?`.
    Sas(Secret),
    /// A Microsoft Entra identity.
    Identity(Identity),
}

/// A Microsoft Entra identity and the cloud that knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which kind.
    pub kind: IdentityKind,
    /// The cloud: it decides on authority and audience.
    pub cloud: Cloud,
    /// The authority instead of the cloud's, `https://login.example`.
    pub authority_host: Option<String>,
    /// PEM file of certificate authorities to trust when tokens are fetched.
    pub ca_file: Option<PathBuf>,
}

/// The kinds of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// A Kubernetes service account, exchanged; what is `None` comes from the variables that the webhook sets.
    Workload {
        /// `AZURE_CLIENT_ID` otherwise.
        client_id: Option<String>,
        /// `AZURE_TENANT_ID` otherwise.
        tenant_id: Option<String>,
        /// `AZURE_FEDERATED_TOKEN_FILE` otherwise.
        token_file: Option<PathBuf>,
    },
    /// The machine's identity.
    Managed {
        /// A user-assigned one; `None`: the system's.
        client_id: Option<String>,
    },
    /// An application with a secret.
    ClientSecret {
        /// Its tenant.
        tenant_id: String,
        /// Its id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
}

/// Where checkpoints are and how they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointsConfig {
    /// `https://account.blob.core.windows.net`; `None`: as the connection string says.
    pub account_url: Option<String>,
    /// The container; `None`: `azure-webjobs-eventhub`.
    pub container: Option<String>,
    /// Which layout is read.
    pub strategy: CheckpointStrategy,
    /// How to prove who we are.
    pub auth: BlobAuth,
    /// PEM file of certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// An ownership that was not renewed for so long has expired.
    pub ownership_expiry: Duration,
}

impl CheckpointsConfig {
    /// The container: that of Azure Functions where none is named.
    pub fn container_name(&self) -> &str {
        self.container
            .as_deref()
            .unwrap_or("azure-webjobs-eventhub")
    }
}

impl SourceKind {
    /// The event hub, if it is one.
    pub fn event_hub(&self) -> Option<&EventHubsConfig> {
        match self {
            Self::Redis(_) => None,
            Self::EventHubs(hub) => Some(hub),
        }
    }

    /// What holds for its groups unless somebody says otherwise.
    pub fn default_policy(&self) -> PolicySettings {
        PolicySettings {
            assignment: self.event_hub().map(|_| Assignment::Exclusive),
            ..PolicySettings::default()
        }
    }

    /// Every secret that the source refers to, each with its key.
    pub fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        match self {
            Self::Redis(redis) => {
                let of_sentinels = match &redis.servers {
                    RedisServers::Sentinel(sentinels) => sentinels.password.as_ref(),
                    RedisServers::Standalone(_) | RedisServers::Cluster(_) => None,
                };
                let of_servers = redis.password.as_ref().map(|s| ("password", s));
                let of_identity = redis.identity.as_ref().and_then(Identity::secret);
                let of_identity = of_identity.map(|s| ("client_secret", s));
                let of_sentinels = of_sentinels.map(|s| ("sentinel.password", s));
                let all = [of_servers, of_identity, of_sentinels];
                all.into_iter().flatten().collect()
            }
            Self::EventHubs(hub) => {
                let of_hub = match &hub.auth {
                    HubAuth::ConnectionString(secret) => Some(("connection_string", secret)),
                    HubAuth::Identity(identity) => identity.secret().map(|s| ("client_secret", s)),
                };
                let of_store = match &hub.checkpoints.auth {
                    BlobAuth::ConnectionString(secret) => {
                        Some(("checkpoints.connection_string", secret))
                    }
                    BlobAuth::AccountKey(secret) => Some(("checkpoints.account_key", secret)),
                    BlobAuth::Sas(secret) => Some(("checkpoints.sas", secret)),
                    BlobAuth::Identity(identity) => {
                        identity.secret().map(|s| ("checkpoints.client_secret", s))
                    }
                };
                of_hub.into_iter().chain(of_store).collect()
            }
        }
    }
}

impl Identity {
    /// The secret it rests on, if one.
    pub fn secret(&self) -> Option<&Secret> {
        match &self.kind {
            IdentityKind::ClientSecret { client_secret, .. } => Some(client_secret),
            IdentityKind::Workload { .. } | IdentityKind::Managed { .. } => None,
        }
    }
}

/// Redis or Valkey: where it is, and how streamgauge shows who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisConfig {
    /// How the servers that hold the streams are found.
    pub servers: RedisServers,
    /// Database number.
    pub database: i64,
    /// ACL user; `None` is the default user.
    pub username: Option<String>,
    /// Where the password is; read when connecting, so that a rotated file is picked up.
    pub password: Option<Secret>,
    /// A Microsoft Entra identity, whose tokens are the password instead. Only with TLS.
    pub identity: Option<Identity>,
    /// How the connection is secured; `None` without TLS.
    pub tls: Option<RedisTls>,
    /// Pending entries delivered longer ago than this count as stuck.
    pub stuck_after: Duration,
}

/// How the servers that hold the streams are found.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisServers {
    /// One server, alone or with replicas.
    Standalone(RedisAddress),
    /// The primaries of a cluster; each of its nodes knows the others.
    Cluster(Vec<RedisAddress>),
    /// The primary that sentinels name.
    Sentinel(RedisSentinels),
}

/// Sentinels, and what they watch over.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisSentinels {
    /// Where they are.
    pub addresses: Vec<RedisAddress>,
    /// The name under which they know the primary.
    pub master: String,
    /// ACL user on the sentinels; `None` is the default user.
    pub username: Option<String>,
    /// The sentinels' own password.
    pub password: Option<Secret>,
}

/// How a connection to Redis is secured. The files are read when connecting, so that rotated ones are picked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Authorities to trust besides those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// The certificate by which streamgauge shows who it is.
    pub certificate: Option<CertificateFiles>,
    /// The name in the server's certificate, if that is not the host.
    pub server_name: Option<String>,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, with those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
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
    /// Signals that come from elsewhere than the stream.
    pub signals: SignalSources,
    /// How finely it is exported.
    pub granularity: Granularity,
}

impl GroupConfig {
    /// How messages find a consumer, resolved.
    pub fn assignment(&self) -> Assignment {
        self.policy.assignment.unwrap_or_default()
    }
}
