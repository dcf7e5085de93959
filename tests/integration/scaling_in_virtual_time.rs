//! Hours of scaling in virtual time: the simulated stream, the real model and policy with their default constants, and the model
//! of KEDA and the HPA with theirs.

use std::sync::Arc;
use std::time::Duration;

use streamgauge::autoscaler::hpa::{ExternalReading, HpaSpec};
use streamgauge::autoscaler::keda::{ScaledObject, ScaledObjectSpec, ScalerAnswer};
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::{CapacitySource, Decision};
use streamgauge::policy::rule::Limit;
use streamgauge::policy::spec::TargetSpec;
use streamgauge::sources::Source;
use streamgauge::sources::simulated::{SimulatedSource, SimulatedStream};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CAPACITY_PER_SECOND: f64 = 50.0;
const PARTITIONS: usize = 8;

struct World {
    stream: Arc<SimulatedStream>,
    object: ScaledObject,
    decision: Option<Decision>,
    replicas: Vec<(u64, u32)>,
    worst_age_seconds: f64,
}

/// Plays `seconds` of arrivals; `watch` sees the world after every second.
fn play(
    spec: &TargetSpec,
    seconds: u64,
    arrivals: impl Fn(u64) -> f64,
    mut watch: impl FnMut(u64, &World),
) -> World {
    let stream = Arc::new(SimulatedStream::new(
        PARTITIONS,
        CAPACITY_PER_SECOND,
        Duration::from_secs(40),
        START,
    ));
    let selector = StreamSelector::parse("orders:*").unwrap();
    let mut reader = SimulatedSource(stream.clone()).reader(&selector, "billing", Duration::ZERO);
    let mut state = GroupState::new(CapacityRules::default());
    let key = TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 0,
    };
    state.apply(&Event {
        at: START,
        what: What::TargetRegistered(key.clone(), Box::new(spec.clone())),
    });
    let hpa = HpaSpec {
        stabilization_down: Duration::ZERO,
        ..HpaSpec::default()
    };
    let object = ScaledObject::new(
        ScaledObjectSpec {
            hpa,
            ..ScaledObjectSpec::default()
        },
        0,
        START,
    );
    let mut world = World {
        stream,
        object,
        decision: None,
        replicas: vec![(0, 0)],
        worst_age_seconds: 0.0,
    };
    for second in 0..seconds {
        let now = START.plus(Duration::from_secs(second));
        world
            .stream
            .advance(now, &[arrivals(second) / PARTITIONS as f64; PARTITIONS]);
        if second % 5 == 0 {
            let sample = futures_util::FutureExt::now_or_never(reader.poll()).unwrap();
            state.apply(&Event {
                at: now,
                what: What::Observed(sample),
            });
            world.decision = state.targets()[&key].decision.clone();
            let age = state.facts().oldest_age_seconds.unwrap();
            world.worst_age_seconds = world.worst_age_seconds.max(age);
        }
        while let Some(asker) = world.object.due(now) {
            let answer = world.decision.as_ref().and_then(|decision| {
                let (metric, active) = decision.metric.zip(decision.active)?;
                let reading = ExternalReading::of_wire(metric.ceil(), metric.as_f64(), 1, 1.0)?;
                Some(ScalerAnswer { reading, active })
            });
            world.object.answered(now, asker, answer);
        }
        if world.object.replicas() != world.replicas.last().unwrap().1 {
            world.replicas.push((second, world.object.replicas()));
            world.stream.set_consumers(world.object.replicas() as usize);
        }
        watch(second, &world);
    }
    world
}

#[test]
fn an_unknown_capacity_is_learned_and_the_target_settles_at_what_arrivals_need() {
    play(
        &TargetSpec::default(),
        2 * 3_600,
        |_| 330.0,
        |second, world| {
            if second < 3_600 {
                return;
            }
            let decision = world.decision.as_ref().unwrap();
            let capacity = decision
                .inputs
                .capacity_per_second
                .expect("learned after an hour");
            assert_eq!(decision.inputs.capacity_source, CapacitySource::Learned);
            assert!(
                (47.0..53.0).contains(&capacity),
                "at {second} s: {capacity}"
            );
            // 330 / 0.9 / 50 = 7.3; one more for a capacity learned a little low.
            assert!(
                (8..=9).contains(&world.object.replicas()),
                "at {second} s: {}",
                decision.text
            );
        },
    );
}

