//! streamgauge's own model and policy, the code that `serve` runs, asked by KEDA and an HPA that does not hold back itself.

mod census;

use std::time::Duration;

use crate::autoscaler::hpa::{ExternalReading, HpaSpec};
use crate::autoscaler::keda::{ScaledObject, ScaledObjectSpec, ScalerAnswer};
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::capacity::CapacityRules;
use crate::model::identity::{Assignment, PartitionId};
use crate::model::quantity::Quantity;
use crate::model::sample::{AgeMethod, PartitionObservation, PartitionSample, Position, Sample};
use crate::model::time::Timestamp;
use crate::policy::pace::{Pace, between_wakes};
use crate::policy::spec::TargetSpec;
use crate::scaled_object::{HpaObserved, ObjectSettings, ReplicasObserved};
use crate::simulation::plant::{Plant, PlantPartition};
use crate::simulation::steps::at;

use census::ReplicaCensus;

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
    /// Whether it is to have seen the workload once before.
    pub learned: bool,
}

/// What begins at a time of its own, for [`Plant::phase`].
const SOURCE_POLL: u64 = 3;

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
            learned: false,
        }
    }

    /// With the whole behaviour of `manifests/scaledobject-example.yaml`.
    #[must_use]
    pub fn as_in_the_manifests(mut self) -> Self {
        self.object.hpa.has_behavior = true;
        self.object.hpa.scale_up_pods = 50;
        self.object.is_pushed = true;
        self
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
    census: ReplicaCensus,
    polls: Polls,
}

/// When the source is polled, as `collector` does it.
#[derive(Clone, Debug)]
struct Polls {
    pace: Pace,
    /// `None` before the first poll.
    next: Option<Timestamp>,
    /// When messages last brought a poll about, and how many had been produced at the last poll.
    woken_at: Option<Timestamp>,
    produced: u64,
}

impl Ours {
    /// A service that starts with the workload.
    pub fn new(spec: OursSpec, names: &[PartitionId]) -> Self {
        let key = TargetKey {
            name: "workload".to_owned(),
            ..TargetKey::default()
        };
        let polls = Polls {
            pace: Pace::new(spec.poll_interval, 0.0),
            next: None,
            woken_at: None,
            produced: 0,
        };
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
            census: ReplicaCensus::default(),
            polls,
        }
    }

    /// All that it knows.
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    /// The watch of the Kubernetes API tells, within a tick.
    fn observe_replicas(&mut self, plant: &Plant) {
        let Some(cluster) = &plant.spec().cluster else {
            return;
        };
        let exist = plant.replicas().len() as u32;
        let wanted = self.running.as_ref().map(ScaledObject::replicas);
        let seen = ReplicasObserved {
            current: Some(exist),
            asked: Some(wanted.unwrap_or(exist)),
            ready: Some(plant.ready_replicas().count() as u32),
            updated: Some(exist),
            hpa: Some(HpaObserved {
                desired: wanted,
                trouble: None,
            }),
            object: ObjectSettings {
                min_replicas: self.spec.object.min_replicas,
                max_replicas: self.spec.object.hpa.max_replicas,
                polling_interval_seconds: Some(cluster.polling_interval.as_secs() as u32),
                cooldown_seconds: Some(cluster.cooldown.as_secs() as u32),
                scale_down_window_seconds: Some(0),
                ..ObjectSettings::default()
            },
            unread: None,
            waiting: None,
        };
        self.state.apply(&Event {
            at: plant.now(),
            what: What::ReplicasObserved(self.key.clone(), Box::new(Ok(seen))),
        });
    }

    /// The source is polled.
    fn observe(&mut self, plant: &Plant) {
        let sample = match plant.spec().assignment {
            Assignment::Shared => {
                self.census.read(plant);
                Sample {
                    consumers: self.census.consumers,
                    holders: self.census.holders.clone(),
                    ..sample(plant, &self.names, |p, _| fetched(p, plant))
                }
            }
            Assignment::Exclusive => {
                let mut owners: Vec<u32> = plant.owners().iter().flatten().copied().collect();
                owners.sort_unstable();
                owners.dedup();
                Sample {
                    consumers: Some(owners.len() as u32),
                    ..sample(plant, &self.names, |p, owner| held(p, owner, plant))
                }
            }
        };
        self.state.apply(&Event {
            at: plant.now(),
            what: What::Observed(Ok(sample)),
        });
    }

    /// Polls if that is due: in time, or because a message came to a stream that was inactive.
    fn poll(&mut self, plant: &Plant) {
        let now = plant.now();
        let every = plant.ticks(self.spec.poll_interval).max(1);
        let first = || match plant.spec().cluster {
            Some(_) => every - plant.ticks(plant.phase(SOURCE_POLL, self.spec.poll_interval)),
            None => every,
        };
        let next = *self.polls.next.get_or_insert_with(|| {
            let before = plant.tick() - 1;
            plant.spec().step.at(before + first())
        });
        let produced: u64 = plant.partitions().iter().map(|p| p.produced).sum();
        let rest = between_wakes(self.spec.poll_interval, Duration::ZERO);
        let may_wake = |at: Timestamp| now.since(at) >= rest;
        let is_woken = self.is_watched(plant)
            && produced > self.polls.produced
            && self.polls.woken_at.is_none_or(may_wake);
        if now < next && !is_woken {
            return;
        }
        self.observe(plant);
        self.polls.produced = produced;
        if is_woken {
            self.polls.woken_at = Some(now);
        }
        // Of hubs no message brings a poll about, and none comes sooner.
        let is_inactive = self.is_watched(plant);
        self.polls.next = Some(now.plus(self.polls.pace.after(is_inactive)));
    }

    /// Whether messages bring a poll about: of Redis Streams, while nothing is to be done.
    fn is_watched(&self, plant: &Plant) -> bool {
        plant.spec().assignment == Assignment::Shared && self.state.is_inactive()
    }
}

