//! Two triggers that a formula adds up, over a restart of the service in virtual time: the first answers after it are neither more
//! than each trigger's own count, which would run away, nor less than what ran.

use std::sync::Arc;
use std::time::Duration;

use streamgauge::autoscaler::hpa::{ExternalReading, HpaSpec};
use streamgauge::autoscaler::keda::{ScaledObject, ScaledObjectSpec, ScalerAnswer};
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::scaled_object::{ObjectSettings, ReplicasObserved};
use streamgauge::sources::simulated::{SimulatedSource, SimulatedStream};
use streamgauge::sources::{GroupReader, Source};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const PARTITIONS: usize = 4;
/// A replica does as much of each stream.
const CAPACITY: f64 = 50.0;

/// What survives a restart of the service.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// The capacity is configured.
    Configured,
    /// What was learned is kept.
    Kept,
    Nothing,
}

/// One of the two triggers with its stream.
struct Trigger {
    stream: Arc<SimulatedStream>,
    reader: Box<dyn GroupReader>,
    key: TargetKey,
    state: GroupState,
    arrivals: f64,
}

impl Trigger {
    fn new(number: u64, arrivals: f64) -> Self {
        let start_up = Duration::from_secs(3);
        let stream = SimulatedStream::new(PARTITIONS, CAPACITY, start_up, START);
        let stream = Arc::new(stream);
        let selector = StreamSelector::parse("orders:*").unwrap();
        let reader = SimulatedSource(stream.clone()).reader(&selector, "billing", Duration::ZERO);
        Self {
            stream,
            reader,
            key: TargetKey {
                namespace: "shop".into(),
                name: "worker".into(),
                metadata_hash: number,
            },
            state: GroupState::new(CapacityRules::default()),
            arrivals,
        }
    }

    fn apply(&mut self, at: Timestamp, what: What) {
        self.state.apply(&Event { at, what });
    }

    /// KEDA asks for the first time.
    fn register(&mut self, at: Timestamp, known: Known) {
        let capacity = (known == Known::Configured).then_some(CAPACITY);
        let settings = PolicySettings {
            capacity_per_replica: capacity,
            max_replicas: Some(30),
            ..PolicySettings::default()
        };
        let spec = Box::new(settings.resolve());
        self.apply(at, What::TargetAwaited(self.key.clone(), spec));
    }

    fn restart(&mut self, at: Timestamp, known: Known) {
        let before = self.state.remembered();
        self.state = GroupState::new(CapacityRules::default());
        if known == Known::Kept {
            self.apply(at, What::Restored(Box::new(before)));
        }
    }

    fn poll(&mut self, at: Timestamp) {
        let sample = futures_util::FutureExt::now_or_never(self.reader.poll()).unwrap();
        self.apply(at, What::Observed(sample));
    }

    fn tell(&mut self, at: Timestamp, replicas: u32) {
        let object = ObjectSettings {
            triggers: 2,
            has_formula: true,
            ..ObjectSettings::default()
        };
        let reading = ReplicasObserved {
            current: Some(replicas),
            asked: Some(replicas),
            ready: Some(self.stream.ready_consumers().min(replicas)),
            updated: Some(replicas),
            object,
            ..ReplicasObserved::default()
        };
        let what = What::ReplicasObserved(self.key.clone(), Box::new(Ok(reading)));
        self.apply(at, what);
    }

    fn decision(&self) -> Option<&Decision> {
        self.state.targets().get(&self.key)?.decision.as_ref()
    }
}

/// What KEDA makes of both: an error of either is one of the whole.
fn sum(triggers: &[Trigger]) -> Option<ScalerAnswer> {
    let decisions: Option<Vec<&Decision>> = triggers.iter().map(Trigger::decision).collect();
    let decisions = decisions?;
    let metrics = decisions.iter().map(|decision| decision.metric);
    let metrics: Vec<f64> = metrics.map(|m| Some(m?.as_f64())).collect::<Option<_>>()?;
    let sum: f64 = metrics.iter().sum();
    let active = decisions
        .iter()
        .any(|decision| decision.active == Some(true));
    let reading = ExternalReading::of_wire(sum.ceil() as i64, sum, 1, 1.0)?;
    Some(ScalerAnswer { reading, active })
}

/// Plays until `end`; the service restarts at `restart`, is asked at once, and hears of the object `told_after` seconds later.
/// Gives the replicas of every second.
fn play(known: Known, arrivals: [f64; 2], (restart, told_after, end): (u64, u64, u64)) -> Vec<u32> {
    let mut triggers = [0, 1].map(|n| Trigger::new(n as u64, arrivals[n]));
    let hpa = HpaSpec {
        stabilization_down: Duration::ZERO,
        max_replicas: 30,
        ..HpaSpec::default()
    };
    let polling_interval = Duration::from_secs(5);
    let spec = ScaledObjectSpec {
        hpa,
        polling_interval,
        ..ScaledObjectSpec::default()
    };
    let mut object = ScaledObject::new(spec, 0, START);
    let mut replicas = Vec::new();
    for second in 0..end {
        let now = START.plus(Duration::from_secs(second));
        for trigger in &mut triggers {
            let arrivals = [trigger.arrivals / PARTITIONS as f64; PARTITIONS];
            trigger.stream.advance(now, &arrivals);
            let began = if second < restart { 0 } else { restart };
            if second == restart {
                trigger.restart(now, known);
            }
            if (second - began).is_multiple_of(5) {
                trigger.poll(now);
            }
            if second == began {
                trigger.register(now, known);
            }
            if second >= began + told_after {
                trigger.tell(now, object.replicas());
            }
        }
        while let Some(asker) = object.due(now) {
            object.answered(now, asker, sum(&triggers));
        }
        for trigger in &triggers {
            let count = object.replicas() as usize;
            if trigger.stream.ready_consumers() as usize != count {
                trigger.stream.set_consumers(count);
            }
        }
        replicas.push(object.replicas());
    }
    replicas
}

#[test]
fn a_sum_of_two_triggers_stays_what_it_was_over_a_restart_whenever_that_is_and_the_object_is_told()
{
    for known in [Known::Configured, Known::Kept] {
        for (phase, told_after) in [(0, 0), (1, 1), (4, 3), (7, 1), (9, 4), (13, 2)] {
            let restart = 1_200 + phase;
            let replicas = play(known, [100.0, 220.0], (restart, told_after, restart + 900));
            let before = replicas[restart as usize - 1];
            let after = &replicas[restart as usize..];
            let (least, most) = (after.iter().min().unwrap(), after.iter().max().unwrap());
            let case = format!("{known:?}, restarted at {restart} s, told {told_after} s later");
            println!("{case}: {before} before, {least} to {most} after");
            assert!(*most <= before + 1, "{case}: {before}, then {most}");
            assert!(*least + 1 >= before, "{case}: {before}, then {least}");
        }
    }
}

#[test]
fn without_anything_known_it_does_not_run_away_either() {
    for (phase, told_after) in [(0, 0), (4, 3), (9, 4)] {
        let restart = 1_200 + phase;
        let replicas = play(
            Known::Nothing,
            [100.0, 220.0],
            (restart, told_after, restart + 900),
        );
        let before = replicas[restart as usize - 1];
        let after = &replicas[restart as usize..];
        println!("{before} before, then {after:?}");
        let most = after.iter().max().unwrap();
        assert!(*most <= before + 2, "{before}, then {most}");
    }
}