#[test]
fn with_a_known_capacity_a_step_is_followed_and_given_back_once_and_then_it_rests_at_zero() {
    let spec = TargetSpec {
        capacity_per_replica: Some(CAPACITY_PER_SECOND),
        ..TargetSpec::default()
    };
    let arrivals = |second| {
        if (600..3_600).contains(&second) {
            400.0
        } else {
            0.0
        }
    };
    let world = play(&spec, 7_200, arrivals, |second, world| {
        let replicas = world.object.replicas();
        match second {
            0..600 => assert_eq!(replicas, 0, "at {second} s"),
            1_800..3_600 => assert!((10..=12).contains(&replicas), "at {second} s: {replicas}"),
            5_400.. => assert_eq!(replicas, 0, "at {second} s"),
            _ => {}
        }
    });
    let (arrived, done) = world.stream.totals();
    assert_eq!(arrived, done);
    // From zero everything waits for KEDA's poll, the HPA's syncs and 40 s of start-up.
    assert!(
        world.worst_age_seconds < 150.0,
        "{}",
        world.worst_age_seconds
    );
    let falls_before_the_end = world
        .replicas
        .windows(2)
        .filter(|pair| pair[1].1 < pair[0].1 && pair[1].0 < 3_600)
        .count();
    assert!(falls_before_the_end <= 8, "{:?}", world.replicas);
}

/// From then on what ten consumers depend on lets them do 60/s together, for 20 minutes.
const OUTAGE: std::ops::Range<u64> = 5_400..6_600;

/// 400/s for the whole time; what is decided through an outage of what consumers depend on. The states of the breaker.
fn an_outage_is_sat_out(spec: &TargetSpec) -> Vec<&'static str> {
    let mut before = None;
    let mut breaker = vec!["closed"];
    let world = play(
        spec,
        9_000,
        |_| 400.0,
        |second, world| {
            if second == OUTAGE.start {
                world.stream.limit(Some(60.0));
                before = world.decision.as_ref().unwrap().desired;
                let source = world.decision.as_ref().unwrap().inputs.capacity_source;
                assert_eq!(
                    source == CapacitySource::Learned,
                    spec.capacity_per_replica.is_none(),
                    "{source:?}"
                );
            } else if second == OUTAGE.end {
                world.stream.limit(None);
            }
            if second < OUTAGE.start {
                return;
            }
            let decision = world.decision.as_ref().unwrap();
            let state = decision.inputs.breaker.as_str();
            if breaker.last() != Some(&state) {
                breaker.push(state);
            }
            if OUTAGE.contains(&second) {
                assert_eq!(decision.desired, before, "at {second} s: {}", decision.text);
            }
            if (OUTAGE.start + 60..OUTAGE.end).contains(&second) {
                assert_eq!(
                    decision.limit,
                    Limit::Downstream,
                    "at {second} s: {}",
                    decision.text
                );
                assert!(
                    decision.text.contains("what they depend on is slow"),
                    "{}",
                    decision.text
                );
            }
        },
    );
    assert!((10..=11).contains(&before.unwrap()), "{before:?}");
    let last = world.decision.as_ref().unwrap();
    assert!(last.inputs.backlog.unwrap().value() < 100, "{}", last.text);
    assert!((10..=11).contains(&last.desired.unwrap()), "{}", last.text);
    let capacity = last.inputs.capacity_per_second.unwrap();
    assert!(
        (47.0..53.0).contains(&capacity),
        "the outage taught nothing: {capacity}"
    );
    breaker
}

#[test]
fn an_outage_downstream_raises_no_target_where_capacity_was_learned() {
    let breaker = an_outage_is_sat_out(&TargetSpec::default());
    assert_eq!(breaker, ["closed", "open", "half_open", "closed"]);
}

#[test]
fn an_outage_downstream_raises_no_target_where_capacity_is_configured() {
    let breaker = an_outage_is_sat_out(&TargetSpec {
        capacity_per_replica: Some(CAPACITY_PER_SECOND),
        ..TargetSpec::default()
    });
    assert_eq!(breaker, ["closed", "open", "half_open", "closed"]);
}
