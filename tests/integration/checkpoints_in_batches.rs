//! An event hub's group in virtual time whose consumers checkpoint in batches: what lies behind the checkpoints is mostly
//! processed already, and nobody may be scaled for it, kept for it, or lost over it.

use std::time::Duration;

use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::{Decision, Reason};
use streamgauge::policy::rule::Limit;
use streamgauge::policy::spec::{Measure, Mode, PolicySettings, TargetSpec};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const POLL: u64 = 15;
const PARTITIONS: usize = 8;

/// When a consumer writes a checkpoint.
#[derive(Clone, Copy)]
enum Checkpoints {
    EverySeconds(u64),
    EveryEvents(u64),
}

/// Consumers that keep up with everything as soon as there is one, each partition checkpointed on its own.
struct World {
    checkpoints: Checkpoints,
    enqueued: [u64; PARTITIONS],
    processed: [u64; PARTITIONS],
    committed: [(u64, u64); PARTITIONS],
    /// When the event after the checkpoint was enqueued.
    waiting_since: [Option<u64>; PARTITIONS],
    consumers: u32,
    second: u64,
    state: GroupState,
    key: TargetKey,
    read_limit_per_second: Option<f64>,
}

impl World {
    fn new(checkpoints: Checkpoints, settings: PolicySettings) -> Self {
        let key = TargetKey {
            namespace: "shop".into(),
            name: "worker".into(),
            metadata_hash: 0,
        };
        let mut state = GroupState::new(CapacityRules::default());
        let spec: TargetSpec = PolicySettings {
            assignment: Some(Assignment::Exclusive),
            ..settings
        }
        .resolve();
        state.apply(&Event {
            at: START,
            what: What::TargetRegistered(key.clone(), Box::new(spec)),
        });
        Self {
            checkpoints,
            enqueued: [0; PARTITIONS],
            processed: [0; PARTITIONS],
            committed: [(0, 0); PARTITIONS],
            waiting_since: [None; PARTITIONS],
            consumers: 3,
            second: 0,
            state,
            key,
            read_limit_per_second: None,
        }
    }

    /// Plays that many seconds with this many events per second, spread over the partitions; gives the last decision.
    fn play(&mut self, seconds: u64, per_second: u64) -> Decision {
        for _ in 0..seconds {
            self.second += 1;
            let before = self.enqueued;
            for n in 0..per_second {
                let partition = ((self.second * per_second + n) % PARTITIONS as u64) as usize;
                self.enqueued[partition] += 1;
                self.waiting_since[partition].get_or_insert(self.second);
            }
            if self.consumers > 0 {
                self.processed = self.enqueued;
            }
            self.checkpoint(before);
            if self.second.is_multiple_of(POLL) {
                self.poll();
            }
        }
        self.decision()
    }

    fn checkpoint(&mut self, before: [u64; PARTITIONS]) {
        for (p, before) in before.into_iter().enumerate() {
            let (committed, at) = self.committed[p];
            let new = self.processed[p] - committed;
            let due = match self.checkpoints {
                // As consumers do it: when an event comes and the time is over.
                Checkpoints::EverySeconds(every) => {
                    self.enqueued[p] > before && self.second >= at + every
                }
                Checkpoints::EveryEvents(every) => new >= every,
            };
            if due {
                let whole = match self.checkpoints {
                    Checkpoints::EverySeconds(_) => new,
                    Checkpoints::EveryEvents(every) => new / every * every,
                };
                self.committed[p] = (committed + whole, self.second);
                self.waiting_since[p] = (whole < new).then_some(self.second);
            }
        }
    }

    fn poll(&mut self) {
        let partitions = (0..PARTITIONS).map(|p| {
            let (committed, at) = self.committed[p];
            let position = |n: u64| Position { major: n, minor: 0 };
            let waited = self.waiting_since[p].map_or(0, |since| (self.second - since) * 1000);
            let sample = PartitionSample {
                log_end: Some(self.enqueued[p]),
                length: self.enqueued[p],
                lag: Some(Quantity::Exact(self.enqueued[p] - committed)),
                oldest_age_millis: Some(waited),
                committed_at: Some(START.plus(Duration::from_secs(at))),
                delivered: Some(position(committed)),
                delivered_count: Some(committed),
                oldest_kept: Some(position(0)),
                owner: (self.consumers > 0).then(|| format!("c{}", p as u32 % self.consumers)),
                ..PartitionSample::default()
            };
            (
                PartitionId::new(p.to_string()),
                PartitionObservation::Present(sample),
            )
        });
        let sample = Sample {
            partitions: partitions.collect(),
            consumers: Some(self.consumers),
            source_time: None,
            read_limit_per_second: self.read_limit_per_second,
            errors: None,
            holders: None,
        };
        self.state.apply(&Event {
            at: START.plus(Duration::from_secs(self.second)),
            what: What::Observed(Ok(sample)),
        });
    }

