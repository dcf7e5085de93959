//! Per ScaledObject that asks: read the Kubernetes API → observe, for as long as it asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::{Cluster, ObjectName};
use crate::policy::agreement::contradictions;
use crate::policy::event::{Event, TargetKey, What};
use crate::registry::{Registry, Target};

/// How often it is looked whether an object is due. A new one is read within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An object that could not be read is tried again at least this often.
const RETRY: Duration = Duration::from_secs(5);

/// Objects read at a time.
const IN_FLIGHT: usize = 8;

/// Follows every ScaledObject that the registry knows. Never ends on its own; reads nothing while the cluster is not to be
/// read.
pub async fn watch_replicas(registry: Arc<Registry>, cluster: Arc<Cluster>, clock: Clock) {
    let mut due: BTreeMap<ObjectName, Instant> = BTreeMap::new();
    let mut said: BTreeMap<TargetKey, Vec<String>> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Some(poll_interval) = cluster.poll_interval() else {
            due.clear();
            continue;
        };
        let objects = asking(&registry);
        let wanted: BTreeSet<ObjectName> = objects.keys().cloned().collect();
        due.retain(|name, _| wanted.contains(name));
        cluster.keep(&wanted);
        let now = Instant::now();
        let is_due = |name: &ObjectName| due.get(name).is_none_or(|at| *at <= now);
        let readings = objects
            .into_iter()
            .filter(|(name, _)| is_due(name))
            .map(|(name, targets)| read(&cluster, clock, name, targets));
        let read: Vec<Reading> = futures_util::stream::iter(readings)
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        said.retain(|key, _| registry.has_target(key));
        for reading in read {
            let pause = match reading.said {
                Some(_) => poll_interval,
                None => poll_interval.min(RETRY),
            };
            due.insert(reading.name, now + pause);
            for (key, text) in reading.said.into_iter().flatten() {
                say_once(&mut said, key, text);
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

/// One object that was read.
struct Reading {
    name: ObjectName,
    /// What about it contradicts each trigger; `None` if it could not be read.
    said: Option<Vec<(TargetKey, Vec<String>)>>,
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

/// Reads one object and tells all its triggers.
async fn read(
    cluster: &Cluster,
    clock: Clock,
    name: ObjectName,
    targets: Vec<Arc<Target>>,
) -> Reading {
    // The start of the reading, so that it is never taken for fresher than it is.
    let at = clock.now();
    let reading = cluster.read(&name).await;
    let said = reading.as_ref().ok().map(|seen| {
        let of_target = |target: &Arc<Target>| {
            let text = contradictions(&target.spec, &seen.object);
            (target.key.clone(), text)
        };
        targets.iter().map(of_target).collect()
    });
    for target in targets {
        let what = What::ReplicasObserved(target.key.clone(), Box::new(reading.clone()));
        target.group.apply(&Event { at, what });
    }
    Reading { name, said }
}
