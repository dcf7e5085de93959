//! One ScaledObject or ScaledJob as all watches together show it.

use crate::model::time::Timestamp;
use crate::scaled_object::{ReplicasObserved, Unread, UnreadKind};

use super::failure::unread;
use super::object::{Described, ObjectName, ScaleTarget};
use super::resource::{Resource, WatchScope};
use super::shared::Inner;
use super::shelf::{Item, Shelf};
use super::workload::{HpaObject, Replicas};

/// What is known of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenObject {
    /// Its replicas and settings, or why they are unknown; `None` while the first answers are on their way.
    pub reading: Option<Result<ReplicasObserved, Unread>>,
    /// Up to when that is certain: the last word of the watch that has been silent the longest.
    pub at: Timestamp,
    /// Whether it exists.
    pub presence: Presence,
}

/// Whether an object exists.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// Unknown now.
    Unknown,
    /// There is neither a ScaledObject nor a ScaledJob of that name.
    Absent,
    /// It exists, with these external triggers: the fingerprints of their metadata in the order of its spec.
    Present(Vec<u64>),
}

impl SeenObject {
    fn failed(unread: &Unread) -> Self {
        Self {
            reading: Some(Err(unread.clone())),
            at: Timestamp::default(),
            presence: Presence::Unknown,
        }
    }

    fn pending() -> Self {
        Self {
            reading: None,
            at: Timestamp::default(),
            presence: Presence::Unknown,
        }
    }
}

impl Inner {
    pub fn seen(&self, name: &ObjectName) -> SeenObject {
        let absent = || {
            let text = format!(
                "there is no ScaledObject or ScaledJob {}/{}",
                name.namespace, name.name
            );
            unread(UnreadKind::NotFound, text)
        };
        if !name.is_possible() {
            return SeenObject::failed(&absent());
        }
        let kinds = [Resource::scaled_objects(), Resource::scaled_jobs()];
        let shelves = kinds.map(|kind| self.shelf(&name.namespace, kind));
        for shelf in shelves.into_iter().flatten() {
            if let Some(Item::Object(object)) = shelf.item(&name.name) {
                return match (shelf.fault(), object) {
                    (Some(unread), _) | (None, Err(unread)) => SeenObject::failed(unread),
                    (None, Ok(described)) => self.of_object(name, shelf, described),
                };
            }
        }
        let [Some(objects), Some(jobs)] = shelves else {
            return SeenObject::pending();
        };
        match (objects.fault(), jobs.fault()) {
            _ if objects.fault().is_none() && objects.is_certain() && jobs.is_certain() => {
                SeenObject {
                    reading: Some(Err(absent())),
                    at: objects.alive_at(),
                    presence: Presence::Absent,
                }
            }
            (Some(unread), _) => SeenObject::failed(unread),
            (None, Some(unread)) if !objects.is_pending() => SeenObject::failed(unread),
            _ => SeenObject::pending(),
        }
    }

    /// What else has to be watched to know all of an object.
    pub fn places_of(&self, name: &ObjectName) -> Vec<WatchScope> {
        let place = |resource| WatchScope::new(&name.namespace, resource);
        let mut places = vec![
            place(Resource::scaled_objects()),
            place(Resource::scaled_jobs()),
        ];
        let object = places
            .iter()
            .find_map(|of| self.shelves.get(of)?.item(&name.name));
        if let Some(Item::Object(Ok(described))) = object {
            match &described.target {
                Some(target) => {
                    places.push(place(target.resource.clone()));
                    places.extend(self.pods_place(&name.namespace, target));
                }
                None => places.push(place(Resource::jobs())),
            }
            if described.hpa_name.is_some() {
                places.push(place(Resource::autoscalers()));
            }
        }
        places
    }

    /// Its pods, while some are not ready: else nobody asks why.
    fn pods_place(&self, namespace: &str, target: &ScaleTarget) -> Option<WatchScope> {
        let workloads = self.shelf(namespace, target.resource.clone())?;
        let Item::Workload(Ok(replicas)) = workloads.item(&target.name)? else {
            return None;
        };
        let is_short = replicas.ready? < replicas.asked.unwrap_or(replicas.current);
        let selector = replicas.selector.as_ref().filter(|_| is_short)?;
        Some(WatchScope::pods(namespace, selector))
    }

