//! streamgauge's own model and policy, the code that `serve` runs, asked by KEDA and an HPA that does not hold back itself.

use std::time::Duration;

use crate::autoscaler::hpa::{HpaSpec, Reading};
use crate::autoscaler::keda::{Answer, ScaledObject, ScaledObjectSpec};
use crate::model::capacity::CapacityRules;
use crate::model::identity::{Assignment, PartitionId};
use crate::model::quantity::Quantity;
use crate::model::sample::{AgeMethod, PartitionObservation, PartitionSample, Position, Sample};
use crate::policy::event::{Event, TargetKey, What};
use crate::policy::spec::TargetSpec;
use crate::policy::state::GroupState;
use crate::simulation::plant::{Plant, PlantPartition, ticks};
use crate::simulation::run::at;

use super::Policy;
use super::keda::follow;

/// What it is given to start with.
#[derive(Clone, Debug)]
pub struct OursSpec {
    /// The target's settings.
    pub target: TargetSpec,
    /// The ScaledObject.
    pub object: ScaledObjectSpec,
    /// The source's poll interval.
    pub poll_interval: Duration,
}

impl OursSpec {
    /// The defaults, on a ScaledObject as the manifests have it: the HPA's own stabilization off.
    pub fn new(target: TargetSpec, mut object: ScaledObjectSpec) -> Self {
        object.hpa = HpaSpec {
            stabilization_down: Duration::ZERO,
            ..object.hpa
        };
        Self {
            target,
            object,
            poll_interval: Duration::from_secs(5),
        }
    }
}

/// The service, one group, one target.
#[derive(Clone, Debug)]
pub struct Ours {
    spec: OursSpec,
    state: GroupState,
    key: TargetKey,
    running: Option<ScaledObject>,
    names: Vec<PartitionId>,
}

impl Ours {
    /// A service that starts with the workload.
    pub fn new(spec: OursSpec, names: &[PartitionId]) -> Self {
        let key = TargetKey::default();
        let mut state = GroupState::new(CapacityRules::default());
        state.apply(&Event {
            at: at(0),
            what: What::TargetRegistered(key.clone(), Box::new(spec.target.clone())),
        });
        Self {
            spec,
            state,
            key,
            running: None,
            names: names.to_vec(),
        }
    }

    /// All that it knows.
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    fn observe(&mut self, plant: &Plant) {
        let now = at(plant.tick());
        let shared = plant.spec().assignment == Assignment::Shared;
        let observed = |partition: &PlantPartition, owner: &Option<u32>| {
            let done = if shared {
                partition.produced - partition.waiting().ceil() as u64
            } else {
                partition.committed
            };
            let oldest = if shared {
                partition.oldest_ticks(plant.tick())
            } else {
                partition
                    .oldest_uncommitted()
                    .map_or(0, |tick| plant.tick() - tick)
            };
            PartitionObservation::Present(PartitionSample {
                log_end: Some(partition.produced),
                length: partition.produced,
                lag: Some(Quantity::Exact(partition.produced - done)),
                oldest_age_millis: Some(oldest as u64 * 5_000),
                age_method: AgeMethod::Interpolated,
                committed_at: (!shared).then(|| at(partition.committed_tick)),
                delivered: Some(Position {
                    major: done,
                    minor: 0,
                }),
                delivered_count: shared.then_some(done),
                owner: owner
                    .filter(|_| !shared)
                    .map(|owner| format!("replica-{owner}")),
                ..PartitionSample::default()
            })
        };
        let partitions = self.names.iter().cloned().zip(
            plant
                .partitions()
                .iter()
                .zip(plant.owners())
                .map(|(p, o)| observed(p, o)),
        );
        let mut owners: Vec<u32> = plant.owners().iter().flatten().copied().collect();
        owners.sort_unstable();
        owners.dedup();
        let sample = Sample {
            partitions: partitions.collect(),
            consumers: Some(if shared {
                plant.ready_replicas().count()
            } else {
                owners.len()
            } as u32),
            source_time: Some(now),
            read_limit_per_second: None,
            errors: None,
            holders: None,
        };
        self.state.apply(&Event {
            at: now,
            what: What::Observed(Ok(sample)),
        });
    }
}

impl Policy for Ours {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        if plant.tick().is_multiple_of(ticks(self.spec.poll_interval)) {
            self.observe(plant);
        }
        let decision = self
            .state
            .targets()
            .get(&self.key)
            .and_then(|target| target.decision.as_ref());
        let answer = decision.and_then(|decision| {
            let reading =
                Reading::of_wire(decision.metric?.ceil(), decision.metric?.as_f64(), 1, 1.0)?;
            Some(Answer {
                reading,
                active: decision.active?,
            })
        });
        Some(follow(&mut self.running, &self.spec.object, plant, |_| {
            answer
        }))
    }

    fn decision(&self) -> Option<(u32, &str)> {
        let target = self.state.targets().get(&self.key)?;
        let decision = target.decision.as_ref()?;
        Some((decision.desired?, decision.text.as_str()))
    }
}
