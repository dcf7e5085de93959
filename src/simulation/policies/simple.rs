//! A fixed count, and the HPA on CPU.

use std::time::Duration;

use crate::autoscaler::hpa::{ExternalReading, Hpa, HpaSpec};
use crate::simulation::plant::Plant;

use super::Policy;

/// Always the same count.
#[derive(Clone, Debug)]
pub struct Static(pub u32);

impl Policy for Static {
    fn replicas(&mut self, _: &Plant) -> Option<u32> {
        Some(self.0)
    }
}

/// The HPA on the mean busy share of the last minute, as CPU utilization would show it. Looks at true busy time.
#[derive(Clone, Debug)]
pub struct Cpu {
    target_percent: f64,
    hpa: Hpa,
    minute: Vec<f64>,
}

impl Cpu {
    /// Aims at that utilization.
    pub fn new(target_percent: f64, hpa: HpaSpec) -> Self {
        Self {
            target_percent,
            hpa: Hpa::new(hpa),
            minute: Vec::new(),
        }
    }
}

impl Policy for Cpu {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        self.minute
            .push(plant.ready_replicas().map(|r| r.busy_share).sum());
        if self.minute.len() > plant.ticks(Duration::from_secs(60)) {
            self.minute.remove(0);
        }
        if !plant
            .tick()
            .is_multiple_of(plant.ticks(Duration::from_secs(15)))
        {
            return None;
        }
        let busy = self.minute.iter().sum::<f64>() / self.minute.len() as f64;
        let reading = ExternalReading::of_wire(0, busy * 100.0, 0, self.target_percent);
        Some(
            self.hpa
                .sync(plant.now(), plant.replicas().len() as u32, &[reading]),
        )
    }
}
