//! What a decision says: its reason and its sentence are true of the case at hand.

use std::time::Duration;

use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{Assignment, GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::{Decision, Reason};
use streamgauge::policy::rule::Limit;
use streamgauge::policy::rule::{Rule, Work};
use streamgauge::policy::spec::PolicySettings;
use streamgauge::publish::{Group, GroupDefinition, NoAnswer};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const POLL: Duration = Duration::from_secs(5);
const POLLS: u32 = 60;

fn key() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 0,
    }
}

/// As [`keeping_up_until`], to the end.
fn keeping_up(rates: &[u64], assignment: Assignment) -> Decision {
    keeping_up_until(rates, assignment, POLLS)
}

/// The last decision for consumers of 100/s that keep up with these arrivals per second and partition, watched for five minutes,
/// the polls from `end` on without arrivals.
fn keeping_up_until(rates: &[u64], assignment: Assignment, end: u32) -> Decision {
    let key = key();
    let settings = PolicySettings {
        assignment: Some(assignment),
        capacity_per_replica: Some(100.0),
        scale_in_hold: Some(POLL),
        activation_window: Some(Duration::from_secs(45)),
        ..PolicySettings::default()
    };
    let mut state = GroupState::new(CapacityRules::default());
    state.apply(&Event {
        at: START,
        what: What::TargetRegistered(key.clone(), Box::new(settings.resolve())),
    });
    for poll in 0..POLLS {
        let passed = POLL * poll;
        let arriving = POLL * poll.min(end);
        let partitions = rates.iter().enumerate().map(|(n, rate)| {
            let count = rate * arriving.as_secs();
            let sample = PartitionSample {
                log_end: Some(count),
                length: count,
                lag: Some(Quantity::Exact(0)),
                delivered: Some(Position {
                    major: count,
                    minor: 0,
                }),
                delivered_count: Some(count),
                oldest_age_millis: Some(0),
                ..PartitionSample::default()
            };
            (
                PartitionId::new(n.to_string()),
                PartitionObservation::Present(sample),
            )
        });
        let sample = Sample {
            partitions: partitions.collect(),
            consumers: Some(4),
            source_time: None,
            read_limit_per_second: None,
            errors: None,
            holders: None,
        };
        state.apply(&Event {
            at: START.plus(passed),
            what: What::Observed(Ok(sample)),
        });
    }
    state.targets()[&key].decision.clone().unwrap()
}

/// The figures of the rule that counts all work together.
fn work_of(decision: &Decision) -> Work {
    let mut rules = decision.steps.iter().map(|step| &step.rule);
    let work = rules.find_map(|rule| match rule {
        Rule::Work(figures) => Some(*figures),
        _ => None,
    });
    work.expect("a step by the work")
}

/// 302/s on 16 partitions, three of them hot: 78/s fill a replica, so that none of its 16 partitions can share one with them.
fn three_hot_of_sixteen() -> Vec<u64> {
    let mut rates = vec![78, 78, 78];
    rates.resize(13, 5);
    rates.resize(16, 6);
    rates
}

#[test]
fn where_partitions_are_shared_out_by_count_the_sentence_says_so() {
    let exclusive = keeping_up(&three_hot_of_sixteen(), Assignment::Exclusive);
    assert_eq!(exclusive.desired, Some(16), "{}", exclusive.text);
    let figures = work_of(&exclusive);
    assert_eq!(figures.replicas_if_shared, 4);
    assert_eq!(
        exclusive.text,
        "16 replicas: 302 messages/s arrive and 0 wait; at 100 messages/s per replica (configured), 80 % utilization and 30 s to \
         catch up, that needs 16 (4 could process everything together, but partitions are assigned by count, and the hottest \
         that meet on one replica must fit it)."
    );
    let shared = keeping_up(&three_hot_of_sixteen(), Assignment::Shared);
    assert_eq!(shared.desired, Some(4), "{}", shared.text);
    assert!(shared.text.contains("that needs 4."), "{}", shared.text);
    let even = keeping_up(&[70; 4], Assignment::Exclusive);
    assert!(even.text.contains("that needs 4."), "{}", even.text);
}

#[test]
fn the_sentence_names_the_utilization_that_decided() {
    // 2.8 replicas at 95 %, 3.2 at 85 %, and 4 run: on the way down the lower one counts.
    let down = keeping_up(&[270], Assignment::Shared);
    assert_eq!(
        down.text,
        "4 replicas: 270 messages/s arrive and 0 wait; at 100 messages/s per replica (configured), 95 % utilization and 30 s to \
         catch up, that needs 3. Scale-in leaves room: 85 % utilization needs 4."
    );
    let enough = keeping_up(&[240], Assignment::Shared);
    assert!(enough.text.contains("95 % utilization"), "{}", enough.text);
}

#[test]
fn who_stays_for_what_arrived_a_moment_ago_is_said_to() {
    // The last events came at poll 53, 30 s before the last poll: past the 15 s of the rate, within the 45 s of activation.
    let decision = keeping_up_until(&[10], Assignment::Shared, 53);
    assert_eq!(
        (decision.desired, decision.reason),
        (Some(1), Reason::Arrival)
    );
    assert_eq!(
        decision.text,
        "1 replica: nothing waits, but 150 arrived within the last 45 s."
    );
}