    fn decision(&self) -> Decision {
        let target = self.state.targets().get(&self.key).unwrap();
        target.decision.clone().unwrap()
    }

    fn backlog(&self) -> u64 {
        (0..PARTITIONS)
            .map(|p| self.enqueued[p] - self.committed[p].0)
            .sum()
    }
}

fn fifty_per_replica() -> PolicySettings {
    PolicySettings {
        capacity_per_replica: Some(50.0),
        ..PolicySettings::default()
    }
}

#[test]
fn nobody_is_scaled_up_for_events_that_only_wait_for_their_checkpoint() {
    let check = |checkpoints| {
        let mut world = World::new(checkpoints, fifty_per_replica());
        world.play(40 * 60, 100);
        // From now on the rhythm is known and the first scale-up forgotten.
        for minute in 0..30 {
            let decision = world.play(60, 100);
            // 3 by 80 % utilization on the way up, 4 by 75 % on the way down; by the whole backlog it would be all 8.
            assert!(
                decision.desired <= Some(4),
                "minute {minute}: {}",
                decision.text
            );
        }
        world.play(10, 100);
        assert!(
            world.backlog() > 500,
            "there is a phantom backlog: {}",
            world.backlog()
        );
    };
    check(Checkpoints::EverySeconds(300));
    check(Checkpoints::EveryEvents(1_000));
}

#[test]
fn consumers_that_stop_while_events_come_are_no_phantom() {
    let mut world = World::new(Checkpoints::EverySeconds(300), fifty_per_replica());
    world.play(60 * 60, 100);
    world.consumers = 0;
    let decision = world.play(15 * 60, 100);
    assert_eq!(
        decision.desired,
        Some(PARTITIONS as u32),
        "{}",
        decision.text
    );
}

#[test]
fn a_quiet_event_hub_with_an_uncheckpointed_rest_reaches_zero() {
    let check = |checkpoints| {
        let mut world = World::new(checkpoints, fifty_per_replica());
        world.play(40 * 60 + 7, 100);
        let decision = world.play(10 * 60, 0);
        assert!(world.backlog() > 0, "a rest stays behind the checkpoints");
        assert_eq!(
            (decision.desired, decision.active),
            (Some(0), Some(false)),
            "{}",
            decision.text
        );
        assert!(
            decision.text.contains("rest of a batch"),
            "{}",
            decision.text
        );
        // The next event wakes it.
        world.consumers = 0;
        let decision = world.play(POLL, 1);
        assert_eq!(decision.active, Some(true), "{}", decision.text);
    };
    check(Checkpoints::EveryEvents(1_000));
    check(Checkpoints::EverySeconds(300));
}

#[test]
fn events_that_came_while_nobody_was_there_are_never_taken_for_a_rest() {
    let mut world = World::new(Checkpoints::EveryEvents(1_000), fifty_per_replica());
    world.play(40 * 60, 100);
    world.consumers = 0;
    world.play(POLL, 10);
    for minute in 0..20 {
        let decision = world.play(60, 0);
        let text = decision.text;
        assert_eq!(decision.active, Some(true), "minute {minute}: {text}");
        assert!(decision.desired > Some(0), "minute {minute}: {text}");
    }
    // Whoever comes has to hold the partitions for a minute first.
    world.consumers = 3;
    assert_eq!(world.play(60, 0).active, Some(true));
    let decision = world.play(6 * 60, 0);
    assert_eq!(decision.active, Some(false), "{}", decision.text);
}

#[test]
fn before_the_rhythm_is_known_every_event_behind_a_checkpoint_counts() {
    let mut world = World::new(Checkpoints::EveryEvents(1_000), fifty_per_replica());
    world.play(POLL, 100);
    let decision = world.play(20 * 60, 0);
    assert_eq!(decision.active, Some(true), "{}", decision.text);
}

