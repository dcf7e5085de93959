//! Who decides: streamgauge's own policy, and the peers it is measured against.

mod clairvoyant;
mod flink;
mod keda;
mod name;
mod numaflow;
mod ours;
mod simple;

use super::plant::Plant;

pub use clairvoyant::Clairvoyant;
pub use flink::Flink;
pub use keda::KedaLag;
pub use name::PolicyName;
pub use numaflow::Numaflow;
pub use ours::{Ours, OursSpec};
pub use simple::{Cpu, Static};

/// Wants a count of replicas, tick after tick.
pub trait Policy {
    /// The count wanted from now on; `None`: as before. Policies look at what a real one can see: produced and committed
    /// positions and owners. Who looks at more says so.
    fn replicas(&mut self, plant: &Plant) -> Option<u32>;

    /// The count it decided on, which an autoscaler may follow later, and why, in a sentence; where it can say.
    fn decision(&self) -> Option<(u32, &str)> {
        None
    }

    /// Whether it is to have seen the whole workload once before what counts begins.
    fn learns_first(&self) -> bool {
        false
    }
}

/// The backlog that can be seen: behind the committed positions.
fn seen_backlog(plant: &Plant) -> u64 {
    plant
        .partitions()
        .iter()
        .map(|p| p.produced - p.committed)
        .sum()
}
