//! What a reader of the page waits for, with 1,000 partitions and 360 columns. `make test` once, then `cargo bench --bench page`.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

#[path = "../tests/support/exported.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod exported;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use exported::{Exported, LAST_POLL, sample};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, Sample};

const PARTITIONS: u64 = 1_000;
const COLUMNS: u32 = 360;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let exported = watched();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        history(&exported).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let at = listener.local_addr().expect("an address");
        let router = exported.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let measured = tokio::task::spawn_blocking(move || {
            Command::new("node")
                .arg(root.join("benches/page/measure.mjs"))
                .arg(root.join(".tools/node"))
                .arg(format!("http://{at}/#/group/billing"))
                .status()
        });
        let status = measured.await.expect("its end").expect("node");
        assert!(status.success(), "`make test` installs what it needs");
    });
}

/// The columns of one kind, as the page asks for them.
async fn history(exported: &Exported) {
    let path = "/api/v1/groups/billing/history?seconds=1800&measure=backlog";
    for encoding in ["identity", "gzip"] {
        let started = Instant::now();
        let (_, _, body) = exported.get_bytes(path, "*/*", encoding).await;
        let took = started.elapsed().as_secs_f64() * 1e3;
        let megabytes = body.len() as f64 / 1e6;
        println!(
            "history of {PARTITIONS} partitions × {COLUMNS} columns, {encoding}: {took:.0} ms, {megabytes:.2} MB"
        );
    }
}

fn watched() -> Exported {
    let exported = Exported::unobserved();
    for poll in 0..COLUMNS {
        let seen = |n: u64| {
            let arrived = u64::from(poll) * (n * 7919 % 997);
            let waiting = (n * u64::from(poll) * 31) % 500;
            let seen = sample(arrived + waiting, arrived, n % 13);
            (
                PartitionId::new(n.to_string()),
                PartitionObservation::Present(seen),
            )
        };
        let sample = Sample {
            partitions: (0..PARTITIONS).map(seen).collect(),
            ..Sample::default()
        };
        let at = LAST_POLL.minus(Duration::from_secs(5) * (COLUMNS - 1 - poll));
        exported.observe("billing", at, sample);
    }
    exported
}
