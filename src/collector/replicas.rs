//! Per ScaledObject or ScaledJob that asks: follow it in the Kubernetes API → observe, for as long as it asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::cluster::{Cluster, ObjectName, Presence, SeenObject, Watches};
use crate::group::event::{Event, TargetKey, What};
use crate::model::time::Timestamp;
use crate::publish::contained::contained;
use crate::registry::agreement::contradictions;
use crate::registry::{Registry, Target};
use crate::scaled_object::{ReplicasObserved, Unread};

use super::keep_going::RESTS_FOR;

/// How often it is looked who asks no more, and what is to be said again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Changes that come together are taken in together.
const SETTLE: Duration = Duration::from_millis(100);

/// KEDA may ask for a new object before the watch shows it.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// An object that no watch ever showed may be one of another cluster's KEDA. It goes when nobody asked for so long.
const NEVER_SEEN: Duration = Duration::from_secs(600);

type ReplicasReading = Result<ReplicasObserved, Unread>;

/// Follows every object that the registry knows. Never ends on its own; reads nothing while the cluster is not to be read. What fails
/// costs its own object, and the groups of its triggers, a moment.
pub async fn watch_replicas(registry: Arc<Registry>, cluster: Arc<Cluster>, clock: Clock) {
    let mut watches = Watches::default();
    let mut follower = Follower::default();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = cluster.news() => tokio::time::sleep(SETTLE).await,
            // Its next answer should know what runs.
            () = registry.newcomers() => tokio::time::sleep(SETTLE / 10).await,
            failed = watches.failed() => {
                tracing::error!("a Kubernetes watch failed and is restarting: {failed}");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        let interval = cluster.poll_interval();
        registry.read_objects(interval.is_some());
        let objects = match interval {
            Some(_) => asking(&registry),
            None => BTreeMap::new(),
        };
        if interval.is_none() && !follower.present.is_empty() {
            registry.forget_triggers();
        }
        let names: BTreeSet<ObjectName> = objects.keys().cloned().collect();
        cluster.follow(&mut watches, &names);
        follower.keep(&names, &registry);
        for (name, targets) in objects {
            let seen = cluster.seen(&name);
            let now = clock.now();
            let each = interval.unwrap_or(LOOK_EVERY);
            if follower.rests(&name, now) {
                continue;
            }
            let groups = targets.iter().map(|target| target.group.as_ref());
            let done = contained(groups, now, || {
                follower.take_in(&cluster, &registry, (&name, &targets), seen, (now, each));
            });
            if done.is_none() {
                follower.failed.insert(name, now);
            }
        }
    }
}

/// Every object with its triggers.
fn asking(registry: &Registry) -> BTreeMap<ObjectName, Vec<Arc<Target>>> {
    let mut objects: BTreeMap<ObjectName, Vec<Arc<Target>>> = BTreeMap::new();
    for target in registry.targets() {
        let name = ObjectName {
            namespace: target.key.namespace.clone(),
            name: target.key.name.clone(),
        };
        objects.entry(name).or_default().push(target);
    }
    objects
}

/// What was passed on already.
#[derive(Default)]
struct Follower {
    /// Objects that were there once, with the triggers that they had.
    present: BTreeMap<ObjectName, Vec<u64>>,
    applied: HashMap<TargetKey, Applied>,
    said: BTreeMap<TargetKey, Vec<String>>,
    /// Objects with which something failed, and when.
    failed: BTreeMap<ObjectName, Timestamp>,
}

/// The last reading that a target was told.
struct Applied {
    target: Arc<Target>,
    at: Timestamp,
    reading: ReplicasReading,
}

impl Follower {
    fn keep(&mut self, names: &BTreeSet<ObjectName>, registry: &Registry) {
        self.present.retain(|name, _| names.contains(name));
        self.failed.retain(|name, _| names.contains(name));
        self.applied.retain(|key, _| registry.has_target(key));
        self.said.retain(|key, _| registry.has_target(key));
    }

    fn rests(&self, name: &ObjectName, now: Timestamp) -> bool {
        let failed = self.failed.get(name);
        failed.is_some_and(|at| now.since(*at) < RESTS_FOR)
    }

