//! What a group's past makes of its targets, seconds at a time: one partition, any consumer takes any message.

use std::time::Duration;

use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::capacity::CapacityRules;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use crate::model::time::Timestamp;
use crate::policy::decision::{CapacitySource, Decision};
use crate::policy::rule::Limit;
use crate::policy::spec::{Mode, PolicySettings};
use crate::scaled_object::{ObjectSettings, ReplicasObserved};

mod activity;
mod back_in_time;
mod unknown;

const START: u64 = 1_700_000_000_000;

/// A stream, its consumers, and what runs; everything per second.
struct World {
    second: u64,
    added: u64,
    delivered: u64,
    acknowledged: u64,
    /// Entries that nobody will ever acknowledge.
    orphaned: u64,
    /// Entries that consumers at work hold for longer than counts as backlog.
    long_work: u64,
    consumers: u32,
    /// Those that are gone, while the source still sees them.
    gone: u32,
    /// What one of them does.
    rate: u64,
    object: ObjectSettings,
    /// Pods asked for and ready, where Kubernetes tells.
    pods: Option<(u32, u32)>,
    state: GroupState,
}

fn key() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 1,
    }
}

fn configured() -> PolicySettings {
    PolicySettings {
        capacity_per_replica: Some(50.0),
        ..PolicySettings::default()
    }
}

impl World {
    fn new(settings: PolicySettings) -> Self {
        let mut state = GroupState::new(CapacityRules::default());
        let settings = PolicySettings {
            max_replicas: Some(30),
            ..settings
        };
        state.apply(&Event {
            at: Timestamp::from_millis(START),
            what: What::TargetRegistered(key(), Box::new(settings.resolve())),
        });
        Self {
            second: 0,
            added: 0,
            delivered: 0,
            acknowledged: 0,
            orphaned: 0,
            long_work: 0,
            consumers: 0,
            gone: 0,
            rate: 50,
            object: ObjectSettings::default(),
            pods: Some((0, 0)),
            state,
        }
    }

    /// So many seconds with so many arrivals each, polled every second.
    fn pass(&mut self, seconds: u64, arrivals: u64) {
        for _ in 0..seconds {
            self.tick(arrivals);
            self.poll();
        }
    }

    fn tick(&mut self, arrivals: u64) {
        self.second += 1;
        self.added += arrivals;
        let done = (u64::from(self.consumers) * self.rate).min(self.added - self.delivered);
        self.delivered += done;
        self.acknowledged += done;
    }

    fn run(&mut self, replicas: u32) {
        self.consumers = replicas;
        self.pods = Some((replicas, replicas));
    }

    fn poll(&mut self) {
        let at = Timestamp::from_millis(START + self.second * 1_000);
        if let Some((asked, ready)) = self.pods {
            let reading = ReplicasObserved {
                current: Some(asked),
                asked: Some(asked),
                ready: Some(ready),
                updated: Some(asked),
                object: self.object.clone(),
                ..ReplicasObserved::default()
            };
            self.state.apply(&Event {
                at,
                what: What::ReplicasObserved(key(), Box::new(Ok(reading))),
            });
        }
        let age = if self.orphaned > 0 {
            self.second * 1_000
        } else {
            0
        };
        let sample = PartitionSample {
            log_end: Some(self.added),
            length: self.added,
            lag: Some(Quantity::Exact(self.added - self.delivered)),
            pending: self.delivered - self.acknowledged + self.long_work,
            stuck_pending: self.long_work,
            stuck_in_work: self.long_work,
            oldest_age_millis: Some(age),
            delivered: Some(Position {
                major: self.delivered,
                minor: 0,
            }),
            delivered_count: Some(self.delivered),
            ..PartitionSample::default()
        };
        let partitions = [(PartitionId::new("0"), PartitionObservation::Present(sample))];
        let sample = Sample {
            partitions: partitions.into(),
            consumers: Some(self.consumers + self.gone),
            source_time: Some(at),
            read_limit_per_second: None,
            errors: None,
            holders: None,
        };
        self.state.apply(&Event {
            at,
            what: What::Observed(Ok(sample)),
        });
    }

    fn decision(&self) -> &Decision {
        let target = &self.state.targets()[&key()];
        target.decision.as_ref().expect("decided")
    }

    fn desired(&self) -> u32 {
        self.decision().desired.expect("a count")
    }

    /// Follows the answer at once, for so many seconds; the most that ran.
    fn follow(&mut self, seconds: u64, arrivals: u64) -> u32 {
        let mut most = 0;
        for _ in 0..seconds {
            self.pass(1, arrivals);
            let desired = self.desired();
            self.run(desired);
            most = most.max(desired);
        }
        most
    }
}

#[test]
fn one_busy_consumer_is_enough_to_size_the_fleet_within_ten_seconds() {
    let mut world = World::new(PolicySettings::default());
    world.pass(50, 0);
    world.pass(4, 400);
    assert!((1..=12).contains(&world.desired()), "a first step");
    world.run(1);
    world.pass(8, 400);
    let inputs = &world.decision().inputs;
    assert_eq!(inputs.capacity_source, CapacitySource::Estimated);
    assert_eq!(inputs.capacity_per_second, Some(50.0));
    let needed = 400 / 45;
    assert!((needed..needed + 8).contains(&world.desired()));
    world.follow(400, 400);
    assert_eq!(world.desired(), 10, "400 ÷ 50 at 85 %");
}

