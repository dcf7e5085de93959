//! What watches in every state make of one object.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::config::kubernetes::KubernetesConfig;
use crate::scaled_object::ObjectKind;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// After so many seconds.
fn at(seconds: u64) -> Timestamp {
    NOW.plus(std::time::Duration::from_secs(seconds))
}

fn name() -> ObjectName {
    ObjectName {
        namespace: "shop".to_owned(),
        name: "worker".to_owned(),
    }
}

fn place(resource: Resource) -> WatchScope {
    WatchScope::new("shop", resource)
}

fn item(of: &WatchScope, content: Value) -> Item {
    let found: DynamicObject =
        serde_json::from_value(content).unwrap_or_else(|error| panic!("{error}"));
    Item::of(of, &found).unwrap_or_else(|| panic!("an item"))
}

fn deployments() -> WatchScope {
    place(Resource::new("apps", "v1", "Deployment", "deployments"))
}

struct World(Inner);

impl World {
    fn new() -> Self {
        let mut inner = Inner::new(&KubernetesConfig::default(), 1);
        for place in inner.places_of(&name()) {
            inner.shelves.insert(place, Shelf::default());
        }
        Self(inner)
    }

    fn list(&mut self, of: WatchScope, seconds: u64, content: Option<Value>) {
        let items = content.map(|content| ("worker".to_owned(), item(&of, content)));
        let items: BTreeMap<String, Item> = items.into_iter().collect();
        let shelf = self.0.shelves.entry(of).or_default();
        shelf.replace(at(seconds), items);
    }

    fn fail(&mut self, of: WatchScope, kind: UnreadKind) {
        let shelf = self.0.shelves.entry(of).or_default();
        shelf.fail(unread(kind, "no"));
    }

    fn seen(&self) -> SeenObject {
        self.0.seen(&name())
    }

    /// The count, or why there is none.
    fn count(&self) -> Option<Result<Option<u32>, UnreadKind>> {
        let reading = self.seen().reading?;
        Some(
            reading
                .map(|seen| seen.current)
                .map_err(|unread| unread.kind),
        )
    }

    /// An object with a target of `pods`.
    fn complete(pods: u32) -> Self {
        let mut world = Self::new();
        let spec = json!({"scaleTargetRef": {"name": "worker"}, "triggers": []});
        world.list(
            place(Resource::scaled_objects()),
            0,
            Some(json!({"spec": spec})),
        );
        world.list(place(Resource::scaled_jobs()), 0, None);
        let deployment = json!({"spec": {"replicas": pods}, "status": {"replicas": pods}});
        world.list(deployments(), 0, Some(deployment));
        world
    }
}

#[test]
fn nothing_is_said_before_every_watch_has_answered() {
    let mut world = World::new();
    assert_eq!(world.seen().presence, Presence::Unknown);
    world.list(place(Resource::scaled_objects()), 0, None);
    assert_eq!(world.count(), None, "it may be a ScaledJob");
    world.list(place(Resource::scaled_jobs()), 0, None);
    assert_eq!(world.seen().presence, Presence::Absent);
    assert_eq!(world.count(), Some(Err(UnreadKind::NotFound)));
    let spec = json!({"spec": {"scaleTargetRef": {"name": "worker"}}});
    world.list(place(Resource::scaled_objects()), 0, Some(spec));
    assert_eq!(world.seen().presence, Presence::Present(Vec::new()));
    assert_eq!(world.count(), None, "its target is on its way");
    assert!(world.0.places_of(&name()).contains(&deployments()));
    assert_eq!(World::complete(7).count(), Some(Ok(Some(7))));
}

#[test]
fn a_reading_is_as_old_as_the_last_word_of_the_quietest_watch() {
    let mut world = World::complete(7);
    world.list(
        place(Resource::scaled_objects()),
        40,
        Some(json!({"spec": {"scaleTargetRef": {"name": "worker"}}})),
    );
    assert_eq!(
        world.seen().at,
        at(0),
        "the Deployments' watch has been silent since"
    );
    let shelf = world.0.shelves.get_mut(&deployments());
    shelf.map(|shelf| shelf.alive(at(30)));
    assert_eq!(world.seen().at, at(30));
}

#[test]
fn a_watch_that_fails_takes_what_it_showed_along() {
    let mut world = World::complete(7);
    world.fail(deployments(), UnreadKind::Timeout);
    assert_eq!(world.count(), Some(Err(UnreadKind::Timeout)));
    world.fail(deployments(), UnreadKind::Auth);
    assert_eq!(
        world.count(),
        Some(Ok(None)),
        "its settings are known all the same"
    );
    let mut world = World::complete(7);
    world.fail(place(Resource::scaled_objects()), UnreadKind::Unreachable);
    assert_eq!(world.count(), Some(Err(UnreadKind::Unreachable)));
    assert_eq!(world.seen().presence, Presence::Unknown, "nobody can tell");
}

#[test]
fn an_object_is_gone_only_where_both_kinds_are_certain() {
    let gone = |jobs: Option<UnreadKind>| {
        let mut world = World::complete(7);
        world.list(place(Resource::scaled_objects()), 1, None);
        if let Some(kind) = jobs {
            world.fail(place(Resource::scaled_jobs()), kind);
        }
        world.seen().presence
    };
    assert_eq!(gone(None), Presence::Absent);
    // A KEDA that does not know ScaledJobs.
    assert_eq!(gone(Some(UnreadKind::NotFound)), Presence::Absent);
    assert_eq!(gone(Some(UnreadKind::Auth)), Presence::Unknown);
    assert_eq!(gone(Some(UnreadKind::Unreachable)), Presence::Unknown);
}

#[test]
fn a_scaled_job_counts_its_jobs_that_have_not_ended() {
    let mut world = World::new();
    world.list(place(Resource::scaled_objects()), 0, None);
    let job = json!({"spec": {"triggers": []}});
    world.list(place(Resource::scaled_jobs()), 0, Some(job));
    assert_eq!(world.count(), None);
    let jobs = place(Resource::jobs());
    assert!(world.0.places_of(&name()).contains(&jobs));
    let of = |scaled_job: &str, ended: &str| {
        let labels = json!({"scaledjob.keda.sh/name": scaled_job});
        let conditions = json!([{"type": ended, "status": "True"}]);
        let content = json!({"metadata": {"labels": labels}, "status": {"conditions": conditions}});
        item(&jobs, content)
    };
    let all = [
        of("worker", "Suspended"),
        of("worker", "Suspended"),
        of("worker", "Complete"),
        of("worker", "Failed"),
        of("another", "Suspended"),
    ];
    let named = all.into_iter().enumerate();
    let items = named.map(|(n, item)| (n.to_string(), item)).collect();
    world
        .0
        .shelves
        .entry(jobs)
        .or_default()
        .replace(at(0), items);
    assert_eq!(world.count(), Some(Ok(Some(2))));
    let reading = world.seen().reading.and_then(Result::ok);
    let kind = reading.map(|seen| (seen.object.kind, seen.ready));
    assert_eq!(kind, Some((ObjectKind::ScaledJob, None)));
}