fn sample(
    plant: &Plant,
    names: &[PartitionId],
    of: impl Fn(&PlantPartition, Option<u32>) -> PartitionSample,
) -> Sample {
    let seen = plant.partitions().iter().zip(plant.owners());
    let seen = seen.map(|(p, owner)| PartitionObservation::Present(of(p, *owner)));
    Sample {
        partitions: names.iter().cloned().zip(seen).collect(),
        source_time: Some(plant.now()),
        ..Sample::default()
    }
}

/// A stream whose consumers fetch and acknowledge.
fn fetched(partition: &PlantPartition, plant: &Plant) -> PartitionSample {
    PartitionSample {
        log_end: Some(partition.produced),
        length: partition.produced,
        lag: Some(Quantity::Exact(partition.produced - partition.delivered)),
        pending: partition.delivered - partition.done(),
        oldest_age_millis: Some(partition.oldest_millis(plant.tick())),
        age_method: AgeMethod::Exact,
        delivered: Some(Position {
            major: partition.delivered,
            minor: 0,
        }),
        delivered_count: Some(partition.delivered),
        ..PartitionSample::default()
    }
}

/// A log whose holders commit now and then.
fn held(partition: &PlantPartition, owner: Option<u32>, plant: &Plant) -> PartitionSample {
    let step = plant.spec().step;
    let oldest = partition.oldest_uncommitted();
    let oldest_ticks = oldest.map_or(0, |tick| plant.tick() - tick);
    PartitionSample {
        log_end: Some(partition.produced),
        length: partition.produced,
        lag: Some(Quantity::Exact(partition.produced - partition.committed)),
        oldest_age_millis: Some(oldest_ticks as u64 * step.duration().as_millis() as u64),
        age_method: AgeMethod::Interpolated,
        committed_at: Some(step.at(partition.committed_tick)),
        delivered: Some(Position {
            major: partition.committed,
            minor: 0,
        }),
        owner: owner.map(|owner| format!("replica-{owner}")),
        ..PartitionSample::default()
    }
}

impl Policy for Ours {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        self.observe_replicas(plant);
        self.poll(plant);
        let decision = self
            .state
            .targets()
            .get(&self.key)
            .and_then(|target| target.decision.as_ref());
        let answer = decision.and_then(|decision| {
            let reading = ExternalReading::of_wire(
                decision.metric?.ceil(),
                decision.metric?.as_f64(),
                1,
                1.0,
            )?;
            Some(ScalerAnswer {
                reading,
                active: decision.active?,
            })
        });
        if let (Some(object), Some(answer)) = (&mut self.running, answer) {
            object.pushed(plant.now(), answer.active);
        }
        Some(follow(&mut self.running, &self.spec.object, plant, |_| {
            answer
        }))
    }

    fn decision(&self) -> Option<(u32, &str)> {
        let target = self.state.targets().get(&self.key)?;
        let decision = target.decision.as_ref()?;
        Some((decision.desired?, decision.text.as_str()))
    }

    fn learns_first(&self) -> bool {
        self.spec.learned
    }
}
