//! What the event hub says of itself and its partitions, whichever client asks.

mod access;
mod amqp_error;
mod connection;
mod exchange;
mod failure;
mod line;
mod message;
mod pipelined;
mod sdk;
mod sdk_client;
mod sdk_error;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;

use self::access::Access;
use self::pipelined::Pipelined;
use self::sdk::SdkPool;
use crate::config::types::{EventHubsConfig, ManagementClient};
use crate::model::sample::Failure;
use crate::model::time::Timestamp;
use crate::sources::BoxFuture;

/// How a client of the management node works, beside what the configuration of its event hub says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What Entra tokens are asked for.
    pub scope: String,
    /// Bounds each call, connecting included.
    pub deadline: Duration,
    /// How long a token that a shared access key signs is good; whole seconds.
    pub sas_lifetime: Duration,
    /// Clients of the Azure SDK, each of which asks one thing at a time.
    pub sdk_clients: usize,
}

impl Settings {
    /// The usual settings.
    pub fn new(scope: &str, deadline: Duration) -> Self {
        Self {
            scope: scope.to_owned(),
            deadline,
            sas_lifetime: Duration::from_secs(3_600),
            sdk_clients: 8,
        }
    }
}

/// Opens the client that the configuration chooses. It connects at the first call. `credential` is needed where the
/// configuration names an identity.
pub fn open(
    config: &EventHubsConfig,
    credential: Option<Arc<dyn TokenCredential>>,
    scope: &str,
    deadline: Duration,
) -> Box<dyn Management> {
    open_with(config, credential, &Settings::new(scope, deadline))
}

/// As [`open`], with everything settable.
pub fn open_with(
    config: &EventHubsConfig,
    credential: Option<Arc<dyn TokenCredential>>,
    settings: &Settings,
) -> Box<dyn Management> {
    let Settings {
        scope,
        deadline,
        sas_lifetime,
        sdk_clients,
    } = settings;
    let access = Access::new(config.clone(), credential, scope, *sas_lifetime);
    match config.client {
        ManagementClient::Pipelined => Box::new(Pipelined::new(access, *deadline)),
        ManagementClient::Sdk => Box::new(SdkPool::new(access, *deadline, *sdk_clients)),
    }
}

/// What an event hub says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubProperties {
    /// When it was created: another time means another event hub under the same name.
    pub created_at: Option<Timestamp>,
    /// The ids of its partitions, at least one.
    pub partition_ids: Vec<String>,
}

impl HubProperties {
    /// What the event hub said, if that can be. `subject` says which one, where.
    fn told(
        subject: &str,
        created_at: Option<Timestamp>,
        partition_ids: Vec<String>,
    ) -> Result<Self, Failure> {
        if partition_ids.is_empty() {
            let what = "the reply lists no partitions, which no event hub can have";
            return Err(failure::garbled(subject, what));
        }
        Ok(Self {
            created_at,
            partition_ids,
        })
    }
}

/// What an event hub says of one partition. Sequence numbers are −1 where nothing was ever enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionProperties {
    /// The partition that this is about; checked to be the one asked for.
    pub partition_id: String,
    /// The oldest event kept.
    pub beginning_sequence_number: i64,
    /// The newest event.
    pub last_enqueued_sequence_number: i64,
    /// The newest event's offset, in bytes where it is a number.
    pub last_enqueued_offset: String,
    /// When the newest event was enqueued, by the broker's clock.
    pub last_enqueued_at: Option<Timestamp>,
    /// Whether nothing is kept.
    pub is_empty: bool,
    /// How often the namespace had been failed over to a replica when the newest event was enqueued, where that is told.
    pub epoch: Option<i64>,
}

/// A client of the management node. Every call ends within its own deadline, and an answer that belongs to another question is
/// a failure, never a value. Calls may be made side by side.
pub trait Management: Send + Sync {
    /// Asks for the event hub.
    fn hub(&self) -> BoxFuture<'_, Result<HubProperties, Failure>>;

    /// Asks for one partition.
    fn partition<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<PartitionProperties, Failure>>;

    /// Drops every connection; the next call opens a new one.
    fn reconnect(&self);

    /// Calls made so far, those included that open and authorize a connection.
    fn calls(&self) -> u64;
}