    fn shelf(&self, namespace: &str, resource: Resource) -> Option<&Shelf> {
        self.shelves.get(&WatchScope::new(namespace, resource))
    }

    fn of_object(&self, name: &ObjectName, shelf: &Shelf, described: &Described) -> SeenObject {
        let hpas = self.shelf(&name.namespace, Resource::autoscalers());
        let hpa_name = described.hpa_name.as_deref();
        let hpa = hpa_name.and_then(|hpa| match hpas?.item(hpa)? {
            Item::Autoscaler(hpa) => Some(hpa),
            _ => None,
        });
        let waits_for_hpa = hpa_name.is_some() && hpas.is_none_or(Shelf::is_pending);
        let (at, reading) = match &described.target {
            Some(target) => self.of_target(name, target, described, hpa),
            None => (None, self.of_jobs(name, described)),
        };
        let alive_at = shelf.alive_at();
        SeenObject {
            reading: reading.filter(|_| !waits_for_hpa),
            at: at.map_or(alive_at, |at| alive_at.min(at)),
            presence: Presence::Present(described.triggers.clone()),
        }
    }

    fn of_target(
        &self,
        name: &ObjectName,
        target: &ScaleTarget,
        described: &Described,
        hpa: Option<&HpaObject>,
    ) -> (Option<Timestamp>, Option<Result<ReplicasObserved, Unread>>) {
        let shelf = self.shelf(&name.namespace, target.resource.clone());
        let Some(shelf) = shelf.filter(|shelf| !shelf.is_pending()) else {
            return (None, None);
        };
        let at = shelf.alive_at();
        let reading = match (shelf.fault(), shelf.item(&target.name)) {
            (Some(unread), _) if unread.kind.is_outage() => {
                return (Some(at), Some(Err(unread.clone())));
            }
            (Some(unread), _) => {
                // Nothing is heard of it any more: what is certain is what the object itself says.
                return (
                    None,
                    Some(Ok(without_workload(described, hpa, unread.clone()))),
                );
            }
            (None, Some(Item::Workload(Ok(replicas)))) => {
                let pods = self.pods_place(&name.namespace, target);
                let pods = pods.and_then(|place| self.shelves.get(&place));
                ReplicasObserved {
                    waiting: pods.and_then(Shelf::pods_waiting),
                    ..with(described, hpa, replicas)
                }
            }
            (None, Some(Item::Workload(Err(unread)))) => {
                without_workload(described, hpa, unread.clone())
            }
            (None, _) => {
                let kind = &target.resource.kind;
                let text = format!("there is no {kind} {}/{}", name.namespace, target.name);
                without_workload(described, hpa, unread(UnreadKind::NotFound, text))
            }
        };
        (Some(at), Some(Ok(reading)))
    }

    /// What runs are its jobs; how ready they are is nobody's business.
    fn of_jobs(
        &self,
        name: &ObjectName,
        described: &Described,
    ) -> Option<Result<ReplicasObserved, Unread>> {
        let jobs = self.shelf(&name.namespace, Resource::jobs())?;
        if jobs.is_pending() {
            return None;
        }
        let running = jobs
            .fault()
            .is_none()
            .then(|| jobs.running_jobs(&name.name));
        Some(Ok(ReplicasObserved {
            current: running,
            object: described.settings.clone(),
            unread: jobs.fault().cloned(),
            ..ReplicasObserved::default()
        }))
    }
}

fn with(described: &Described, hpa: Option<&HpaObject>, replicas: &Replicas) -> ReplicasObserved {
    ReplicasObserved {
        current: Some(replicas.current),
        asked: replicas.asked,
        ready: replicas.ready,
        updated: replicas.updated,
        hpa: hpa.map(|hpa| hpa.observed.clone()),
        object: described.settings.clone(),
        unread: None,
        waiting: None,
    }
}

/// Where the target itself cannot be read the HPA still knows how many there are, unless they are gone.
fn without_workload(
    described: &Described,
    hpa: Option<&HpaObject>,
    unread: Unread,
) -> ReplicasObserved {
    let counted = hpa.and_then(|hpa| hpa.current);
    ReplicasObserved {
        current: counted.filter(|_| unread.kind != UnreadKind::NotFound),
        hpa: hpa.map(|hpa| hpa.observed.clone()),
        object: described.settings.clone(),
        unread: Some(unread),
        ..ReplicasObserved::default()
    }
}

#[cfg(test)]
mod tests;
