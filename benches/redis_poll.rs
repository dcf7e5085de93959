//! One poll of many streams on a real Redis 8.2: ours, prometheus-redis-exporter's scrape, KEDA's commands for as many triggers, and the
//! server's ceiling, which is our commands pipelined by nobody who reads the replies. Time, bytes and memory; then many groups and large
//! messages.
//!
//! `scripts/install-bench-tools && cargo bench --bench redis_poll`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "redis_poll/commands.rs"]
mod commands;
#[path = "redis_poll/exporter.rs"]
mod exporter;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::Connection;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use commands::{in_turn, kedas_commands, our_commands, send};
use exporter::exporter;
use support::redis::{Flavour, RedisServer, run};
use support::service::Service;

/// Partitions of a group.
const MOST: usize = 10_000;
const ADDED: u64 = 20;
const WAITING: u64 = 9;
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        println!("| streams | ours | ceiling | exporter | KEDA's commands | MB on the wire: ours, exporter, KEDA | MB of memory: serve, exporter |");
        println!("|---|---|---|---|---|---|---|");
        for streams in [1_000, 10_000, 50_000] {
            many_streams(streams).await;
        }
        many_groups().await;
        large_messages().await;
    });
}

/// The keys of each group.
fn templates(streams: usize) -> Vec<(String, usize)> {
    let groups = (0..streams.div_ceil(MOST)).map(|group| {
        let keys = MOST.min(streams - group * MOST);
        (format!("s{group}:"), keys)
    });
    groups.collect()
}

fn keys(streams: usize) -> impl Iterator<Item = String> {
    let of_group = |(prefix, keys): (String, usize)| (0..keys).map(move |n| format!("{prefix}{n}"));
    templates(streams).into_iter().flat_map(of_group)
}

fn fill(redis: &mut Connection, streams: usize) {
    let all: Vec<_> = keys(streams).collect();
    for chunk in all.chunks(500) {
        let mut commands = redis::pipe();
        for key in chunk {
            for _ in 0..ADDED {
                let add = commands.cmd("XADD").arg(key).arg("*");
                add.arg("order").arg(
                    "a message of a hundred bytes, more or less, as many are: {\"id\": 12345}",
                );
            }
            let create = commands.cmd("XGROUP").arg("CREATE").arg(key);
            create.arg("g").arg("0");
            let read = commands.cmd("XREADGROUP").arg("GROUP").arg("g").arg("c");
            read.arg("COUNT")
                .arg(ADDED - WAITING)
                .arg("STREAMS")
                .arg(key)
                .arg(">");
        }
        commands.exec(redis).unwrap();
    }
}

async fn many_streams(streams: usize) {
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    fill(&mut redis, streams);
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut readers: Vec<_> = templates(streams)
        .into_iter()
        .map(|(prefix, keys)| reader_of(&source, &format!("{prefix}{{0..{}}}", keys - 1), "g"))
        .collect();
    warm_up(&mut readers, streams).await;
    let (ours, our_bytes) = measured(&mut redis, 9, async || {
        poll_all(&mut readers, streams).await
    })
    .await;
    let request = our_commands(streams);
    let (ceiling, _) = measured(&mut redis, 9, async || send(&server, &request)).await;
    let keda = kedas_commands(streams);
    let (keda, keda_bytes) = measured(&mut redis, 1, async || in_turn(&server, &keda)).await;
    let serve = serve(&server, streams).await;
    let (exporter, exporter_bytes, exporter_memory) = exporter(&server, &mut redis, streams).await;
    let times = |other: Duration| other.as_secs_f64() / ours.as_secs_f64();
    println!(
        "| {streams} | {:.0} ms | {:.0} ms: {:.1} × | {:.0} ms: {:.1} × | {:.0} ms: {:.1} × | {:.1}, {:.1}, {:.1} | {serve:.0}, {exporter_memory:.0} |",
        ms(ours),
        ms(ceiling),
        1.0 / times(ceiling),
        ms(exporter),
        times(exporter),
        ms(keda),
        times(keda),
        our_bytes / 1e6,
        exporter_bytes / 1e6,
        keda_bytes / 1e6,
    );
}

fn reader_of(source: &RedisStreams, stream: &str, group: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).unwrap();
    source.reader(&selector, group, TIMEOUT)
}

/// At first nothing vouches for what the server says of lags, and a poll counts only so many.
async fn warm_up(readers: &mut [Box<dyn GroupReader>], streams: usize) {
    let mut polls = 0;
    while right_of(readers).await < streams || polls < 3 {
        polls += 1;
        assert!(polls < 50, "not all lags are told");
    }
}

/// One poll, held against the truth.
async fn poll_all(readers: &mut [Box<dyn GroupReader>], streams: usize) {
    assert_eq!(right_of(readers).await, streams);
}

