//! Azure Event Hubs: log ends from the broker's management node, committed positions from the checkpoint store.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use tokio::time::Instant;

use crate::config::types::{EventHubsConfig, HubAuth};
use crate::model::stream::StreamSelector;
use crate::sources::{GroupReader, Requests, Source, call_deadline, entra};

mod age;
pub mod checkpoints;
pub mod connection_string;
mod event_size;
mod hub;
mod lag;
pub mod management;
mod partition;
mod reader;
pub mod sas;
mod shared;
mod sweep;

use checkpoints::{BlobCheckpoints, CheckpointStore};
use hub::Hub;
use management::Management;
use reader::{HubPace, HubReader};

/// The longest that a poll may take, however many partitions wait for their turn.
const MAX_POLL_DEADLINE: Duration = Duration::from_secs(30);

/// The share of its poll interval that a log end may be old which another group asked for. Groups of one poll interval are polled
/// in step, so as a rule it is of the same moment.
const SHARED_FOR: f64 = 0.25;

/// One event hub with its checkpoint store.
pub struct EventHubs {
    hub: Arc<Hub>,
    /// What the management client gives a call.
    call_deadline: Duration,
}

impl EventHubs {
    /// The event hub of a configuration. It connects at its first poll.
    pub fn open(config: &EventHubsConfig, poll_interval: Duration) -> Self {
        let deadline = call_deadline(poll_interval);
        let (credential, scope) = match &config.auth {
            HubAuth::ConnectionString(_) => (None, ""),
            HubAuth::Identity(identity) => {
                let scope = entra::event_hubs_scope(identity);
                let tokens = entra::Tokens::new(identity.clone(), scope);
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

    /// An event hub behind these clients, of a source that is polled every `poll_interval` where a group says nothing else.
    pub fn new(
        management: Box<dyn Management>,
        checkpoints: Box<dyn CheckpointStore>,
        calls_per_second: u32,
        throughput_units: Option<u32>,
        poll_interval: Duration,
    ) -> Self {
        let hub = Hub::new(management, checkpoints, throughput_units, calls_per_second);
        Self {
            hub: Arc::new(hub),
            call_deadline: call_deadline(poll_interval),
        }
    }

    /// How a group is polled every `poll_interval`.
    fn pace(&self, poll_interval: Duration) -> HubPace {
        let deadline = poll_deadline(poll_interval);
        // The last calls get their full time before the poll's is over.
        let rest = deadline.saturating_sub(self.call_deadline.mul_f64(1.1));
        HubPace {
            asks_for: rest.max(call_deadline(poll_interval)),
            outdated_after: (2 * poll_interval).max(deadline),
            shares: self.shares(poll_interval),
        }
    }
}

/// The time that a poll may take. Partitions beyond the budget of calls wait for their turn, so a poll may use most of its
/// interval; a hanging server is told by the deadline of a call, long before.
fn poll_deadline(poll_interval: Duration) -> Duration {
    let most_of_it = poll_interval.mul_f64(0.9);
    let a_few_calls = 4 * call_deadline(poll_interval);
    most_of_it.max(a_few_calls).min(MAX_POLL_DEADLINE)
}

impl Source for EventHubs {
    fn reader(
        &self,
        _stream: &StreamSelector,
        consumer_group: &str,
        poll_interval: Duration,
    ) -> Box<dyn GroupReader> {
        let hub = Arc::clone(&self.hub);
        let pace = self.pace(poll_interval);
        Box::new(HubReader::new(hub, consumer_group, pace))
    }

    fn poll_deadline(&self, poll_interval: Duration) -> Duration {
        poll_deadline(poll_interval)
    }

    fn shares(&self, poll_interval: Duration) -> Duration {
        poll_interval.mul_f64(SHARED_FOR)
    }

    fn in_step_with(&self) -> Option<Instant> {
        Some(self.hub.opened_at())
    }

    fn requests(&self) -> Requests {
        Requests {
            management: self.hub.management().calls(),
            blob: self.hub.checkpoints().requests(),
        }
    }
}

#[cfg(test)]
mod tests;
