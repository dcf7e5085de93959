//! One workload: how much arrives when, what goes wrong, and the plant it runs in.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::simulation::cold::Cold;
use crate::simulation::faults::Fault;
use crate::simulation::plant::{Commits, PlantSpec};
use crate::simulation::steps::TICK;
use crate::simulation::trace::Trace;
use crate::simulation::workload::{Workload, draw};

use super::load;

/// A workload by name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// As `--scenario` takes it.
    pub name: &'static str,
    /// In a line.
    pub about: &'static str,
    pub(super) hours: f64,
    pub(super) partitions: usize,
    /// Arrivals of a partition at an hour, in parts of what one replica can do.
    pub(super) load: fn(usize, f64) -> f64,
    /// What goes wrong; given what one replica can do per second.
    pub(super) faults: fn(f64) -> Vec<Fault>,
    /// What is odd about the load: from hour, to hour, what.
    pub(super) events: &'static [(f64, f64, &'static str)],
    /// Consumers that commit by count, and a fleet that may go to zero.
    pub(super) counted_commits: bool,
    /// A start from zero, which has a plant of its own; the fields from `hours` on mean nothing then.
    pub(super) cold: Option<Cold>,
}

impl Scenario {
    /// Whether it is a start from zero.
    pub const fn is_cold(&self) -> bool {
        self.cold.is_some()
    }

    /// What arrives and what goes wrong, where one replica does `capacity_per_second`. The same for the same seed.
    pub fn workload(&self, capacity_per_second: f64, seed: u64) -> Workload {
        if let Some(cold) = &self.cold {
            return cold.workload(self.name, seed);
        }
        // Scenarios draw apart from the plant, which is seeded alike.
        let mut rng = Pcg64::seed_from_u64(seed ^ 0x5ce7_a410);
        let ticks = (self.hours * 3600.0 / TICK.as_secs_f64()) as usize;
        let per_tick = capacity_per_second * TICK.as_secs_f64();
        let trace = Trace::generate(self.name, self.partitions, ticks, |tick, partition| {
            let hour = tick as f64 * TICK.as_secs_f64() / 3600.0;
            draw((self.load)(partition, hour) * per_tick, &mut rng)
        });
        Workload {
            trace: Arc::new(trace),
            faults: (self.faults)(capacity_per_second),
            lesson: None,
        }
    }

    /// The plant it runs in: as asked for, but for what makes the scenario.
    pub fn plant(&self, mut spec: PlantSpec) -> PlantSpec {
        if let Some(cold) = &self.cold {
            return cold.plant(spec);
        }
        if self.counted_commits {
            spec.commits = Commits::After(100);
            spec.min_replicas = 0;
        }
        spec
    }

    /// What is odd about the load: from, to, what.
    pub fn events(&self) -> impl Iterator<Item = (Duration, Duration, &'static str)> {
        let time = |hours: f64| Duration::from_secs_f64(hours * 3600.0);
        let events = self.events.iter();
        events.map(move |(from, to, what)| (time(*from), time(*to), *what))
    }

    /// Partitions and length.
    pub fn size(&self) -> (usize, Duration) {
        if let Some(cold) = &self.cold {
            return cold.size();
        }
        let length = Duration::from_secs_f64(self.hours * 3600.0);
        (self.partitions, length)
    }
}

pub(super) const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    hours: 4.0,
    partitions: 12,
    load: |p, _| load::uneven(p, 3.0),
    faults: NONE,
    events: &[],
    counted_commits: false,
    cold: None,
};

const NONE: fn(f64) -> Vec<Fault> = |_| Vec::new();