async fn right_of(readers: &mut [Box<dyn GroupReader>]) -> usize {
    let polls = readers.iter_mut().map(|reader| reader.poll());
    let samples = join_all(polls).await;
    samples
        .iter()
        .map(|sample| right(sample.as_ref().unwrap()))
        .sum()
}

fn right(sample: &Sample) -> usize {
    let is_right = |seen: &&PartitionObservation| matches!(seen, PartitionObservation::Present(seen) if seen.lag == Some(Quantity::Exact(WAITING)));
    sample.partitions.values().filter(is_right).count()
}

/// The median time, and the bytes that the server took and sent.
async fn measured(
    redis: &mut Connection,
    rounds: u32,
    mut work: impl AsyncFnMut(),
) -> (Duration, f64) {
    let before = wire_bytes(redis);
    let mut took = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        work().await;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    let bytes = wire_bytes(redis) - before;
    (took[took.len() / 2], bytes / f64::from(rounds))
}

fn wire_bytes(redis: &mut Connection) -> f64 {
    let info: String = run(redis, "INFO stats");
    let field = |name: &str| -> f64 {
        let found = info.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().trim().parse().unwrap()
    };
    field("total_net_input_bytes:") + field("total_net_output_bytes:")
}

/// Memory of the service with state, page and a scraper, after a minute.
async fn serve(server: &RedisServer, streams: usize) -> f64 {
    let state = tempfile::TempDir::new().unwrap();
    let groups = templates(streams).into_iter().enumerate();
    let groups: Vec<_> = groups
        .map(|(n, (prefix, keys))| {
            format!(
                "{{ name: g{n}, source: main, stream: \"{prefix}{{0..{}}}\", consumer_group: g }}",
                keys - 1
            )
        })
        .collect();
    let service = Service::start(&format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\n\
         state: {{ dir: {:?} }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {} ]\n",
        state.path(),
        server.address(),
        groups.join(", ")
    ));
    let mut most = 0.0_f64;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        service.get("/metrics").await;
        service.get("/api/v1/groups").await;
        most = most.max(service.resident_megabytes());
    }
    most
}

/// A thousand groups: on one stream, and each on a stream of its own.
async fn many_groups() {
    const GROUPS: usize = 1_000;
    println!("\n| 1,000 groups | all polled | MB on the wire |\n|---|---|---|");
    for (what, streams) in [("on one stream", 1), ("on a stream each", GROUPS)] {
        let server = RedisServer::start(Flavour::Redis82);
        let mut redis = server.connect();
        fill(&mut redis, streams);
        let stream = |n: usize| format!("s0:{}", n % streams);
        for n in 0..GROUPS {
            run::<()>(&mut redis, &format!("XGROUP CREATE {} g{n} 0", stream(n)));
            let read = format!(
                "XREADGROUP GROUP g{n} c COUNT {} STREAMS {} >",
                ADDED - WAITING,
                stream(n)
            );
            run::<redis::Value>(&mut redis, &read);
        }
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let reader = |n| reader_of(&source, &stream(n), &format!("g{n}"));
        let mut readers: Vec<_> = (0..GROUPS).map(reader).collect();
        warm_up(&mut readers, GROUPS).await;
        let (took, bytes) =
            measured(&mut redis, 9, async || poll_all(&mut readers, GROUPS).await).await;
        println!("| {what} | {:.0} ms | {:.2} |", ms(took), bytes / 1e6);
    }
}

/// A hundred streams of entries of a megabyte, three each.
async fn large_messages() {
    const STREAMS: usize = 100;
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    let body = "x".repeat(1_000_000);
    for n in 0..STREAMS {
        let key = format!("s0:{n}");
        let mut commands = redis::pipe();
        for _ in 0..3 {
            commands
                .cmd("XADD")
                .arg(&key)
                .arg("*")
                .arg("body")
                .arg(&body);
        }
        commands
            .cmd("XGROUP")
            .arg("CREATE")
            .arg(&key)
            .arg("g")
            .arg("0");
        commands.exec(&mut redis).unwrap();
    }
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut reader = reader_of(&source, "s0:{0..99}", "g");
    for _ in 0..2 {
        reader.poll().await.unwrap();
    }
    let (took, bytes) = measured(&mut redis, 9, async || {
        assert_eq!(reader.poll().await.unwrap().partitions.len(), STREAMS);
    })
    .await;
    let (exporter, exporter_bytes, memory) = exporter(&server, &mut redis, STREAMS).await;
    println!("\n| 100 streams of 1 MB messages | time | MB on the wire |\n|---|---|---|");
    println!("| ours | {:.0} ms | {:.3} |", ms(took), bytes / 1e6);
    println!(
        "| exporter ({memory:.0} MB of memory) | {:.0} ms | {:.1} |",
        ms(exporter),
        exporter_bytes / 1e6
    );
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
