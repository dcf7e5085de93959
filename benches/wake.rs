//! From XADD on a quiet stream to `true` on KEDA's StreamIsActive: 500 groups, polled every 5 s as by default, each woken once.
//!
//! `cargo bench --bench wake`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{IsActiveResponse, ScaledObjectRef};
use tonic::Streaming;

use support::redis::{Flavour, RedisServer, run};
use support::service::Service;

const GROUPS: usize = 500;
/// The server takes so many at least, and so many ScaledObjects of a namespace.
const STREAMS_PER_CONNECTION: usize = 50;
/// Not in step with the polls.
const BETWEEN: Duration = Duration::from_millis(37);

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    for n in 0..GROUPS {
        run::<()>(&mut redis, &format!("XGROUP CREATE s{n} g $ MKSTREAM"));
    }
    let groups: Vec<_> = (0..GROUPS)
        .map(|n| format!("{{ name: g{n}, source: main, stream: s{n}, consumer_group: g }}"))
        .collect();
    let service = Service::start(&format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {} ]\n",
        server.address(),
        groups.join(", ")
    ));
    let address = format!("http://{}", service.grpc);
    let mut streams = Vec::new();
    let mut keda = ExternalScalerClient::connect(address.clone())
        .await
        .unwrap();
    for n in 0..GROUPS {
        if n % STREAMS_PER_CONNECTION == 0 {
            keda = ExternalScalerClient::connect(address.clone())
                .await
                .unwrap();
        }
        let mut stream = keda.stream_is_active(object(n)).await.unwrap().into_inner();
        assert!(!said(&mut stream).await, "group {n} is quiet");
        streams.push(stream);
    }
    // Every group has been polled and is watched from now on: a read of the watch lasts a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut took = Vec::with_capacity(GROUPS);
    for (n, mut stream) in streams.into_iter().enumerate() {
        tokio::time::sleep(BETWEEN).await;
        let added = Instant::now();
        run::<String>(&mut redis, &format!("XADD s{n} * d new"));
        assert!(said(&mut stream).await, "group {n} is woken");
        took.push(added.elapsed());
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{:>6} {:>8} {:>8} {:>8}",
        "wakes", "p50 ms", "p99 ms", "max ms"
    );
    println!(
        "{GROUPS:>6} {:>8.1} {:>8.1} {:>8.1}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn object(n: usize) -> ScaledObjectRef {
    ScaledObjectRef {
        name: format!("worker-{n}"),
        namespace: format!("team-{}", n / STREAMS_PER_CONNECTION),
        scaler_metadata: [("group".to_owned(), format!("g{n}"))].into(),
    }
}

async fn said(stream: &mut Streaming<IsActiveResponse>) -> bool {
    stream.message().await.unwrap().expect("a word").result
}
