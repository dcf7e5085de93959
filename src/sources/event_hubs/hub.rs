//! One event hub, shared by all its consumer groups: its partitions and their log ends, its budget of management calls, its
//! clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::checkpoints::CheckpointStore;
use super::management::{HubProperties, Management, PartitionProperties};
use super::shared::{SharedReading, SharedReadings};
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;
use crate::resilience::budget::CallBudget;

/// Partitions may be added, and the event hub recreated: it is asked this often.
const PROPERTIES_EVERY: Duration = Duration::from_secs(60);

/// The clients of one event hub and what its groups share.
pub struct Hub {
    broker: Arc<Broker>,
    checkpoints: Box<dyn CheckpointStore>,
    throughput_units: Option<u32>,
    properties: SharedReadings<(), HubProperties>,
    log_ends: SharedReadings<String, PartitionProperties>,
}

/// What asks the broker, within the budget.
struct Broker {
    management: Box<dyn Management>,
    started: Instant,
    budget: Mutex<CallBudget>,
}

impl Hub {
    /// A hub of which nothing was asked yet. `calls_per_second` are its management calls within any second, at most.
    pub fn new(
        management: Box<dyn Management>,
        checkpoints: Box<dyn CheckpointStore>,
        throughput_units: Option<u32>,
        calls_per_second: u32,
    ) -> Self {
        let broker = Broker {
            management,
            started: Instant::now(),
            budget: Mutex::new(CallBudget::new(calls_per_second)),
        };
        Self {
            broker: Arc::new(broker),
            checkpoints,
            throughput_units,
            properties: SharedReadings::default(),
            log_ends: SharedReadings::default(),
        }
    }

    /// The checkpoint store.
    pub fn checkpoints(&self) -> &dyn CheckpointStore {
        self.checkpoints.as_ref()
    }

    /// The client of the management node.
    pub fn management(&self) -> &dyn Management {
        self.broker.management.as_ref()
    }

    /// Throughput units, if the user named them.
    pub fn throughput_units(&self) -> Option<u32> {
        self.throughput_units
    }

    /// When it was opened.
    pub fn opened_at(&self) -> Instant {
        self.broker.started
    }

    /// The event hub's properties, at most a minute old.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn properties(&self) -> Result<HubProperties, Failure> {
        let mut since = earlier(Instant::now(), PROPERTIES_EVERY);
        if let Some(asked) = self.properties.find(&(), since) {
            match asked.answer().await {
                Ok(properties) => return Ok(properties),
                // Another group's failed call does not fail this poll.
                Err(_) => since = Instant::now(),
            }
        }
        let asked = loop {
            if let Some(asked) = self.properties.find(&(), since) {
                break asked;
            }
            match self.broker.permit() {
                Ok(()) => {
                    let broker = Arc::clone(&self.broker);
                    break self.properties.ask((), async move { broker.hub().await });
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        };
        asked.answer().await
    }

    /// Has the event hub asked again.
    pub fn forget_properties(&self) {
        self.properties.forget();
    }

    /// A partition's log end of `since` or later: one that another group asked for, or a call of our own.
    ///
    /// # Errors
    /// How long to wait for the budget before trying again.
    pub fn log_end(
        &self,
        id: &str,
        since: Instant,
    ) -> Result<SharedReading<PartitionProperties>, Duration> {
        if let Some(asked) = self.known_log_end(id, since) {
            return Ok(asked);
        }
        self.broker.permit()?;
        let (broker, own) = (Arc::clone(&self.broker), id.to_owned());
        let asking = async move { broker.partition(&own).await };
        Ok(self.log_ends.ask(id.to_owned(), asking))
    }

    /// The same without a call of our own.
    pub fn known_log_end(
        &self,
        id: &str,
        since: Instant,
    ) -> Option<SharedReading<PartitionProperties>> {
        self.log_ends.find(id, since)
    }
}

/// So long before; as early as the clock goes.
pub fn earlier(than: Instant, by: Duration) -> Instant {
    than.checked_sub(by).unwrap_or(than)
}

impl Broker {
    async fn hub(&self) -> Result<HubProperties, Failure> {
        let found = self.management.hub().await;
        found.inspect_err(|failure| self.heed(failure))
    }

    async fn partition(&self, id: &str) -> Result<PartitionProperties, Failure> {
        let found = self.management.partition(id).await;
        found.inspect_err(|failure| self.heed(failure))
    }

    /// Calls less often after a complaint.
    fn heed(&self, failure: &Failure) {
        if failure.kind == FailureKind::Throttled {
            self.locked_budget().throttled(self.now());
        }
    }

    fn permit(&self) -> Result<(), Duration> {
        self.locked_budget().take(self.now())
    }

    /// Time on the budget's own scale.
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.started.elapsed())
    }

    fn locked_budget(&self) -> MutexGuard<'_, CallBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
