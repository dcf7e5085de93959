//! The Kubernetes API, read only: what a ScaledObject says, and how many replicas of what it scales run and are ready.
//!
//! Nothing rests on it: a reading that fails is an answer too, and who has none goes by the consumers.

mod connect;
mod failure;
mod object;
mod record;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject};

use crate::clock::Clock;
use crate::config::kubernetes::KubernetesConfig;
use crate::policy::replicas::{ReplicasObserved, Unread, UnreadKind};
use crate::resilience::breaker::{Breaker, BreakerSettings, Outcome, Permit, Ticket};
use crate::resilience::budget::CallBudget;

use self::failure::Asked;
use self::object::Described;
use self::record::Record;

pub use self::connect::has_account;
pub use self::object::ObjectName;
pub use self::record::ClusterStats;

/// The longest that one call may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// Calls within any second. With 2,000 ScaledObjects each is then read every 50 s, which still counts as recent.
const CALLS_PER_SECOND: u32 = 50;

/// A ScaledObject and its HPA are read at every so manieth reading of the replicas: they change when somebody edits them.
const READINGS_PER_DESCRIPTION: u32 = 4;

/// The API server as the config says to reach it.
#[derive(Debug)]
pub struct Cluster {
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None`: not to be read.
    config: Option<KubernetesConfig>,
    client: Option<kube::Client>,
    breaker: Breaker,
    budget: CallBudget,
    described: BTreeMap<ObjectName, Described>,
    record: Record,
    /// Why the circuit is open.
    outage: Option<Unread>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects at the first reading.
    pub fn new(config: &KubernetesConfig, clock: Clock) -> Self {
        let config = config.is_on(has_account()).then(|| config.clone());
        Self {
            clock,
            inner: Mutex::new(Inner::new(config)),
        }
    }

    /// Takes another configuration; what was known is read again.
    pub fn reconfigure(&self, config: &KubernetesConfig) {
        *self.inner() = Inner::new(config.is_on(has_account()).then(|| config.clone()));
    }

    /// How often an object is to be read; `None`: never.
    pub fn poll_interval(&self) -> Option<Duration> {
        Some(self.inner().config.as_ref()?.poll_interval)
    }

    /// How the readings went.
    pub fn stats(&self) -> Option<ClusterStats> {
        let inner = self.inner();
        inner.config.as_ref().map(|_| inner.record.stats())
    }

    /// Forgets all objects but these.
    pub fn keep(&self, wanted: &BTreeSet<ObjectName>) {
        let mut inner = self.inner();
        inner.described.retain(|name, _| wanted.contains(name));
        inner.record.keep(wanted);
    }

    /// Reads an object and what it scales. Logs what is wrong, once.
    ///
    /// # Errors
    /// Why nothing is known; at once while the API server keeps failing.
    pub async fn read(&self, name: &ObjectName) -> Result<ReplicasObserved, Unread> {
        let ticket = self.permit()?;
        let reading = self.read_now(name).await;
        let now = self.clock.now();
        let mut inner = self.inner();
        let failed = reading.as_ref().err();
        let outage = failed.filter(|unread| unread.kind.is_outage());
        let outcome = outage.map_or(Outcome::Answered, |_| Outcome::Outage);
        inner.breaker.record(now, ticket, outcome);
        inner.outage = outage.cloned().or(inner.outage.take());
        let fault = match &reading {
            Ok(seen) => seen.unread.as_ref(),
            Err(unread) => Some(unread),
        };
        inner.record.read(name, fault);
        reading
    }

    fn permit(&self) -> Result<Ticket, Unread> {
        let mut inner = self.inner();
        match inner.breaker.permit(self.clock.now(), DEADLINE) {
            Permit::Allowed(ticket) => Ok(ticket),
            Permit::Denied => Err(inner.outage.clone().unwrap_or_else(failure::failing)),
        }
    }

    async fn read_now(&self, name: &ObjectName) -> Result<ReplicasObserved, Unread> {
        if !name.is_possible() {
            let text = format!("there is no ScaledObject {}/{}", name.namespace, name.name);
            return Err(failure::unread(UnreadKind::NotFound, text));
        }
        let described = match self.described(name) {
            Some(described) => described,
            None => self.describe(name).await?,
        };
        match self.workload(name, &described).await {
            Ok(observed) => Ok(observed),
            Err(unread) if unread.kind.is_outage() => Err(unread),
            Err(unread) => {
                // Perhaps the object names another target by now.
                self.inner().described.remove(name);
                Ok(described.without_workload(unread))
            }
        }
    }

    /// What is known of the object, while that is recent enough.
    fn described(&self, name: &ObjectName) -> Option<Described> {
        let inner = self.inner();
        let described = inner.described.get(name)?;
        let lasts = inner.config.as_ref()?.poll_interval * READINGS_PER_DESCRIPTION;
        (self.clock.now().since(described.at) < lasts).then(|| described.clone())
    }

    async fn describe(&self, name: &ObjectName) -> Result<Described, Unread> {
        let at = self.clock.now();
        let resource = object::scaled_objects();
        let found = self.get(&resource, &name.namespace, &name.name).await?;
        let mut described =
            object::describe(name, at, &found).inspect_err(|unread| self.failed(unread))?;
        if let Some(hpa) = described.hpa_name.clone() {
            match self
                .get(&object::autoscalers(), &name.namespace, &hpa)
                .await
            {
                Ok(found) => described.hpa = Some(workload::hpa(&found)),
                Err(unread) if unread.kind.is_outage() => return Err(unread),
                // It adds to what is known, no more.
                Err(_) => {}
            }
        }
        let known = described.clone();
        self.inner().described.insert(name.clone(), known);
        Ok(described)
    }

    async fn workload(
        &self,
        name: &ObjectName,
        described: &Described,
    ) -> Result<ReplicasObserved, Unread> {
        let target = &described.target;
        let found = self
            .get(&target.resource, &name.namespace, &target.name)
            .await?;
        let replicas = workload::replicas(&target.resource, &found)
            .inspect_err(|unread| self.failed(unread))?;
        Ok(described.with(replicas))
    }

    /// One call.
    async fn get(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<DynamicObject, Unread> {
        let asked = Asked {
            resource,
            namespace,
            name,
        };
        let got = match self.client().await {
            Ok(client) => self.call(client, &asked).await,
            Err(unread) => Err(unread),
        };
        if let Err(unread) = &got {
            self.failed(unread);
        }
        got
    }

    async fn call(&self, client: kube::Client, asked: &Asked<'_>) -> Result<DynamicObject, Unread> {
        while let Err(wait) = self.take_leave() {
            tokio::time::sleep(wait).await;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client, asked.namespace, asked.resource);
        match tokio::time::timeout(DEADLINE, api.get(asked.name)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(failure::of(&error, asked)),
            Err(_) => Err(failure::timed_out(DEADLINE)),
        }
    }

    fn take_leave(&self) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.budget.take(now)?;
        inner.record.called();
        Ok(())
    }

    fn failed(&self, unread: &Unread) {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.record.failed(unread.kind);
        match unread.kind {
            UnreadKind::Throttled => inner.budget.throttled(now),
            // A connection that died silently would make every later call wait on it.
            UnreadKind::Timeout => inner.client = None,
            _ => {}
        }
    }

    async fn client(&self) -> Result<kube::Client, Unread> {
        let config = {
            let inner = self.inner();
            if let Some(client) = &inner.client {
                return Ok(client.clone());
            }
            inner.config.clone().unwrap_or_default()
        };
        let client = connect::client(&config).await?;
        self.inner().client = Some(client.clone());
        Ok(client)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(config: Option<KubernetesConfig>) -> Self {
        Self {
            config,
            client: None,
            breaker: Breaker::new(breaker_settings()),
            budget: CallBudget::new(CALLS_PER_SECOND),
            described: BTreeMap::new(),
            record: Record::default(),
            outage: None,
        }
    }
}

/// An attempt is up to three calls.
fn breaker_settings() -> BreakerSettings {
    BreakerSettings {
        probe_expiry: DEADLINE * 4,
        ..BreakerSettings::for_poll_interval(Duration::from_secs(1))
    }
}

impl Described {
    /// Together with the replicas.
    fn with(&self, replicas: workload::Replicas) -> ReplicasObserved {
        ReplicasObserved {
            current: Some(replicas.current),
            asked: replicas.asked,
            ready: replicas.ready,
            updated: replicas.updated,
            hpa: self.hpa.as_ref().map(|hpa| hpa.observed.clone()),
            object: self.settings.clone(),
            unread: None,
        }
    }

    /// Where the target itself cannot be read the HPA still knows how many there are, unless they are gone.
    fn without_workload(&self, unread: Unread) -> ReplicasObserved {
        let counted = self.hpa.as_ref().and_then(|hpa| hpa.current);
        ReplicasObserved {
            current: counted.filter(|_| unread.kind != UnreadKind::NotFound),
            hpa: self.hpa.as_ref().map(|hpa| hpa.observed.clone()),
            object: self.settings.clone(),
            unread: Some(unread),
            ..ReplicasObserved::default()
        }
    }
}
