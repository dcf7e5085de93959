//! The worked example that docs/policy.md begins with is what the policy really does.

use std::time::Duration;

use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::rule::Limit;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::scaled_object::ReplicasObserved;

const POLL: Duration = Duration::from_secs(15);

/// A group of one stream, whose consumers do 50/s each.
struct World {
    state: GroupState,
    key: TargetKey,
    now: Timestamp,
    added: u64,
}

impl World {
    fn new() -> Self {
        let mut state = GroupState::new(CapacityRules::default());
        let (key, now) = (
            TargetKey::default(),
            Timestamp::from_millis(1_700_000_000_000),
        );
        let settings = PolicySettings {
            capacity_per_replica: Some(50.0),
            ..PolicySettings::default()
        };
        let what = What::TargetRegistered(key.clone(), Box::new(settings.resolve()));
        state.apply(&Event { at: now, what });
        Self {
            state,
            key,
            now,
            added: 0,
        }
    }

    /// The next poll: so many messages arrive per second, so many wait then, and that many replicas run.
    fn poll(&mut self, per_second: u64, lag: u64, replicas: u32) -> Decision {
        self.now = self.now.plus(POLL);
        self.added += per_second * POLL.as_secs();
        let delivered = self.added - lag;
        let sample = PartitionSample {
            log_end: Some(self.added),
            length: self.added,
            lag: Some(Quantity::Exact(lag)),
            delivered: Some(Position {
                major: delivered,
                minor: 0,
            }),
            delivered_count: Some(delivered),
            oldest_age_millis: Some(if lag == 0 { 0 } else { 7_500 }),
            ..PartitionSample::default()
        };
        let partition = PartitionObservation::Present(sample);
        let sample = Sample {
            partitions: [(PartitionId::new("0".to_owned()), partition)].into(),
            consumers: Some(replicas),
            ..Sample::default()
        };
        let seen = ReplicasObserved {
            current: Some(replicas),
            ready: Some(replicas),
            ..ReplicasObserved::default()
        };
        let seen = What::ReplicasObserved(self.key.clone(), Box::new(Ok(seen)));
        for what in [seen, What::Observed(Ok(sample))] {
            self.state.apply(&Event { at: self.now, what });
        }
        let decision = self.state.targets()[&self.key].decision.clone();
        decision.expect("a decision")
    }
}

#[test]
fn four_hundred_per_second_and_3000_waiting_take_11_replicas_and_then_10() {
    let mut world = World::new();
    for _ in 0..40 {
        world.poll(350, 0, 8);
    }
    assert_eq!(world.poll(350, 0, 8).desired, Some(8), "350 ÷ 0.9 ÷ 50");

    let up = world.poll(400, 3_000, 8);
    assert_eq!(
        (up.desired, up.limit),
        (Some(11), Limit::None),
        "{}",
        up.text
    );
    assert_eq!(up.inputs.work_per_second().round(), 521.0);

    // 550/s are processed, 400/s arrive: 2,250 fewer after 15 s, none after 20 s.
    assert_eq!(world.poll(400, 750, 11).desired, Some(11));
    let mut polls = 0;
    let down = loop {
        let decision = world.poll(400, 0, 11);
        if decision.desired != Some(11) {
            break decision;
        }
        polls += 1;
        assert!(polls < 10, "{}", decision.text);
    };
    assert_eq!(down.desired, Some(10), "{}", down.text);
    let emitted = down.metric.map(|metric| metric.milli);
    assert_eq!(emitted, Some(9_010), "past the HPA's tolerance");
    let waited = POLL * (polls + 1);
    assert!((45..=75).contains(&waited.as_secs()), "{waited:?}");
}