    fn take_in(
        &mut self,
        cluster: &Cluster,
        registry: &Registry,
        (name, targets): (&ObjectName, &[Arc<Target>]),
        seen: SeenObject,
        (now, each): (Timestamp, Duration),
    ) {
        let absent = seen.presence == Presence::Absent;
        match seen.presence {
            Presence::Present(order) => self.note_triggers(registry, (name, targets), order, now),
            Presence::Absent if self.is_deleted(name, targets, now) => {
                self.present.remove(name);
                if registry.remove_object(&name.namespace, &name.name, now) {
                    let object = format!("{}/{}", name.namespace, name.name);
                    tracing::info!(object, "the object was deleted; its targets are removed");
                }
                return;
            }
            Presence::Absent | Presence::Unknown => {}
        }
        let Some(reading) = seen.reading else { return };
        let fault = match &reading {
            Ok(seen) => seen.unread.as_ref(),
            Err(unread) => Some(unread),
        };
        let mut is_news = false;
        for target in targets {
            let is_new = now.since(target.registered_at()) < WATCH_LAG;
            if absent && is_new {
                continue;
            }
            is_news |= self.apply(target, &reading, seen.at, (now, each));
        }
        if !is_news {
            return;
        }
        cluster.note(name, fault);
        if let Ok(seen) = &reading {
            for target in targets {
                let texts = contradictions(&target.spec, &seen.object);
                say_once(&mut self.said, target.key.clone(), texts);
            }
        }
    }

    /// Whether it was there and is not any more, or never was and nobody asks for it.
    fn is_deleted(&self, name: &ObjectName, targets: &[Arc<Target>], now: Timestamp) -> bool {
        let unasked = |limit: Duration| targets.iter().all(|t| now.since(t.called_at()) >= limit);
        match self.present.contains_key(name) {
            // KEDA's last calls may be on their way.
            true => unasked(LOOK_EVERY),
            false => unasked(NEVER_SEEN),
        }
    }

    fn note_triggers(
        &mut self,
        registry: &Registry,
        (name, targets): (&ObjectName, &[Arc<Target>]),
        order: Vec<u64>,
        now: Timestamp,
    ) {
        let is_known = self.present.get(name) == Some(&order);
        let is_listed = |target: &Arc<Target>| order.contains(&target.key.metadata_hash);
        if !is_known || !targets.iter().all(is_listed) {
            registry.note_triggers(&name.namespace, &name.name, &order, now);
            self.present.insert(name.clone(), order);
        }
    }

    /// Tells a target what is new to it. What is not is told again regularly, with the time up to which it is certain: it
    /// ages while the watch is silent.
    fn apply(
        &mut self,
        target: &Arc<Target>,
        reading: &ReplicasReading,
        certain_at: Timestamp,
        (now, each): (Timestamp, Duration),
    ) -> bool {
        let before = self.applied.get(&target.key);
        let before = before.filter(|applied| Arc::ptr_eq(&applied.target, target));
        let (is_news, at) = match before {
            Some(applied) if applied.reading == *reading => {
                let at = if reading.is_ok() { certain_at } else { now };
                if at.since(applied.at) < each {
                    return false;
                }
                (false, at)
            }
            _ => (true, now),
        };
        let what = What::ReplicasObserved(target.key.clone(), Box::new(reading.clone()));
        target.group.apply(&Event { at, what });
        let applied = Applied {
            target: Arc::clone(target),
            at,
            reading: reading.clone(),
        };
        self.applied.insert(target.key.clone(), applied);
        is_news
    }
}

/// Logs contradictions when they are new or others than before.
fn say_once(said: &mut BTreeMap<TargetKey, Vec<String>>, key: TargetKey, now: Vec<String>) {
    let before = said.entry(key.clone()).or_default();
    if *before == now {
        return;
    }
    let scaled_object = format!("{}/{}", key.namespace, key.name);
    if now.is_empty() {
        tracing::info!(scaled_object, "the ScaledObject agrees with the policy now");
    }
    for text in now.iter().filter(|text| !before.contains(text)) {
        tracing::warn!(scaled_object, "{text}");
    }
    *before = now;
}
