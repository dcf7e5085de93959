//! Metrics of the process itself, in the names that Prometheus' client libraries give them. Where there is no `/proc`, none.

use std::fmt;

use procfs::process::Process;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, Label, Value, counter, gauge};

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

/// Reads `/proc/self` at every scrape: two short files and a listing.
#[derive(Debug)]
pub(super) struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // What cannot be read is left out: it is about the process, not about the groups.
        let Some(read) = ProcessFigures::now() else {
            return Ok(());
        };
        let none: [Label<'_>; 0] = [];
        let one = |value: Option<Value>| value.map(|value| (none, value)).into_iter();
        counter(&mut encoder, CPU, one(Some(read.cpu_seconds.into())))?;
        gauge(&mut encoder, RESIDENT, one(Some(read.resident.into())))?;
        gauge(&mut encoder, VIRTUAL, one(Some(read.virtual_.into())))?;
        gauge(&mut encoder, OPEN_FDS, one(read.open_fds.map(Value::from)))?;
        gauge(&mut encoder, MAX_FDS, one(read.max_fds.map(Value::from)))?;
        gauge(&mut encoder, STARTED, one(read.started.map(Value::from)))?;
        gauge(&mut encoder, THREADS, one(Some(read.threads.into())))
    }
}

struct ProcessFigures {
    cpu_seconds: f64,
    resident: u64,
    virtual_: u64,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    started: Option<f64>,
    threads: u64,
}

impl ProcessFigures {
    fn now() -> Option<Self> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let ticks = procfs::ticks_per_second() as f64;
        let boot = procfs::boot_time_secs().ok();
        let limit = process.limits().ok().map(|limits| limits.max_open_files);
        Some(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident: stat.rss * procfs::page_size(),
            virtual_: stat.vsize,
            open_fds: process.fd_count().ok().map(|count| count as u64),
            max_fds: limit.and_then(|limit| match limit.soft_limit {
                procfs::process::LimitValue::Value(value) => Some(value),
                procfs::process::LimitValue::Unlimited => None,
            }),
            started: boot.map(|boot| boot as f64 + stat.starttime as f64 / ticks),
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        })
    }
}
