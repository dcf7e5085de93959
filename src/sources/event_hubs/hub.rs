//! One event hub, shared by all its consumer groups: its partitions, its budget of management calls, its clients.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::checkpoints::CheckpointStore;
use super::management::{HubProperties, Management, PartitionProperties};
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;
use crate::resilience::budget::CallBudget;

/// Partitions may be added, and the event hub created anew: it is asked this often.
const PROPERTIES_EVERY: Duration = Duration::from_secs(60);

/// Calls under way at once; more would only wait in the broker's queue.
const MOST_IN_FLIGHT: usize = 64;

/// The clients of one event hub and what its groups share.
pub struct Hub {
    management: Box<dyn Management>,
    checkpoints: Box<dyn CheckpointStore>,
    throughput_units: Option<u32>,
    started: Instant,
    budget: Mutex<CallBudget>,
    properties: Mutex<Option<(Instant, HubProperties)>>,
}

/// What reading partitions brought, by id.
pub type Read = BTreeMap<String, Result<PartitionProperties, Failure>>;

impl Hub {
    /// A hub of which nothing was asked yet. `calls_per_second` are its management calls within any second, at most.
    pub fn new(
        management: Box<dyn Management>,
        checkpoints: Box<dyn CheckpointStore>,
        throughput_units: Option<u32>,
        calls_per_second: u32,
    ) -> Self {
        Self {
            management,
            checkpoints,
            throughput_units,
            started: Instant::now(),
            budget: Mutex::new(CallBudget::new(calls_per_second)),
            properties: Mutex::new(None),
        }
    }

    /// The checkpoint store.
    pub fn checkpoints(&self) -> &dyn CheckpointStore {
        self.checkpoints.as_ref()
    }

    /// The client of the management node.
    pub fn management(&self) -> &dyn Management {
        self.management.as_ref()
    }

    /// Throughput units, if the user named them.
    pub fn throughput_units(&self) -> Option<u32> {
        self.throughput_units
    }

    /// The event hub's properties, at most a minute old.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn properties(&self) -> Result<HubProperties, Failure> {
        if let Some((at, properties)) = self.locked_properties().as_ref()
            && at.elapsed() < PROPERTIES_EVERY
        {
            return Ok(properties.clone());
        }
        self.wait_for_budget().await;
        let asked = Instant::now();
        let found = self.management.hub().await;
        let properties = found.inspect_err(|failure| self.heed(failure))?;
        *self.locked_properties() = Some((asked, properties.clone()));
        Ok(properties)
    }

    /// Has the event hub asked anew.
    pub fn forget_properties(&self) {
        *self.locked_properties() = None;
    }

    /// Reads partitions in that order, side by side, as far as the budget and the time `until` which calls begin allow; what
    /// failed with the connection is tried once more. A partition that is not in the answer was not asked.
    ///
    /// # Errors
    /// Nothing could be read.
    pub async fn read(&self, ids: Vec<String>, until: Instant) -> Result<Read, Failure> {
        let mut read = self.read_once(ids, until).await;
        let again: Vec<String> = read
            .iter()
            .filter(|(_, result)| result.as_ref().is_err_and(|f| f.kind.is_outage()))
            .map(|(id, _)| id.clone())
            .collect();
        if !again.is_empty() && Instant::now() < until {
            read.append(&mut self.read_once(again, until).await);
        }
        let failure = read.values().find_map(|result| result.as_ref().err());
        match failure {
            Some(failure) if read.values().all(Result::is_err) => Err(failure.clone()),
            _ => Ok(read),
        }
    }

    async fn read_once(&self, ids: Vec<String>, until: Instant) -> Read {
        let mut read = Read::new();
        let mut left = ids.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut next = left.next();
        while next.is_some() || !under_way.is_empty() {
            let permit = match &next {
                Some(_) if Instant::now() >= until => {
                    next = None;
                    continue;
                }
                Some(_) if under_way.len() < MOST_IN_FLIGHT => Some(self.permit()),
                _ => None,
            };
            match permit {
                Some(Ok(())) => {
                    let Some(id) = std::mem::replace(&mut next, left.next()) else {
                        break;
                    };
                    under_way.push(async move {
                        let result = self.management.partition(&id).await;
                        (id, result)
                    });
                }
                Some(Err(wait)) => {
                    let wait = (Instant::now() + wait).min(until);
                    tokio::select! {
                        Some(done) = under_way.next() => self.take_in(&mut read, done),
                        () = tokio::time::sleep_until(wait) => {}
                    }
                }
                None => {
                    if let Some(done) = under_way.next().await {
                        self.take_in(&mut read, done);
                    }
                }
            }
        }
        read
    }

    fn take_in(
        &self,
        read: &mut Read,
        (id, result): (String, Result<PartitionProperties, Failure>),
    ) {
        if let Err(failure) = &result {
            self.heed(failure);
        }
        read.insert(id, result);
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

    async fn wait_for_budget(&self) {
        while let Err(wait) = self.permit() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Time on the budget's own scale.
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.started.elapsed())
    }

    fn locked_budget(&self) -> MutexGuard<'_, CallBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_properties(&self) -> MutexGuard<'_, Option<(Instant, HubProperties)>> {
        self.properties
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
