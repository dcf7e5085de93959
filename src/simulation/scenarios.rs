//! Built-in workloads: what streams go through, each a few hours long, generated for every seed.

mod cold;
mod load;
mod scenario;

use std::time::Duration;

use super::faults::{Fault, FaultKind};

use scenario::PLAIN;

pub use cold::COLD;
pub use scenario::Scenario;

impl Scenario {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        let all = ALL.iter().chain(COLD);
        all.into_iter().find(|scenario| scenario.name == name)
    }
}

/// Every scenario but the starts from zero, in the order of the documentation.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "diurnal",
        about: "a daily wave compressed into 12 hours: from 1.5 to 7 replicas' worth of load and back",
        hours: 12.0,
        load: |p, h| load::uneven(p, load::wave(h, 12.0, 1.5, 7.0)),
        ..PLAIN
    },
    Scenario {
        name: "flash-crowd",
        about: "load quadruples within a minute and stays for half an hour",
        load: |p, h| load::uneven(p, 2.0) * load::step(h, 1.5, 2.0, 4.0),
        events: &[(1.5, 2.0, "flash crowd")],
        ..PLAIN
    },
    Scenario {
        name: "hot-partition",
        about: "one partition needs 80 % of a replica's capacity for two hours",
        hours: 6.0,
        load: |p, h| load::hot(p, h, (2.0, 4.0), 0.8),
        events: &[(2.0, 4.0, "partition 3 hot")],
        ..PLAIN
    },
    Scenario {
        name: "hotter-than-a-replica",
        about: "one partition needs 130 % of a replica's capacity: more replicas cannot help",
        load: |p, h| load::hot(p, h, (1.5, 2.0), 1.3),
        events: &[(1.5, 2.0, "partition 3 hotter than a replica")],
        ..PLAIN
    },
    Scenario {
        name: "slow-consumer",
        about: "the oldest replica runs at 30 % of its capacity for two hours",
        faults: |_| vec![Fault::new(1.0, 3.0, FaultKind::SlowReplica { ratio: 0.3 })],
        ..PLAIN
    },
    Scenario {
        name: "crash",
        about: "three crashes; each crashed replica keeps its partitions until its leases expire",
        faults: |_| {
            let crash = |hour: f64| Fault::new(hour, hour + 0.05, FaultKind::Crash);
            vec![crash(1.0), crash(2.0), crash(3.0)]
        },
        ..PLAIN
    },
    Scenario {
        name: "downstream-outage",
        about: "a dependency of the consumers drops to 60 % of one replica's throughput for 20 minutes: more replicas cannot help",
        faults: |capacity| {
            let per_second = 0.6 * capacity;
            vec![Fault::new(
                1.5,
                1.8333,
                FaultKind::Downstream { per_second },
            )]
        },
        ..PLAIN
    },
    Scenario {
        name: "stuck-partition",
        about: "one partition makes no progress for half an hour, whichever replica owns it",
        faults: |_| vec![Fault::new(1.5, 2.0, FaultKind::Stuck { partition: 2 })],
        ..PLAIN
    },
    Scenario {
        name: "producer-stop",
        about: "producers stop for an hour, then resume at full rate",
        hours: 6.0,
        load: |p, h| load::uneven(p, 4.0) * load::step(h, 2.0, 3.0, 0.0),
        events: &[(2.0, 3.0, "producers stopped")],
        ..PLAIN
    },
    Scenario {
        name: "nightly-batch",
        about: "almost idle, with one batch of 6 replicas' worth of load for 40 minutes",
        hours: 8.0,
        load: |p, h| load::uneven(p, 0.3) * load::step(h, 3.0, 3.6667, 20.0),
        events: &[(3.0, 3.6667, "batch")],
        ..PLAIN
    },
    Scenario {
        name: "rolling-deploy",
        about: "every replica is replaced, one a minute",
        faults: |_| {
            let every = Duration::from_secs(60);
            vec![Fault::new(1.5, 1.6, FaultKind::RollingDeploy { every })]
        },
        ..PLAIN
    },
    Scenario {
        name: "eviction",
        about: "two replicas are evicted at once, later three",
        load: |p, _| load::uneven(p, 4.0),
        faults: |_| {
            let evict =
                |hour: f64, replicas| Fault::new(hour, hour + 0.05, FaultKind::Evict { replicas });
            vec![evict(1.0, 2), evict(2.5, 3)]
        },
        ..PLAIN
    },
    Scenario {
        name: "slow-nodes",
        about: "load triples while replicas take six times as long to start, because nodes must be added first",
        hours: 6.0,
        load: |p, h| load::uneven(p, load::wave(h - 1.0, 4.0, 2.0, 6.0)),
        faults: |_| vec![Fault::new(1.0, 3.5, FaultKind::SlowStart { ratio: 6.0 })],
        ..PLAIN
    },
    Scenario {
        name: "quiet-hub",
        about: "1 % of a replica's load on 8 partitions, a commit every 100 messages: most of the backlog is already processed",
        hours: 8.0,
        partitions: 8,
        load: |_, _| 0.01 / 8.0,
        counted_commits: true,
        ..PLAIN
    },
    Scenario {
        name: "faults",
        about: "26 hours of a daily wave with eight of these faults, one after the other",
        hours: 26.0,
        load: load::faults,
        faults: |capacity| {
            let per_second = 0.6 * capacity;
            vec![
                Fault::new(16.0, 16.3333, FaultKind::Downstream { per_second }),
                Fault::new(18.0, 19.0, FaultKind::SlowReplica { ratio: 0.3 }),
                Fault::new(20.0, 20.05, FaultKind::Crash),
                Fault::new(22.0, 22.5, FaultKind::Stuck { partition: 2 }),
            ]
        },
        events: &[
            (4.0, 4.5, "flash crowd"),
            (7.0, 8.0, "partition 3 hot"),
            (10.0, 10.5, "partition 5 hotter than a replica"),
            (13.0, 14.0, "producers stopped"),
        ],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests;
