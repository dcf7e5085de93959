//! Azure Event Hubs: log ends from the broker's management node, committed positions from the checkpoint store.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;

use crate::config::types::{EventHubsConfig, HubAuth};
use crate::model::stream::StreamSelector;
use crate::sources::{GroupReader, Requests, Source};

mod age;
pub mod checkpoints;
pub mod connection_string;
mod event_size;
mod hub;
pub mod identity;
mod lag;
pub mod management;
mod reader;
pub mod sas;

use checkpoints::{BlobCheckpoints, CheckpointStore};
use hub::{Hub, Pace};
use management::Management;

/// The longest that one call may take.
const MAX_CALL_DEADLINE: Duration = Duration::from_secs(2);

/// The longest that a poll may take, however many partitions wait for their turn.
const MAX_POLL_DEADLINE: Duration = Duration::from_secs(30);

/// One event hub with its checkpoint store.
pub struct EventHubs {
    hub: Arc<Hub>,
}

impl EventHubs {
    /// The event hub of a configuration. It connects at its first poll.
    pub fn open(config: &EventHubsConfig, poll_interval: Duration) -> Self {
        let deadline = call_deadline(poll_interval);
        let (credential, scope) = match &config.auth {
            HubAuth::ConnectionString(_) => (None, ""),
            HubAuth::Identity(identity) => {
                let scope = identity::event_hubs_scope(identity);
                let tokens = identity::Tokens::new(identity.clone(), scope);
                (Some(Arc::new(tokens) as Arc<dyn TokenCredential>), scope)
            }
        };
        let checkpoints = BlobCheckpoints::new(
            &config.checkpoints,
            &config.namespace,
            &config.event_hub,
            2 * deadline,
        );
        Self::new(
            management::open(config, credential, scope, deadline),
            Box::new(checkpoints),
            config.management_calls_per_second,
            config.throughput_units,
            poll_interval,
        )
    }

    /// An event hub behind these clients, which poll it every `poll_interval`.
    pub fn new(
        management: Box<dyn Management>,
        checkpoints: Box<dyn CheckpointStore>,
        calls_per_second: u32,
        throughput_units: Option<u32>,
        poll_interval: Duration,
    ) -> Self {
        // The last calls get their full time before the poll's is over.
        let last_calls = call_deadline(poll_interval).mul_f64(1.1);
        let rest = poll_deadline(poll_interval).saturating_sub(last_calls);
        let pace = Pace {
            calls_per_second,
            asks_for: rest.max(call_deadline(poll_interval)),
            outdated_after: (2 * poll_interval).max(poll_deadline(poll_interval)),
        };
        Self {
            hub: Arc::new(Hub::new(management, checkpoints, throughput_units, pace)),
        }
    }
}

/// The time that one call may take: min(poll interval, 2 s).
pub fn call_deadline(poll_interval: Duration) -> Duration {
    poll_interval.min(MAX_CALL_DEADLINE)
}

/// The time that a poll may take. Partitions beyond the budget of calls wait for their turn, so a poll may use most of its
/// interval; a hanging server is told by the deadline of a call, long before.
fn poll_deadline(poll_interval: Duration) -> Duration {
    let most_of_it = poll_interval.mul_f64(0.9);
    let a_few_calls = 4 * call_deadline(poll_interval);
    most_of_it.max(a_few_calls).min(MAX_POLL_DEADLINE)
}

impl Source for EventHubs {
    fn reader(&self, _stream: &StreamSelector, consumer_group: &str) -> Box<dyn GroupReader> {
        Box::new(reader::Reader::new(Arc::clone(&self.hub), consumer_group))
    }

    fn reconnect(&self) {
        self.hub.management().reconnect();
    }

    fn poll_deadline(&self, poll_interval: Duration) -> Duration {
        poll_deadline(poll_interval)
    }

    fn requests(&self) -> Requests {
        Requests {
            management: self.hub.management().calls(),
            blob: self.hub.checkpoints().requests(),
        }
    }
}
