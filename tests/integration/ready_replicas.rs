//! What the policy makes of replicas that the Kubernetes API tells of: the count that runs, and pods that hang.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::replicas::ReplicaSource;
use streamgauge::policy::rule::Limit;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::scaled_object::{ObjectSettings, Pause, PodsWaiting, ReplicasObserved};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// One partition into which `arrivals` messages per second flow and out of which nothing comes, polled every 5 s; the
/// Kubernetes API is asked every 10 s.
struct World {
    second: u64,
    added: u64,
    consumers: Option<u32>,
    pods: Option<ReplicasObserved>,
    state: GroupState,
    key: TargetKey,
}

impl World {
    fn new() -> Self {
        let key = TargetKey {
            namespace: "shop".into(),
            name: "worker".into(),
            metadata_hash: 1,
        };
        let settings = PolicySettings {
            capacity_per_replica: Some(100.0),
            min_replicas: Some(1),
            max_replicas: Some(50),
            ..PolicySettings::default()
        };
        let mut state = GroupState::new(CapacityRules::default());
        state.apply(&Event {
            at: START,
            what: What::TargetRegistered(key.clone(), Box::new(settings.resolve())),
        });
        Self {
            second: 0,
            added: 0,
            consumers: None,
            pods: None,
            state,
            key,
        }
    }

    fn play(&mut self, seconds: u64, arrivals: u64) -> Decision {
        for _ in 0..seconds {
            self.second += 1;
            self.added += arrivals;
            let at = START.plus(Duration::from_secs(self.second));
            if self.second.is_multiple_of(10)
                && let Some(pods) = &self.pods
            {
                let reading = Box::new(Ok(pods.clone()));
                let what = What::ReplicasObserved(self.key.clone(), reading);
                self.state.apply(&Event { at, what });
            }
            if self.second.is_multiple_of(5) {
                let what = What::Observed(Ok(self.sample()));
                self.state.apply(&Event { at, what });
            }
        }
        self.state.targets()[&self.key].decision.clone().unwrap()
    }

    fn sample(&self) -> Sample {
        let partition = PartitionSample {
            log_end: Some(self.added),
            length: self.added,
            lag: Some(Quantity::Exact(self.added)),
            delivered: Some(Position::default()),
            delivered_count: Some(0),
            ..PartitionSample::default()
        };
        Sample {
            partitions: BTreeMap::from([(
                PartitionId::new("0"),
                PartitionObservation::Present(partition),
            )]),
            consumers: self.consumers,
            ..Sample::default()
        }
    }
}

fn pods(asked: u32, ready: u32) -> Option<ReplicasObserved> {
    Some(ReplicasObserved {
        current: Some(asked),
        asked: Some(asked),
        ready: Some(ready),
        ..ReplicasObserved::default()
    })
}

#[test]
fn the_current_count_is_the_cluster_s_where_it_is_visible_and_the_consumers_otherwise() {
    let mut world = World::new();
    world.consumers = Some(3);
    let decision = world.play(30, 10);
    let source = |d: &Decision| (d.inputs.current, d.inputs.current_source);
    assert_eq!(source(&decision), (Some(3), ReplicaSource::Consumers));
    world.pods = pods(5, 4);
    let decision = world.play(30, 10);
    assert_eq!(source(&decision), (Some(5), ReplicaSource::Kubernetes));
    assert_eq!(decision.inputs.ready, Some(4));
    world.pods = None;
    let decision = world.play(119, 10);
    assert_eq!(source(&decision), (Some(5), ReplicaSource::Kubernetes));
    let decision = world.play(5, 10);
    assert_eq!(source(&decision), (Some(3), ReplicaSource::Consumers));
    world.consumers = None;
    let decision = world.play(5, 10);
    assert_eq!(source(&decision), (None, ReplicaSource::Unknown));
    assert!(decision.desired.is_some(), "it goes on in all three");
}

#[test]
fn a_visible_count_answers_at_once_after_a_start_and_never_below_it() {
    let mut blind = World::new();
    assert_eq!(blind.play(10, 10).desired, None);
    let mut seeing = World::new();
    seeing.pods = pods(9, 9);
    let decision = seeing.play(10, 10);
    assert_eq!((decision.desired, decision.limit), (Some(9), Limit::WarmUp));
}

#[test]
fn while_pods_hang_a_growing_backlog_raises_nothing_and_nothing_is_taken_away() {
    let mut world = World::new();
    world.pods = pods(4, 4);
    let before = world.play(60, 150).desired.unwrap();
    // Three lose their node. The work goes on growing; for as long as a start takes, so does the answer.
    world.pods = pods(4, 1);
    let starting = world.play(60, 150);
    assert_ne!(starting.limit, Limit::PodsNotReady);
    assert!(starting.desired.unwrap() > before);
    world.play(70, 150);
    let held = world.play(40, 150);
    assert_eq!(held.limit, Limit::PodsNotReady);
    assert_eq!(
        held.text.split_once(". ").unwrap().1,
        "3 of 4 pods have not been ready since 2023-11-14T22:14:30Z; more replicas would not help until they are."
    );
    let later = world.play(600, 150);
    assert_eq!(later.desired, held.desired, "not up, not down");
    assert!(Some(later.steps.demand()) > later.desired.map(u64::from));
    assert_eq!(
        later.metric.unwrap().as_f64(),
        f64::from(held.desired.unwrap())
    );
    world.pods = pods(held.desired.unwrap(), held.desired.unwrap());
    let free = world.play(20, 150);
    assert_ne!(free.limit, Limit::PodsNotReady);
    assert!(free.desired > held.desired);
}

#[test]
fn a_start_without_memory_on_hanging_pods_holds_what_was_asked_for() {
    let mut world = World::new();
    world.pods = pods(8, 2);
    world.play(125, 0);
    let decision = world.play(60, 400);
    assert_eq!(
        (decision.desired, decision.limit),
        (Some(8), Limit::PodsNotReady)
    );
}

#[test]
fn a_paused_object_is_said_and_decided_for_all_the_same() {
    let mut world = World::new();
    world.pods = pods(3, 3).map(|pods| ReplicasObserved {
        object: ObjectSettings {
            paused: Some(Pause::At(3)),
            ..ObjectSettings::default()
        },
        ..pods
    });
    let decision = world.play(60, 400);
    assert!(decision.desired.unwrap() > 3);
    assert_eq!(decision.inputs.paused, Some(Pause::At(3)));
    assert!(decision.text.ends_with(
        "The ScaledObject is paused at 3 (autoscaling.keda.sh/paused-replicas): KEDA does not apply the replica count."
    ));
}

#[test]
fn readings_survive_a_journal() {
    let event = Event {
        at: START,
        what: What::ReplicasObserved(TargetKey::default(), Box::new(Ok(pods(8, 2).unwrap()))),
    };
    let line = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
}

#[test]
fn the_sentence_on_pods_that_hang_names_why_they_wait() {
    let mut world = World::new();
    let waiting = PodsWaiting {
        reason: "CrashLoopBackOff".into(),
        pods: 3,
        restarts: 12,
    };
    world.pods = pods(5, 2).map(|seen| ReplicasObserved {
        waiting: Some(waiting),
        ..seen
    });
    world.play(125, 0);
    let decision = world.play(60, 400);
    assert_eq!(decision.limit, Limit::PodsNotReady, "{}", decision.text);
    let words =
        "Z (3 in CrashLoopBackOff, 12 restarts); more replicas would not help until they are.";
    assert!(decision.text.contains(words), "{}", decision.text);
}