#[test]
fn work_that_is_seen_is_active_at_once_though_no_value_can_be_told_while_nobody_knows_what_runs() {
    let group = Group::new(
        GroupDefinition {
            name: "clicks".into(),
            key: GroupKey {
                source: "telemetry".into(),
                stream: "clicks".into(),
                consumer_group: "$Default".into(),
            },
            selector: StreamSelector::Whole,
            poll_interval: POLL,
            settings: PolicySettings::default(),
            signals: Default::default(),
            granularity: Default::default(),
            configured: true,
        },
        CapacityRules::default(),
    );
    let check = |hold: u64, poll: u32, lag: u64, active: Option<bool>, wait: &str| {
        let key = TargetKey {
            name: format!("worker-{hold}-{lag}"),
            ..key()
        };
        let settings = PolicySettings {
            scale_in_hold: Some(Duration::from_secs(hold)),
            ..PolicySettings::default()
        };
        let at = START.plus(POLL * poll);
        let what = What::TargetRegistered(key.clone(), Box::new(settings.resolve()));
        group.apply(&Event { at, what });
        let what = What::Observed(Ok(behind(lag)));
        group.apply(&Event { at, what });
        let Err(NoAnswer::NotNow(text)) = group.answer(&key, at) else {
            panic!("a value: {:?}", group.answer(&key, at));
        };
        assert_eq!(group.activity(&key, at).ok(), active, "{text}");
        let expected = format!("a value follows with the first poll after {wait}");
        assert!(text.ends_with(&expected), "{text}");
    };
    check(300, 0, 40, Some(true), "1 min");
    check(7, 0, 40, Some(true), "7 s");
    check(300, 4, 40, Some(true), "40 s");
    // Nothing waits and nothing was watched for long: neither is certain.
    check(300, 5, 0, None, "35 s");
}

/// One partition, that many behind its checkpoint, and no word of any consumer.
fn behind(lag: u64) -> Sample {
    let sample = PartitionSample {
        log_end: Some(100),
        length: 100,
        lag: Some(Quantity::Exact(lag)),
        delivered: Some(Position {
            major: 100 - lag,
            minor: 0,
        }),
        committed_at: Some(START),
        ..PartitionSample::default()
    };
    let partition = PartitionObservation::Present(sample);
    Sample {
        partitions: [(PartitionId::new("0"), partition)].into(),
        consumers: None,
        source_time: None,
        read_limit_per_second: None,
        errors: None,
        holders: None,
    }
}

#[test]
fn where_partitions_are_too_few_the_sentence_says_how_many_would_do() {
    // The hottest of four gets 150/s, so 4 × 150 ÷ 80 are needed.
    let hot = keeping_up(&[150, 10, 10, 10], Assignment::Exclusive);
    assert_eq!(hot.limit, Limit::Skew);
    let words = "more replicas do not help, more partitions do. 8 partitions are recommended.";
    assert!(hot.text.ends_with(words), "{}", hot.text);
    assert_eq!(hot.inputs.recommended_partitions, Some(8));
    let shared = keeping_up(&[150, 10, 10, 10], Assignment::Shared);
    assert_eq!(shared.inputs.recommended_partitions, None);
    assert!(!shared.text.contains("recommended"), "{}", shared.text);
}

#[test]
fn a_surge_is_counted_with_what_the_sentence_says() {
    let settings = PolicySettings {
        capacity_per_replica: Some(50.0),
        ..PolicySettings::default()
    };
    let mut state = GroupState::new(CapacityRules::default());
    let what = What::TargetRegistered(key(), Box::new(settings.resolve()));
    state.apply(&Event { at: START, what });
    let mut count = 0;
    for poll in 0..12 {
        count += if poll == 11 { 6_000 } else { 2_000 };
        let sample = PartitionSample {
            log_end: Some(count),
            length: count,
            lag: Some(Quantity::Exact(600)),
            oldest_age_millis: Some(500),
            ..PartitionSample::default()
        };
        let seen = PartitionObservation::Present(sample);
        let sample = Sample {
            partitions: [(PartitionId::new("0"), seen)].into(),
            ..Sample::default()
        };
        let (at, what) = (START.plus(POLL * poll), What::Observed(Ok(sample)));
        state.apply(&Event { at, what });
    }
    let decision = state.targets()[&key()].decision.clone().unwrap();
    let (text, inputs) = (&decision.text, &decision.inputs);
    let arrivals = inputs.arrival_per_second.unwrap() * inputs.surge_ratio.unwrap();
    assert!((arrivals - 1_200.0).abs() < 1.0, "{arrivals}");
    let figures = work_of(&decision);
    let work = arrivals / figures.utilization_ratio + 600.0 / figures.catch_up_seconds;
    assert_eq!(
        decision.desired,
        Some((work / 50.0).ceil() as u32),
        "{text}"
    );
    let says = "messages/s arrive (1200/s in the newest poll, 1.8× the mean: this rate counts) and 600 wait";
    assert!(text.contains(says), "{text}");
}
