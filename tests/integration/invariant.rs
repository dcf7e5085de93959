//! The invariant over random histories: never inactive, and never a lower target, without fresh and certified knowledge.

use std::time::Duration;

use proptest::prelude::*;

use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Position, Sample,
};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::spec::{Measure, Mode, PolicySettings, TargetSpec};
use streamgauge::publish::{Group, GroupDefinition};

const POLL: Duration = Duration::from_secs(5);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn group() -> Group {
    let definition = GroupDefinition {
        name: "billing".into(),
        key: GroupKey {
            source: "main".into(),
            stream: "orders:*".into(),
            consumer_group: "billing".into(),
        },
        selector: StreamSelector::Pattern("orders:*".into()),
        poll_interval: POLL,
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: true,
    };
    Group::new(definition, CapacityRules::default())
}

fn key() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 1,
    }
}

fn register(group: &Group, at: Timestamp, spec: &TargetSpec) {
    group.apply(&Event {
        at,
        what: What::TargetRegistered(key(), Box::new(spec.clone())),
    });
}

fn decision(group: &Group) -> Option<Decision> {
    group
        .snapshot()
        .targets
        .get(&key())
        .and_then(|target| target.decision.clone())
}

/// One partition's observation in the making: counters move on by `arrived` and `read`.
#[derive(Clone, Debug)]
enum Seen {
    Present {
        arrived: u64,
        read: u64,
        kept_pending: u64,
        certainty: u8,
    },
    GroupMissing,
    StreamMissing,
    Failed(FailureKind),
    NotAsked,
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        12 => (0_u64..400, 0_u64..400, 0_u64..20, 0_u8..10).prop_map(|(arrived, read, kept_pending, certainty)| {
            Seen::Present { arrived: arrived.saturating_sub(200), read, kept_pending, certainty }
        }),
        1 => Just(Seen::GroupMissing),
        1 => Just(Seen::StreamMissing),
        2 => Just(Seen::NotAsked),
        2 => prop_oneof![Just(FailureKind::WrongType), Just(FailureKind::Auth), Just(FailureKind::Transient)]
            .prop_map(Seen::Failed),
    ]
}

#[derive(Clone, Debug)]
struct Poll {
    after_millis: u64,
    consumers: Option<u32>,
    partitions: Option<Vec<Seen>>,
}

fn poll() -> impl Strategy<Value = Poll> {
    let partitions =
        prop_oneof![1 => Just(None), 8 => prop::collection::vec(seen(), 3).prop_map(Some)];
    let consumers =
        prop_oneof![2 => Just(None), 2 => Just(Some(0)), 3 => (1_u32..15).prop_map(Some)];
    (1_000_u64..20_000, consumers, partitions).prop_map(|(after_millis, consumers, partitions)| {
        Poll {
            after_millis,
            consumers,
            partitions,
        }
    })
}

fn spec() -> impl Strategy<Value = TargetSpec> {
    let mode = prop_oneof![
        3 => Just(Mode::Replicas),
        1 => Just(Mode::Backlog { threshold: 10, measure: Measure::Backlog }),
        1 => Just(Mode::Backlog { threshold: 10, measure: Measure::Lag }),
    ];
    (
        mode,
        prop::option::of(1.0_f64..200.0),
        prop_oneof![Just(0_u64), Just(7)],
        0_u32..2,
    )
        .prop_map(
            |(mode, capacity_per_replica, activation_backlog, min_replicas)| TargetSpec {
                mode,
                capacity_per_replica,
                activation_backlog,
                min_replicas,
                ..TargetSpec::default()
            },
        )
}

/// Plays counters forward, so that samples are as a server would give them.
#[derive(Default)]
struct Log {
    added: u64,
    delivered: u64,
    /// Whether the last reading told the backlog exactly: that is what still stands where nobody was asked.
    certified: bool,
}

impl Log {
    fn observe(&mut self, seen: &Seen) -> PartitionObservation {
        let observed = self.observation(seen);
        self.certified = match &observed {
            PartitionObservation::Present(p) => p.backlog().is_some_and(Quantity::is_exact),
            PartitionObservation::GroupMissing { .. } | PartitionObservation::StreamMissing => true,
            PartitionObservation::Failed(_) => false,
            PartitionObservation::NotAsked => self.certified,
        };
        observed
    }

    fn observation(&mut self, seen: &Seen) -> PartitionObservation {
        match seen {
            Seen::NotAsked => PartitionObservation::NotAsked,
            Seen::Failed(kind) => PartitionObservation::Failed(Failure::new(*kind, "broken")),
            Seen::StreamMissing => PartitionObservation::StreamMissing,
            Seen::GroupMissing => PartitionObservation::GroupMissing {
                length: self.added,
                log_end: Some(self.added),
            },
            Seen::Present {
                arrived,
                read,
                kept_pending,
                certainty,
            } => {
                self.added += arrived;
                self.delivered = (self.delivered + read).min(self.added);
                let lag = self.added - self.delivered;
                PartitionObservation::Present(PartitionSample {
                    log_end: (*certainty != 1).then_some(self.added),
                    length: self.added,
                    lag: match certainty {
                        0 => None,
                        2 => Some(Quantity::AtLeast(lag / 2)),
                        _ => Some(Quantity::Exact(lag)),
                    },
                    pending: *kept_pending,
                    oldest_age_millis: (*certainty > 3).then_some(lag * 100),
                    delivered: Some(Position {
                        major: self.delivered,
                        minor: 0,
                    }),
                    delivered_count: Some(self.delivered),
                    committed_at: (*certainty == 8).then_some(START),
                    ..PartitionSample::default()
                })
            }
        }
    }
}

