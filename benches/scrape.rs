//! What a scrape costs: milliseconds and bytes of `/metrics`, plain and gzipped, by number of series. `cargo bench --bench scrape`.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

#[path = "../tests/support/exported.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod exported;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use exported::{Exported, LAST_POLL, sample};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, Sample};

const ROUNDS: usize = 21;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "{:>10} {:>8} {:>12} {:>9} {:>9} {:>9}",
        "partitions", "series", "encoding", "ms, min", "ms, p50", "MB"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    for partitions in [100, 1_000, 5_500, 10_000] {
        let exported = watched(partitions);
        for encoding in ["identity", "gzip"] {
            runtime.block_on(measure(&exported, partitions, encoding));
        }
    }
}

fn watched(partitions: u64) -> Exported {
    let exported = Exported::unobserved();
    for poll in 0..3_u32 {
        let seen = |n: u64| {
            let done = 9_000 + u64::from(poll) * (n * 7919 % 997);
            let seen = PartitionObservation::Present(sample(done + n % 89, done, n % 13));
            (PartitionId::new(n.to_string()), seen)
        };
        let seen: BTreeMap<_, _> = (0..partitions).map(seen).collect();
        let sample = Sample {
            partitions: seen,
            ..Sample::default()
        };
        let at = LAST_POLL.minus(Duration::from_secs(5) * (2 - poll));
        exported.observe("billing", at, sample);
    }
    exported
}

async fn measure(exported: &Exported, partitions: u64, encoding: &str) {
    let (mut each, mut bytes) = (Vec::with_capacity(ROUNDS), 0);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let (_, _, body) = exported.get_bytes("/metrics", "*/*", encoding).await;
        each.push(started.elapsed().as_secs_f64() * 1e3);
        bytes = body.len();
    }
    each.sort_unstable_by(f64::total_cmp);
    let text = exported.get("/metrics", "*/*").await.body;
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    println!(
        "{partitions:>10} {series:>8} {encoding:>12} {:>9.1} {:>9.1} {:>9.2}",
        each[0],
        each[ROUNDS / 2],
        bytes as f64 / 1e6
    );
}
