//! The load that one service is made for: 200 ScaledObjects in 10 namespaces on 1,000 partitions of a real Redis, polled every
//! second, asked by KEDA's pairs (GetMetrics, then IsActive) open loop on one connection.
//!
//! `make bench`. Latency counts from the moment a pair was due, so that a stall is not hidden. The load generator shares the
//! machine with the service and Redis.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use tokio::sync::Mutex;
use tonic::transport::Channel;

use support::redis::{Flavour, RedisServer};
use support::service::Service;

const OBJECTS: usize = 200;
const NAMESPACES: usize = 10;
const PARTITIONS_PER_OBJECT: usize = 5;
const RUN: Duration = Duration::from_secs(10);
const RATES: [u32; 3] = [1_000, 5_000, 10_000];
/// Pairs in flight; beyond them the generator cannot keep to its schedule, which shows in the latencies.
const MOST_IN_FLIGHT: usize = 512;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let redis = RedisServer::start(Flavour::Redis70);
    fill(&redis);
    let config = format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\npoll_interval: 1s\nsources:\n  - name: main\n    redis: {{ url: \
         \"redis://{}\" }}\n    allow: [ {{ namespaces: [\"*\"], streams: [\"bench:*\"], consumer_groups: [\"*\"] }} ]\n",
        redis.address()
    );
    let service = Service::start(&config);
    let channel = Channel::from_shared(format!("http://{}", service.grpc))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let client = ExternalScalerClient::new(channel);
    let objects: Arc<Vec<ScaledObjectRef>> = Arc::new((0..OBJECTS).map(object).collect());
    for object in objects.iter() {
        support::eventually(
            "every object has an answer",
            Duration::from_secs(20),
            || {
                let (mut client, object) = (client.clone(), object.clone());
                async move { client.is_active(object).await.ok() }
            },
        )
        .await;
    }
    println!(
        "{OBJECTS} ScaledObjects in {NAMESPACES} namespaces, {} partitions polled every second",
        OBJECTS * PARTITIONS_PER_OBJECT
    );
    println!(
        "{:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "asked pairs/s", "done pairs/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "errors"
    );
    for rate in RATES {
        run(&client, &objects, rate).await;
    }
    println!(
        "resident memory of serve: {:.1} MB",
        service.resident_megabytes()
    );
}

fn object(n: usize) -> ScaledObjectRef {
    let (from, to) = (
        n * PARTITIONS_PER_OBJECT,
        (n + 1) * PARTITIONS_PER_OBJECT - 1,
    );
    let metadata: [(&str, String); 5] = [
        ("scalerAddress", "streamgauge.keda:9090".to_owned()),
        ("source", "main".to_owned()),
        ("stream", format!("bench:{{{from}..{to}}}")),
        ("consumerGroup", "workers".to_owned()),
        ("capacityPerReplica", "50".to_owned()),
    ];
    ScaledObjectRef {
        name: format!("worker-{n}"),
        namespace: format!("team-{}", n % NAMESPACES),
        scaler_metadata: metadata
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect::<HashMap<_, _>>(),
    }
}

fn fill(redis: &RedisServer) {
    let mut connection = redis.connect();
    let mut pipe = redis::pipe();
    for n in 0..OBJECTS * PARTITIONS_PER_OBJECT {
        let key = format!("bench:{n}");
        pipe.cmd("XGROUP")
            .arg("CREATE")
            .arg(&key)
            .arg("workers")
            .arg("$")
            .arg("MKSTREAM")
            .ignore();
        for _ in 0..n % 50 {
            pipe.cmd("XADD").arg(&key).arg("*").arg("n").arg(1).ignore();
        }
    }
    pipe.query::<()>(&mut connection).unwrap();
}

async fn run(
    client: &ExternalScalerClient<Channel>,
    objects: &Arc<Vec<ScaledObjectRef>>,
    rate: u32,
) {
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(
        rate as usize * RUN.as_secs() as usize,
    )));
    let errors = Arc::new(AtomicU64::new(0));
    let in_flight = Arc::new(tokio::sync::Semaphore::new(MOST_IN_FLIGHT));
    let started = Instant::now();
    let pairs = rate * RUN.as_secs() as u32;
    for n in 0..pairs {
        let due = started + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        if let Some(wait) = due
            .checked_duration_since(Instant::now())
            .filter(|wait| *wait > Duration::from_micros(500))
        {
            tokio::time::sleep(wait).await;
        }
        let permit = in_flight.clone().acquire_owned().await.unwrap();
        let (mut client, object) = (client.clone(), objects[n as usize % OBJECTS].clone());
        let (latencies, errors) = (latencies.clone(), errors.clone());
        tokio::spawn(async move {
            let request = GetMetricsRequest {
                scaled_object_ref: Some(object.clone()),
                metric_name: "replicas".to_owned(),
            };
            let fine =
                client.get_metrics(request).await.is_ok() && client.is_active(object).await.is_ok();
            if !fine {
                errors.fetch_add(1, Ordering::Relaxed);
            }
            latencies.lock().await.push(due.elapsed());
            drop(permit);
        });
    }
    let _ = in_flight.acquire_many(MOST_IN_FLIGHT as u32).await.unwrap();
    let took = started.elapsed().as_secs_f64();
    let mut latencies = latencies.lock().await;
    latencies.sort_unstable();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{rate:>12} {:>12.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>8}",
        f64::from(pairs) / took,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        errors.load(Ordering::Relaxed)
    );
}