fn sample(logs: &mut [Log], poll: &Poll) -> Result<Sample, Failure> {
    let Some(partitions) = &poll.partitions else {
        return Err(Failure::new(FailureKind::Timeout, "no answer"));
    };
    let partitions = partitions
        .iter()
        .zip(logs)
        .enumerate()
        .map(|(n, (seen, log))| (PartitionId::new(n.to_string()), log.observe(seen)))
        .collect();
    Ok(Sample {
        partitions,
        consumers: poll.consumers,
        ..Sample::default()
    })
}

/// Every partition is known, and with a counted backlog.
fn certified(sample: &Result<Sample, Failure>, logs: &[Log]) -> bool {
    sample.is_ok() && logs.iter().all(|log| log.certified)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn unknown_never_lowers_a_target_and_never_deactivates(
        spec in spec(), polls in prop::collection::vec(poll(), 1..60), registered_after in 0_usize..5,
    ) {
        let group = group();
        let mut logs = [Log::default(), Log::default(), Log::default()];
        let mut now = START;
        let (mut target, mut metric, mut active) = (None, None, None);
        for (n, poll) in polls.iter().enumerate() {
            now = now.plus(Duration::from_millis(poll.after_millis));
            if n == registered_after {
                register(&group, now, &spec);
            }
            let sample = sample(&mut logs, poll);
            let certain = certified(&sample, &logs);
            group.apply(&Event { at: now, what: What::Observed(sample) });
            if let Some(decision) = decision(&group) {
                if !certain {
                    prop_assert!(decision.desired.is_none() || decision.desired >= target, "{target:?} → {decision:?}");
                    prop_assert!(!(active == Some(true) && decision.active == Some(false)), "{decision:?}");
                    if spec.mode != Mode::Replicas && decision.metric.is_some() {
                        prop_assert!(decision.metric.map(|m| m.milli) >= metric, "{decision:?}");
                    }
                }
                target = decision.desired.or(target);
                metric = decision.metric.map(|m| m.milli).or(metric);
                active = decision.active.or(active);
            }
            // What KEDA is told in the meantime, at any age.
            for age in [0_u64, 9, 11, 29, 31, 400] {
                let asked = now.plus(Duration::from_secs(age));
                if let Ok(answer) = group.answer(&key(), asked) {
                    let seen = group.decided_at().map(|at| asked.since(at));
                    prop_assert!(answer.active || seen <= Some(POLL * 2), "inactive from a {seen:?} old observation");
                    prop_assert!(seen <= Some(Duration::from_secs(30)));
                    prop_assert!(answer.active || answer.metric.milli == 0 || spec.activation_backlog > 0);
                }
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_state(spec in spec(), polls in prop::collection::vec(poll(), 1..30)) {
        let run = || {
            let group = group();
            register(&group, START, &spec);
            let mut logs = [Log::default(), Log::default(), Log::default()];
            let mut now = START;
            for poll in &polls {
                now = now.plus(Duration::from_millis(poll.after_millis));
                group.apply(&Event { at: now, what: What::Observed(sample(&mut logs, poll)) });
            }
            (group.snapshot(), group.history())
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn after_a_start_without_memory_the_target_is_never_below_what_runs_for_one_hold_window(
        running in 1_u32..40, capacity in prop::option::of(1.0_f64..500.0), arrived in prop::collection::vec(0_u64..500, 2..59),
    ) {
        let group = group();
        register(&group, START, &TargetSpec { capacity_per_replica: capacity, ..TargetSpec::default() });
        let mut log = Log::default();
        let mut now = START;
        for arrived in arrived {
            let seen = log.observe(&Seen::Present { arrived, read: arrived, kept_pending: 0, certainty: 9 });
            let partitions = [(PartitionId::new("0"), seen)].into();
            let sample = Sample { partitions, consumers: Some(running), ..Sample::default() };
            group.apply(&Event { at: now, what: What::Observed(Ok(sample)) });
            let decision = decision(&group).expect("decided at every readable observation");
            prop_assert!(decision.desired >= Some(running), "{decision:?}");
            prop_assert_eq!(decision.active, Some(true));
            now = now.plus(POLL);
        }
    }
}

#[test]
fn steady_arrivals_with_backlog_zero_at_every_poll_never_deactivate() {
    // A message every 5 to 40 s, and always read before the next poll.
    for every in 1..=8 {
        never_deactivates(every);
    }
}

fn never_deactivates(every: u64) {
    let group = group();
    register(
        &group,
        START,
        &TargetSpec {
            capacity_per_replica: Some(10.0),
            ..TargetSpec::default()
        },
    );
    let mut log = Log::default();
    for n in 0..1_000_u64 {
        let now = START.plus(POLL * n as u32);
        let arrived = u64::from(n % every == 0);
        let seen = log.observe(&Seen::Present {
            arrived,
            read: arrived,
            kept_pending: 0,
            certainty: 9,
        });
        let partitions = [(PartitionId::new("0"), seen)].into();
        let sample = Sample {
            partitions,
            consumers: Some(1),
            ..Sample::default()
        };
        group.apply(&Event {
            at: now,
            what: What::Observed(Ok(sample)),
        });
        let answer = group.answer(&key(), now).expect("an answer");
        assert!(
            answer.active && answer.metric.milli == 1_000,
            "every {every}, poll {n}: {answer:?}"
        );
    }
}
