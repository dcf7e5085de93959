//! Metrics of the process itself, in the names that Prometheus' client libraries give them. What the system does not tell has no sample.

use std::fmt;

use metrics_process::collector::collect;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, Label, counter, gauge};

const CPU: About = About(
    "process_cpu_seconds",
    "Total user and system CPU time spent in seconds.",
);
const RESIDENT: About = About(
    "process_resident_memory_bytes",
    "Resident memory size in bytes.",
);
const VIRTUAL: About = About(
    "process_virtual_memory_bytes",
    "Virtual memory size in bytes.",
);
const OPEN_FDS: About = About("process_open_fds", "Number of open file descriptors.");
const MAX_FDS: About = About(
    "process_max_fds",
    "Maximum number of open file descriptors.",
);
const STARTED: About = About(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
);
const THREADS: About = About("process_threads", "Number of OS threads.");

/// Read at every scrape; on Linux a few short files of `/proc/self` and a listing.
#[derive(Debug)]
pub(super) struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = collect();
        let none: [Label<'_>; 0] = [];
        let whole = |value: Option<u64>| value.map(|value| (none, value.into())).into_iter();
        let cpu = read.cpu_seconds_total.map(|value| (none, value.into()));
        // 0 stands for no limit.
        let max_fds = read.max_fds.filter(|most| *most > 0);
        counter(&mut encoder, CPU, cpu.into_iter())?;
        gauge(&mut encoder, RESIDENT, whole(read.resident_memory_bytes))?;
        gauge(&mut encoder, VIRTUAL, whole(read.virtual_memory_bytes))?;
        gauge(&mut encoder, OPEN_FDS, whole(read.open_fds))?;
        gauge(&mut encoder, MAX_FDS, whole(max_fds))?;
        gauge(&mut encoder, STARTED, whole(read.start_time_seconds))?;
        gauge(&mut encoder, THREADS, whole(read.threads))
    }
}
