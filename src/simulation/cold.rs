//! Starts from zero: nothing runs, nothing is known of the consumers, and producers begin.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::model::identity::Assignment;

use super::plant::{ClusterSpec, PlantSpec};
use super::steps::StepLength;
use super::trace::Trace;
use super::workload::{Workload, draw};

/// Nothing arrives before that: the service has seen an empty stream.
const QUIET: Duration = Duration::from_secs(30);
/// Something arrives for so long.
const LOAD_SECONDS: usize = 300;
/// Then nothing: what was started is to be taken back.
const TAIL: Duration = Duration::from_secs(600);

/// Fewer replicas than that are no bound that anybody sets.
const LEAST_BOUND: u32 = 100;
/// Replicas allowed, in parts of what arrivals need.
const BOUND_RATIO: f64 = 4.0;

/// How producers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Everything from the first second on.
    AtOnce,
    /// Evenly more for half of the time, then everything.
    Ramp,
    /// Everything for a minute, then a tenth.
    Burst,
}

impl Start {
    /// All, in the grid's order.
    pub const ALL: [Self; 3] = [Self::AtOnce, Self::Ramp, Self::Burst];

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Ramp => "ramp",
            Self::Burst => "burst",
        }
    }

    /// Share of the arrivals in a second of the load.
    fn share(self, second: usize) -> f64 {
        match self {
            Self::AtOnce => 1.0,
            Self::Ramp => ((second as f64 + 0.5) / (LOAD_SECONDS as f64 / 2.0)).min(1.0),
            Self::Burst if second < 60 => 1.0,
            Self::Burst => 0.1,
        }
    }
}

/// A start from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// Messages per second that arrive at most.
    pub arrivals_per_second: f64,
    /// Messages per second that one replica does.
    pub capacity_per_second: f64,
    /// Mean time that a replica takes to start.
    pub start_up: Duration,
    /// How often streamgauge looks at its source; KEDA polls as often, but not more often than every 5 s.
    pub poll_interval: Duration,
    /// How producers begin.
    pub start: Start,
    /// Whether a partition belongs to one replica.
    pub assignment: Assignment,
}

impl Cold {
    /// The product of what the first issue about cold starts names.
    pub fn grid(assignment: Assignment) -> Vec<Self> {
        let mut all = Vec::new();
        for arrivals_per_second in [20.0, 100.0, 400.0, 2_000.0] {
            for capacity_per_second in [5.0, 50.0, 500.0] {
                for start_up in [3, 20, 60] {
                    for poll_interval in [1, 5, 15] {
                        for start in Start::ALL {
                            all.push(Self {
                                arrivals_per_second,
                                capacity_per_second,
                                start_up: Duration::from_secs(start_up),
                                poll_interval: Duration::from_secs(poll_interval),
                                start,
                                assignment,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    /// What arrives: nothing, the load, nothing. The same for the same seed.
    pub fn workload(&self, name: &str, seed: u64) -> Workload {
        let mut rng = Pcg64::seed_from_u64(seed ^ 0xc01d_57a7);
        let partitions = self.partitions();
        let trace = Trace::generate(name, partitions, LOAD_SECONDS, |second, _| {
            let mean = self.arrivals_per_second * self.start.share(second) / partitions as f64;
            draw(mean, &mut rng)
        });
        let trace = trace
            .in_steps(StepLength::SECOND)
            .after_nothing(QUIET)
            .followed_by_nothing(TAIL);
        Workload {
            trace: Arc::new(trace),
            faults: Vec::new(),
            lesson: None,
        }
    }

    /// One stream that all share, or enough partitions for what is needed twice.
    fn partitions(&self) -> usize {
        match self.assignment {
            Assignment::Shared => 1,
            Assignment::Exclusive => (2.0 * self.needed()).ceil().clamp(12.0, 400.0) as usize,
        }
    }

    /// Replicas that the arrivals need.
    fn needed(&self) -> f64 {
        self.arrivals_per_second / self.capacity_per_second
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        QUIET + Duration::from_secs(LOAD_SECONDS as u64) + TAIL
    }

    /// Partitions and length.
    pub fn size(&self) -> (usize, Duration) {
        (self.partitions(), self.duration())
    }

    /// The plant: as given, but for what makes the start.
    pub fn plant(&self, spec: PlantSpec) -> PlantSpec {
        PlantSpec {
            step: StepLength::SECOND,
            capacity_per_second: self.capacity_per_second,
            start_up: self.start_up,
            assignment: self.assignment,
            min_replicas: 0,
            max_replicas: LEAST_BOUND.max((BOUND_RATIO * self.needed()).ceil() as u32),
            poll_interval: self.poll_interval,
            cluster: Some(ClusterSpec {
                polling_interval: self.poll_interval.max(Duration::from_secs(5)),
                ..ClusterSpec::default()
            }),
            ..spec
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_whole_product_and_every_cell_fits_its_plant() {
        let grid = Cold::grid(Assignment::Shared);
        assert_eq!(grid.len(), 4 * 3 * 3 * 3 * 3);
        for cold in grid {
            let plant = cold.plant(PlantSpec::default());
            let trace = cold.workload("cold", 0).trace;
            assert_eq!(trace.step(), plant.step);
            assert_eq!((trace.partitions().len(), trace.duration()), cold.size());
            assert!(f64::from(plant.max_replicas) >= 2.0 * cold.needed());
        }
    }
}
