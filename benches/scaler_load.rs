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
use std::time::{Duration, Instant};

use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use tonic::transport::Channel;

use support::redis::{Flavour, RedisServer};
use support::service::Service;

const OBJECTS: usize = 200;
const NAMESPACES: usize = 10;
const PARTITIONS_PER_OBJECT: usize = 5;
const RUN: Duration = Duration::from_secs(10);
const RATES: [u32; 3] = [1_000, 5_000, 10_000];

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
        "{:>13} {:>12} {:>9} {:>9} {:>9} {:>9} {:>8}",
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
    let pairs = rate * RUN.as_secs() as u32;
    let (done, mut finished) = tokio::sync::mpsc::unbounded_channel();
    let (client, objects, runtime) = (
        client.clone(),
        Arc::clone(objects),
        tokio::runtime::Handle::current(),
    );
    let started = Instant::now();
    // A thread of its own: the runtime's timer is too coarse for 200 µs.
    let schedule = std::thread::spawn(move || {
        for n in 0..pairs {
            let due = started + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            let pair = pair(client.clone(), objects[n as usize % OBJECTS].clone(), due);
            let done = done.clone();
            runtime.spawn(async move { done.send(pair.await) });
        }
    });
    let mut latencies = Vec::with_capacity(pairs as usize);
    let mut errors = 0;
    while let Some((latency, fine)) = finished.recv().await {
        latencies.push(latency);
        errors += u32::from(!fine);
    }
    let took = started.elapsed().as_secs_f64();
    schedule.join().unwrap();
    latencies.sort_unstable();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{rate:>13} {:>12.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {errors:>8}",
        f64::from(pairs) / took,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
}

/// GetMetrics, then IsActive; the time since the pair was due.
async fn pair(
    mut client: ExternalScalerClient<Channel>,
    object: ScaledObjectRef,
    due: Instant,
) -> (Duration, bool) {
    let request = GetMetricsRequest {
        scaled_object_ref: Some(object.clone()),
        metric_name: "replicas".to_owned(),
    };
    let fine = client.get_metrics(request).await.is_ok() && client.is_active(object).await.is_ok();
    (due.elapsed(), fine)
}
