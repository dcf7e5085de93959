//! What the event hub says of itself and its partitions, whichever client asks.

mod access;
mod amqp_error;
mod client;
mod connection;
mod exchange;
mod failure;
mod line;
pub mod message;
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

pub use self::client::{HubProperties, Management, PartitionProperties};

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
