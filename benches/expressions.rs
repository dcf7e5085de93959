//! How long Prometheus takes for every expression of dashboards and rules with 10,000 partitions. `cargo bench --bench expressions`
//! (needs what `make test` installs; four minutes).
//!
//! A scrape per second for four minutes has as many samples as one every 15 s for an hour. Panels ask as Grafana would: for so many
//! points as they say, else 240, or for one moment. Scraping has ended by then.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_yaml::Value;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, Sample};
use support::dashboards::{NAMES, dashboard, queries};
use support::exported::{Exported, LAST_POLL, sample};
use support::prometheus::Prometheus;

const PARTITIONS: u64 = 10_000;
const SECONDS: u64 = 240;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let exported = Arc::new(Exported::unobserved());
    let router = exported.router();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let at = listener.local_addr().expect("an address");
    runtime.spawn(async move { axum::serve(listener, router).await });
    let prometheus = Prometheus::start_every(at, "1s");
    for second in 0..SECONDS + 4 {
        exported.wait(Duration::from_secs(second));
        exported.observe(
            "billing",
            LAST_POLL.plus(Duration::from_secs(second)),
            seen(second),
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    runtime.shutdown_background();
    let end = now();
    // The last scrapes fail, and every series is marked as gone, once.
    std::thread::sleep(Duration::from_secs(20));
    let mut timed: Vec<(Duration, usize, String)> = Vec::new();
    for name in NAMES {
        for query in queries(&dashboard(name)) {
            let asked = query
                .expression
                .replace("$job", ".+")
                .replace("$instance", ".+")
                .replace("$group", "billing")
                .replace("$__rate_interval", "8s")
                .replace("$__interval", "2s");
            let (span, step) = match query.points {
                None => (0, 1.0),
                Some(points) => (SECONDS, SECONDS as f64 / points as f64),
            };
            let (took, bytes) = prometheus.time_range(&asked, end - span, end, step);
            timed.push((took, bytes, format!("{name}: {}", query.place)));
        }
    }
    for (name, expression) in rules() {
        // As a rule is: at one moment.
        let (took, bytes) = prometheus.time_range(&expression, end, end, 1.0);
        timed.push((took, bytes, format!("rule {name}")));
    }
    timed.sort_by_key(|(took, ..)| std::cmp::Reverse(*took));
    println!("{} expressions, slowest first:", timed.len());
    println!("{:>9} {:>9}", "ms", "MB");
    for (took, bytes, what) in timed.iter().take(25) {
        println!(
            "{:>9.0} {:>9.2}  {what}",
            took.as_secs_f64() * 1e3,
            *bytes as f64 / 1e6
        );
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("a clock").as_secs()
}

fn seen(second: u64) -> Sample {
    let partition = |n: u64| {
        let done = second * (n * 7919 % 97);
        let seen =
            PartitionObservation::Present(sample(done + (n * (second + 7)) % 89, done, n % 13));
        (PartitionId::new(n.to_string()), seen)
    };
    Sample {
        partitions: (0..PARTITIONS).map(partition).collect(),
        consumers: Some(40),
        ..Sample::default()
    }
}

/// Alerts and recordings with their expressions.
fn rules() -> Vec<(String, String)> {
    let text = include_str!("../manifests/prometheus/rules.yaml");
    let file: Value = serde_yaml::from_str(text).expect("YAML");
    let groups = file["groups"].as_sequence().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_sequence().expect("rules"));
    let named = |rule: &Value| {
        let name = rule["alert"].as_str().or(rule["record"].as_str())?;
        Some((name.to_owned(), rule["expr"].as_str()?.to_owned()))
    };
    rules.filter_map(named).collect()
}
