//! KEDA's built-in scalers: the lag behind the checkpoints over a fixed threshold, through the HPA.

use std::time::Duration;

use crate::autoscaler::hpa::ExternalReading;
use crate::autoscaler::keda::{Asker, ScaledObject, ScaledObjectSpec, ScalerAnswer};
use crate::model::identity::Assignment;
use crate::simulation::plant::Plant;

use super::{Policy, seen_backlog};

/// Desired = ⌈lag ÷ threshold⌉. Under exclusive assignment as `azure-eventhub`: the lag behind the checkpoints, capped at one threshold per
/// partition. Under shared assignment as `redis-streams` with `lagCount`: what was not delivered yet, without a cap.
#[derive(Clone, Debug)]
pub struct KedaLag {
    threshold: u64,
    object: ScaledObjectSpec,
    running: Option<ScaledObject>,
}

impl KedaLag {
    /// One replica per `threshold` messages.
    pub fn new(threshold: u64, object: ScaledObjectSpec) -> Self {
        Self {
            threshold,
            object,
            running: None,
        }
    }
}

impl Policy for KedaLag {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        let (lag, counted) = match plant.spec().assignment {
            Assignment::Shared => {
                let undelivered = plant.partitions().iter().map(|p| p.produced - p.delivered);
                let lag = undelivered.sum();
                (lag, lag)
            }
            Assignment::Exclusive => {
                let lag = seen_backlog(plant);
                (
                    lag,
                    lag.min(self.threshold * plant.partitions().len() as u64),
                )
            }
        };
        let answer = || {
            ExternalReading::of_wire(counted as i64, 0.0, self.threshold as i64, 0.0).map(
                |reading| ScalerAnswer {
                    reading,
                    active: lag > 0,
                },
            )
        };
        Some(follow(&mut self.running, &self.object, plant, |_| answer()))
    }
}

/// What begins at a time of its own, for [`Plant::phase`].
const OBJECT_MADE: u64 = 1;

/// Lets KEDA and the HPA ask what is due at this tick, and gives the count they want.
pub(super) fn follow(
    running: &mut Option<ScaledObject>,
    spec: &ScaledObjectSpec,
    plant: &Plant,
    mut answer: impl FnMut(Asker) -> Option<ScalerAnswer>,
) -> u32 {
    let now = plant.now();
    let object = running.get_or_insert_with(|| {
        let object = ScaledObject::new(spec.clone(), plant.replicas().len() as u32, now);
        if plant.spec().cluster.is_none() {
            return object;
        }
        // The operator makes the HPA and then begins to poll, so both keep the time at which the object was made: with polls as
        // rare as syncs, the first sync after a start from zero comes nearly a whole period later. Measured: 13 to 15 s of 15.
        let period = spec.polling_interval.max(spec.hpa_sync);
        let made = plant.phase(OBJECT_MADE, period).as_millis() as u64;
        let within = |millis: u64, period: Duration| {
            Duration::from_millis(millis % period.as_millis().max(1) as u64)
        };
        let step = plant.spec().step.duration();
        let before = spec.hpa_sync.saturating_sub(step).as_millis() as u64;
        let poll = within(made, spec.polling_interval);
        object.out_of_phase(poll, within(made + before, spec.hpa_sync))
    });
    while let Some(asker) = object.due(now) {
        let answer = answer(asker);
        object.answered(now, asker, answer);
    }
    object.replicas()
}
