//! KEDA's built-in scalers: the lag behind the checkpoints over a fixed threshold, through the HPA.

use crate::autoscaler::hpa::Reading;
use crate::autoscaler::keda::{Answer, Asker, ScaledObject, ScaledObjectSpec};
use crate::simulation::plant::Plant;
use crate::simulation::run::at;

use super::{Policy, seen_backlog};

/// Desired = ⌈lag ÷ threshold⌉, the lag capped at one threshold per partition.
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
        let lag = seen_backlog(plant);
        let capped = lag.min(self.threshold * plant.partitions().len() as u64);
        let answer = || {
            Reading::of_wire(capped as i64, 0.0, self.threshold as i64, 0.0).map(|reading| Answer {
                reading,
                active: lag > 0,
            })
        };
        Some(follow(&mut self.running, &self.object, plant, |_| answer()))
    }
}

/// Lets KEDA and the HPA ask what is due at this tick, and gives the count they want.
pub(super) fn follow(
    running: &mut Option<ScaledObject>,
    spec: &ScaledObjectSpec,
    plant: &Plant,
    mut answer: impl FnMut(Asker) -> Option<Answer>,
) -> u32 {
    let now = at(plant.tick());
    let object = running
        .get_or_insert_with(|| ScaledObject::new(spec.clone(), plant.replicas().len() as u32, now));
    while let Some(asker) = object.due(now) {
        let answer = answer(asker);
        object.answered(now, asker, answer);
    }
    object.replicas()
}
