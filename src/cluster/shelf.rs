//! What is kept of the objects that one watch covers, and how that watch fares.

use std::collections::BTreeMap;

use kube::api::DynamicObject;

use crate::model::time::Timestamp;
use crate::scaled_object::{ObjectKind, PodsWaiting, Unread, UnreadKind};

use super::object::{Described, describe};
use super::resource::{Resource, WatchScope};
use super::workload::{self, HpaObject, Job, Replicas, StuckPod};

/// The few fields of one object that are needed; the rest is dropped unseen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Object(Result<Described, Unread>),
    Autoscaler(HpaObject),
    Workload(Result<Replicas, Unread>),
    Job(Job),
    Pod(StuckPod),
}

/// One kind of object in one namespace.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    items: BTreeMap<String, Item>,
    /// Whether all of them were listed once: from then on an object that is not here does not exist.
    is_complete: bool,
    /// The last word from the API server.
    alive_at: Timestamp,
    /// Why nothing is heard now.
    fault: Option<Unread>,
}

impl Item {
    pub fn of(place: &WatchScope, found: &DynamicObject) -> Option<Self> {
        let resource = &place.resource;
        let is = |other: Resource| *resource == other;
        if is(Resource::scaled_objects()) {
            Some(Self::Object(describe(ObjectKind::ScaledObject, found)))
        } else if is(Resource::scaled_jobs()) {
            Some(Self::Object(describe(ObjectKind::ScaledJob, found)))
        } else if is(Resource::autoscalers()) {
            Some(Self::Autoscaler(workload::hpa(found)))
        } else if is(Resource::jobs()) {
            workload::job(found).map(Self::Job)
        } else if is(Resource::pods()) {
            workload::stuck_pod(found).map(Self::Pod)
        } else {
            Some(Self::Workload(workload::replicas(resource, found)))
        }
    }
}

impl Shelf {
    /// Everything, as listed. Whether anything is another than before.
    pub fn replace(&mut self, now: Timestamp, items: BTreeMap<String, Item>) -> bool {
        let news = !self.is_complete || self.fault.is_some() || items != self.items;
        self.items = items;
        self.is_complete = true;
        self.alive(now);
        news
    }

    /// One object as it is now; `None`: it is gone. Whether that is another than before.
    pub fn put(&mut self, now: Timestamp, name: String, item: Option<Item>) -> bool {
        self.alive(now);
        match item {
            None => self.items.remove(&name).is_some(),
            Some(item) if self.items.get(&name) == Some(&item) => false,
            Some(item) => {
                self.items.insert(name, item);
                true
            }
        }
    }

    /// A word from the API server, of whatever content. Whether it was silent or refused before.
    pub fn alive(&mut self, now: Timestamp) -> bool {
        self.alive_at = now;
        self.fault.take().is_some()
    }

    /// Whether that fault is another than before.
    pub fn fail(&mut self, fault: Unread) -> bool {
        let news = self.fault.as_ref() != Some(&fault);
        self.fault = Some(fault);
        news
    }

    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.get(name)
    }

    pub fn alive_at(&self) -> Timestamp {
        self.alive_at
    }

    pub fn fault(&self) -> Option<&Unread> {
        self.fault.as_ref()
    }

    /// Whether it is known which objects there are, now.
    pub fn is_certain(&self) -> bool {
        let is_unknown_kind = |fault: &Unread| fault.kind == UnreadKind::NotFound;
        match &self.fault {
            None => self.is_complete,
            Some(fault) => is_unknown_kind(fault),
        }
    }

    /// Neither an answer nor a fault yet.
    pub fn is_pending(&self) -> bool {
        !self.is_complete && self.fault.is_none()
    }

    /// Why most of the pods wait that do, and how often all these were restarted.
    pub fn pods_waiting(&self) -> Option<PodsWaiting> {
        let mut by_reason: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for item in self.items.values() {
            if let Item::Pod(StuckPod { reason, restarts }) = item {
                let (pods, all) = by_reason.entry(reason).or_default();
                (*pods, *all) = (*pods + 1, all.saturating_add(*restarts));
            }
        }
        let most = by_reason.into_iter().max_by_key(|(_, (pods, _))| *pods)?;
        let (reason, (pods, restarts)) = most;
        Some(PodsWaiting {
            reason: reason.to_owned(),
            pods,
            restarts,
        })
    }

    /// Jobs of a ScaledJob that neither ended well nor badly.
    pub fn running_jobs(&self, scaled_job: &str) -> u32 {
        let runs =
            |item: &&Item| matches!(item, Item::Job(job) if job.runs && job.of == scaled_job);
        u32::try_from(self.items.values().filter(runs).count()).unwrap_or(u32::MAX)
    }
}