#[test]
fn a_burst_of_one_poll_is_gone_after_a_minute() {
    let mut world = World::new(configured());
    world.pass(50, 0);
    world.follow(300, 400);
    let usual = world.desired();
    // Producers and the service were cut off for 15 s; then everything comes at once.
    world.second += 15;
    world.tick(0);
    world.poll();
    world.tick(6_000);
    world.poll();
    world.follow(30, 400);
    assert!(world.desired() > usual);
    world.follow(120, 400);
    let text = &world.decision().text;
    assert!(world.desired() <= usual + 1, "{usual} before; {text}");
}

#[test]
fn entries_that_nobody_will_acknowledge_hold_what_works_on_them_and_not_the_peak() {
    let mut world = World::new(configured());
    world.pass(50, 0);
    assert!(world.follow(120, 800) >= 16);
    world.orphaned = 20;
    world.acknowledged -= 20;
    world.follow(400, 20);
    assert_eq!(world.desired(), 1);
    world.follow(120, 0);
    let decision = world.decision();
    assert_eq!((decision.desired, decision.active), (Some(1), Some(true)));
}

#[test]
fn a_part_of_a_formula_never_looks_at_the_whole() {
    for (triggers, has_formula) in [(2, true), (2, false), (1, true)] {
        let mut world = World::new(configured());
        world.object.triggers = triggers;
        world.object.has_formula = has_formula;
        world.pass(50, 0);
        // The other trigger made 20 of them.
        world.run(20);
        world.pass(400, 100);
        assert_eq!(world.desired(), 3);
        assert_eq!(world.decision().metric.expect("a value").milli, 3_000);
        assert!(world.decision().text.contains("for this trigger alone"));
    }
}

#[test]
fn two_streams_of_one_fleet_are_not_thought_to_have_it_for_themselves() {
    let mut world = World::new(configured());
    world.object.triggers = 2;
    world.pass(50, 0);
    world.pass(20, 100);
    world.run(3);
    // The other stream takes half of what three do.
    world.rate = 25;
    world.pass(120, 100);
    assert!(world.desired() > 3, "{}", world.decision().text);
}

#[test]
fn no_first_jobs_are_made_for_what_arrives_as_long_as_running_ones_take_it() {
    let jobs = PolicySettings {
        mode: Some(Mode::Jobs),
        ..PolicySettings::default()
    };
    let mut world = World::new(jobs);
    world.pods = None;
    world.consumers = 4;
    world.rate = 100;
    world.pass(20, 400);
    world.acknowledged -= 200;
    world.poll();
    let decision = world.decision();
    assert_eq!(decision.inputs.capacity_source, CapacitySource::Unknown);
    assert_eq!(decision.desired, Some(1), "{}", decision.text);
}

#[test]
fn jobs_are_counted_by_the_work_that_is_there() {
    let jobs = PolicySettings {
        mode: Some(Mode::Jobs),
        ..configured()
    };
    let mut world = World::new(jobs);
    world.pods = None;
    world.pass(5, 0);
    let decision = world.decision();
    assert_eq!((decision.desired, decision.active), (Some(0), Some(false)));
    world.pass(5, 400);
    let most = world.desired();
    assert!(most >= 4, "{most}");
    world.consumers = most;
    world.pass(120, 300);
    world.pass(2, 0);
    let decision = world.decision();
    assert_eq!((decision.desired, decision.active), (Some(0), Some(false)));
    // One message is one job, however slow jobs are.
    world.consumers = 0;
    world.pass(1, 1);
    assert_eq!(world.desired(), 1);
    world.run(1);
    assert_eq!(world.decision().limit, Limit::None);
}

#[test]
fn what_it_asked_for_itself_is_no_reason_to_keep_it_after_the_start() {
    let mut world = World::new(configured());
    world.pass(50, 0);
    // Catching up takes more than arrivals do; within the first five minutes that is given back.
    world.pass(10, 400);
    let most = world.follow(10, 400);
    world.follow(180, 400);
    assert!(world.desired() < most, "{} of {most}", world.desired());
}

#[test]
fn pods_that_take_much_longer_than_starts_here_usually_do_call_no_more_of_them() {
    let mut world = World::new(configured());
    world.pass(50, 0);
    for ready in 1..=4 {
        world.pods = Some((ready, ready - 1));
        world.pass(3, 100);
        world.run(ready);
        world.pass(20, 100);
    }
    let before = world.state.targets()[&key()].replicas.start_takes();
    assert_eq!(before.map(|takes| takes.as_secs()), Some(3));
    let mut asked = 4;
    let mut after_twenty = 0;
    for second in 0..170 {
        world.pass(1, 400);
        asked = asked.max(world.desired());
        world.pods = Some((asked, 4));
        if second == 20 {
            after_twenty = asked;
        }
    }
    assert_eq!(asked, after_twenty);
    assert!(asked <= 16, "{asked}");
    assert_eq!(world.decision().limit, Limit::PodsNotReady);
}
