//! What open streams of StreamIsActive cost: resident memory with so many of them, as KEDA opens one per trigger of `external-push`.
//!
//! `cargo bench --bench open_streams`; `STREAMS=29000` is the default, `STREAMGAUGE=path` measures another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{IsActiveResponse, ScaledObjectRef};
use tonic::Streaming;
use tonic::transport::Channel;

use support::eventually;
use support::redis::{Flavour, RedisServer, run};
use support::service::Service;

/// What one connection may have open.
const PER_CONNECTION: usize = 10_000;
const OBJECTS: usize = 500;
const AT_A_TIME: usize = 200;
const SOON: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let named = std::env::var("STREAMS").ok();
    let wanted: usize = named.map_or(29_000, |text| text.parse().expect("STREAMS is a number"));
    let redis = RedisServer::start(Flavour::Redis82);
    run::<()>(
        &mut redis.connect(),
        "XGROUP CREATE orders workers $ MKSTREAM",
    );
    let service = Service::start(&format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\nkubernetes: {{ enabled: false }}\nsources:\n  \
         - {{ name: main, redis: {{ url: \"redis://{}\" }} }}\ngroups:\n  \
         - {{ name: billing, source: main, stream: orders, consumer_group: workers }}\n",
        redis.address()
    ));
    let to = format!("http://{}", service.grpc);
    let mut clients = Vec::new();
    for _ in 0..wanted.div_ceil(PER_CONNECTION) {
        let channel = Channel::from_shared(to.clone()).unwrap();
        clients.push(ExternalScalerClient::new(channel.connect().await.unwrap()));
    }
    for n in 0..OBJECTS {
        eventually("an answer", SOON, async || {
            clients[0].clone().is_active(object(n)).await.ok()
        })
        .await;
    }
    let before = service.resident_megabytes();
    println!(
        "| streams | connections | refused | memory before | with them | per stream | a minute later | once closed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let started = Instant::now();
    let opened: Vec<_> = iter(0..wanted)
        .map(|n| {
            let mut client = clients[n / PER_CONNECTION].clone();
            async move { client.stream_is_active(object(n % OBJECTS)).await }
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let refused = opened.iter().filter(|opened| opened.is_err()).count();
    let streams: Vec<Streaming<IsActiveResponse>> = opened
        .into_iter()
        .flatten()
        .map(tonic::Response::into_inner)
        .collect();
    let took = started.elapsed();
    let with = service.resident_megabytes();
    tokio::time::sleep(SOON).await;
    let later = service.resident_megabytes();
    let count = streams.len();
    drop((streams, clients));
    tokio::time::sleep(SOON / 6).await;
    println!(
        "| {count} | {} | {refused} | {before:.1} MB | {with:.1} MB | {:.2} KB | {later:.1} MB | {:.1} MB |",
        wanted.div_ceil(PER_CONNECTION),
        (with - before) * 1e3 / count as f64,
        service.resident_megabytes(),
    );
    println!("opened in {took:.1?}");
}

fn object(n: usize) -> ScaledObjectRef {
    ScaledObjectRef {
        name: format!("worker-{n}"),
        namespace: "team".to_owned(),
        scaler_metadata: [("group".to_owned(), "billing".to_owned())].into(),
    }
}