#[test]
fn replicas_are_not_added_beyond_what_the_throughput_units_give_out() {
    let mut world = World::new(Checkpoints::EveryEvents(1), fifty_per_replica());
    world.read_limit_per_second = Some(100.0);
    world.consumers = 0;
    let decision = world.play(120, 400);
    assert_eq!(
        (decision.desired, decision.limit),
        (Some(2), Limit::ThroughputUnits),
        "{}",
        decision.text
    );
    assert!(
        decision.text.contains("throughput units"),
        "{}",
        decision.text
    );
}

#[test]
fn the_drop_in_sends_what_keda_sends_and_says_what_it_caps() {
    let mode = Mode::Backlog {
        threshold: 10,
        measure: Measure::UnprocessedEvents,
    };
    let settings = PolicySettings {
        mode: Some(mode),
        activation_backlog: Some(5),
        ..PolicySettings::default()
    };
    let mut world = World::new(Checkpoints::EveryEvents(1_000_000), settings);
    let decision = world.play(POLL, 2);
    assert_eq!(decision.metric.unwrap().milli, 30_000);
    assert_eq!((decision.active, decision.limit), (Some(true), Limit::None));
    let decision = world.play(POLL, 20);
    assert_eq!(
        decision.metric.unwrap().milli,
        80_000,
        "partitions × threshold"
    );
    assert_eq!(
        (decision.active, decision.limit),
        (Some(true), Limit::PartitionCount)
    );
    assert!(
        decision.text.contains("330 unprocessed events"),
        "{}",
        decision.text
    );
    let mut idle = World::new(
        Checkpoints::EveryEvents(1),
        PolicySettings {
            mode: Some(mode),
            ..PolicySettings::default()
        },
    );
    let decision = idle.play(POLL, 2);
    assert_eq!(
        decision.active,
        Some(false),
        "KEDA's own rule: arrivals do not count"
    );
}

#[test]
fn a_rest_that_was_settled_stays_so_when_the_last_consumer_leaves() {
    let settings = PolicySettings {
        scale_in_hold: Some(Duration::from_secs(15)),
        ..fifty_per_replica()
    };
    let mut world = World::new(Checkpoints::EveryEvents(1_000), settings);
    world.play(40 * 60 + 7, 100);
    let decision = world.play(2 * 60, 0);
    assert_eq!(decision.active, Some(false), "{}", decision.text);
    world.consumers = 0;
    for _ in 0..20 {
        let decision = world.play(POLL, 0);
        assert_eq!(decision.active, Some(false), "{}", decision.text);
        // The age by the checkpoint goes on growing; nobody waits, though.
        assert!(decision.inputs.oldest_age_seconds > Some(100.0));
        assert_eq!(decision.inputs.waiting_seconds, Some(0.0));
    }
}

#[test]
fn while_a_rest_settles_the_backlog_is_the_reason_and_the_text_says_what_is_waited_for() {
    let settings = PolicySettings {
        scale_in_hold: Some(Duration::from_secs(15)),
        ..fifty_per_replica()
    };
    let mut world = World::new(Checkpoints::EveryEvents(1_000), settings);
    world.play(40 * 60 + 7, 100);
    let decision = world.play(53, 0);
    assert_eq!(
        (decision.desired, decision.reason),
        (Some(2), Reason::Backlog),
        "{}",
        decision.text
    );
    let expected = format!(
        "2 replicas: nothing arrives, and the {} behind the checkpoints look processed; that counts as certain once nothing has \
         moved for 1 min with an owner, or for 5 min without one.",
        world.backlog()
    );
    assert_eq!(decision.text, expected);
}

#[test]
fn a_hand_over_between_consumers_delays_settling_by_no_more_than_itself() {
    let settings = PolicySettings {
        scale_in_hold: Some(Duration::from_secs(15)),
        ..fifty_per_replica()
    };
    let mut world = World::new(Checkpoints::EveryEvents(1_000), settings);
    world.play(40 * 60 + 7, 100);
    world.play(30, 0);
    world.consumers = 0;
    world.play(POLL, 0);
    world.consumers = 3;
    let decision = world.play(60, 0);
    assert_eq!(
        decision.active,
        Some(true),
        "nobody held it for a minute yet"
    );
    let decision = world.play(45, 0);
    assert_eq!(decision.active, Some(false), "{}", decision.text);
}
