//! A fault of the program that shows while one group is told something: it costs that group what it knew, and no other anything.

use std::pin::Pin;
use std::task::{Context, Wake, Waker};

use super::*;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample};

/// Who follows a group and fails as soon as there is something to see: within whatever tells the group.
struct Failing;

impl Wake for Failing {
    fn wake(self: Arc<Self>) {
        panic!("a fault of the program");
    }
}

/// The next change of what is published of the group fails, as long as this is kept.
#[must_use]
fn fails_once(group: &Group) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut changes = group.subscribe();
    let mut follower = Box::pin(async move { drop(changes.changed().await) });
    let waker = Waker::from(Arc::new(Failing));
    let polled = follower.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    follower
}

/// Polled once, with something to do.
fn observe(group: &Group, now: Timestamp) {
    let partition = PartitionSample {
        lag: Some(Quantity::Exact(9)),
        ..PartitionSample::default()
    };
    let seen = PartitionObservation::Present(partition);
    let sample = Sample {
        partitions: [(PartitionId::new("0"), seen)].into(),
        ..Sample::default()
    };
    let what = What::Observed(Ok(sample));
    group.apply(&Event { at: now, what });
}

fn answers(target: &Target, now: Timestamp) -> bool {
    target.group.activity(&target.key, now) == Ok(true)
}

/// Two groups that are polled and asked for; the first is about to fail.
struct Scene {
    registry: Registry,
    failing: Arc<Target>,
    other: Arc<Target>,
}

impl Scene {
    fn of(failing: &HashMap<String, String>, other: &HashMap<String, String>) -> Self {
        let registry = registry();
        let ask = |namespace, metadata| registry.resolve(namespace, "a", metadata, NOW).unwrap();
        let (failing, other) = (ask("shop", failing), ask("ops", other));
        for target in [&failing, &other] {
            observe(&target.group, NOW);
            assert!(answers(target, NOW));
        }
        Self {
            registry,
            failing,
            other,
        }
    }

    /// The one failed once and was told of, the other noticed nothing.
    fn check(&self, now: Timestamp) {
        assert_eq!(self.failing.group.restarts(), 1, "it failed and is counted");
        assert_eq!(self.other.group.restarts(), 0);
        assert!(answers(&self.other, now));
        self.registry.wait_for_lock();
    }
}

#[test]
fn a_group_that_fails_while_keda_asks_for_it_is_registered_and_answers_from_its_next_poll_on() {
    let scene = Scene::of(&billing(&[]), &inline("mail"));
    let follower = fails_once(&scene.failing.group);
    let metadata = billing(&[("maxReplicas", "7")]);
    let new = scene.registry.resolve("shop", "b", &metadata, at(1));
    drop(follower);
    let new = new.expect("the call is answered");
    scene.check(at(1));
    assert!(scene.failing.group.snapshot().facts.partitions.is_empty());
    observe(&scene.failing.group, at(2));
    for target in [&new, &scene.failing] {
        assert!(answers(target, at(2)), "{:?}", target.key);
    }
}

#[test]
fn a_group_that_fails_while_a_target_expires_holds_no_other_target_back() {
    let scene = Scene::of(&inline("mail"), &billing(&[]));
    let registry = &scene.registry;
    let ask = |name, group, now| {
        let asked = registry.resolve("shop", name, &inline(group), now);
        asked.unwrap()
    };
    let also = ask("also", "audit", NOW);
    let later = NOW.plus(EXPIRES_AFTER);
    let kept = ask("kept", "mail", later);
    registry.resolve("ops", "a", &billing(&[]), later).unwrap();
    observe(&scene.other.group, later);
    let follower = fails_once(&scene.failing.group);
    registry.expire(later);
    drop(follower);
    scene.check(later);
    assert!(scene.failing.is_gone() && also.is_gone() && !kept.is_gone());
    assert!(also.group.is_retired() && !kept.group.is_retired());
    observe(&kept.group, later);
    assert!(answers(&kept, later));
    assert!(!answers(&scene.failing, later), "it was told all the same");
}

#[test]
fn a_group_that_fails_while_a_configuration_is_put_in_force_leaves_the_rest_of_it_in_force() {
    let scene = Scene::of(&inline("mail"), &billing(&[]));
    let registry = &scene.registry;
    let ask = |name| registry.resolve("ops", name, &inline("mail"), at(1));
    ask("kept").expect("its namespace may");
    let text = CONFIG
        .replace(r#"namespaces: ["*"]"#, r#"namespaces: ["ops"]"#)
        .replace(
            "\ngroups:",
            "\ngroups:\n  - { name: new, source: main, stream: x, consumer_group: new }",
        );
    let config = Config::parse(&text, "test.yaml").expect("a valid config");
    let follower = fails_once(&scene.failing.group);
    registry.reconfigure(config, &BTreeSet::new(), at(1));
    drop(follower);
    scene.check(at(1));
    assert_eq!(registry.groups().len(), 3, "the new one among them");
    assert!(scene.failing.is_gone(), "its namespace may not any more");
    let kept = ask("kept").expect("its namespace still may");
    assert!(Arc::ptr_eq(&kept.group, &scene.failing.group));
    observe(&kept.group, at(2));
    assert!(answers(&kept, at(2)) && !answers(&scene.failing, at(2)));
}
