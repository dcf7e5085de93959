//! Starts from zero by name: the corners of the grid that `simulate --cold-grid` has in full.

use std::time::Duration;

use crate::model::identity::Assignment;
use crate::simulation::cold::{Cold, Start};

use super::scenario::{PLAIN, Scenario};

/// 400/s at once, consumers of 50/s that are ready within 3 s, polls every 5 s.
const START: Cold = Cold {
    arrivals_per_second: 400.0,
    capacity_per_second: 50.0,
    start_up: Duration::from_secs(3),
    poll_interval: Duration::from_secs(5),
    start: Start::AtOnce,
    assignment: Assignment::Shared,
};

const fn scenario(name: &'static str, about: &'static str, cold: Cold) -> Scenario {
    Scenario {
        name,
        about,
        cold: Some(cold),
        ..PLAIN
    }
}

/// Every start from zero. Each has its own plant: whatever is said of capacity, start-up, assignment, polls and counts, it keeps to that.
pub const COLD: &[Scenario] = &[
    scenario(
        "cold-start",
        "400/s from one second to the next; replicas handle 50/s and start within 3 s; polls every 5 s",
        START,
    ),
    scenario(
        "cold-ramp",
        "like cold-start, but the load ramps up over two and a half minutes",
        Cold {
            start: Start::Ramp,
            ..START
        },
    ),
    scenario(
        "cold-burst",
        "like cold-start, but the load drops to a tenth after a minute",
        Cold {
            start: Start::Burst,
            ..START
        },
    ),
    scenario(
        "cold-slow-start",
        "like cold-start, with replicas that take a minute to start",
        Cold {
            start_up: Duration::from_secs(60),
            ..START
        },
    ),
    scenario(
        "cold-slow-polls",
        "like cold-start, with polls every 15 s",
        Cold {
            poll_interval: Duration::from_secs(15),
            ..START
        },
    ),
    scenario(
        "cold-slow-consumers",
        "100/s; replicas handle 5/s and take 2 s for a batch",
        Cold {
            arrivals_per_second: 100.0,
            capacity_per_second: 5.0,
            ..START
        },
    ),
    scenario(
        "cold-fast-consumers",
        "400/s; replicas handle 500/s: one is enough",
        Cold {
            capacity_per_second: 500.0,
            ..START
        },
    ),
    scenario(
        "cold-trickle",
        "20/s; replicas handle 50/s: one is enough and is never fully busy",
        Cold {
            arrivals_per_second: 20.0,
            ..START
        },
    ),
    scenario(
        "cold-flood",
        "2,000/s; replicas handle 50/s and start within 20 s: at least 40 are needed",
        Cold {
            arrivals_per_second: 2_000.0,
            start_up: Duration::from_secs(20),
            ..START
        },
    ),
    scenario(
        "cold-exclusive",
        "like cold-start, on 16 partitions with exclusive assignment",
        Cold {
            assignment: Assignment::Exclusive,
            ..START
        },
    ),
    scenario(
        "cold-exclusive-ramp",
        "like cold-exclusive, with a load ramp, replicas that take 20 s to start, and polls every 15 s",
        Cold {
            assignment: Assignment::Exclusive,
            start: Start::Ramp,
            start_up: Duration::from_secs(20),
            poll_interval: Duration::from_secs(15),
            ..START
        },
    ),
];
