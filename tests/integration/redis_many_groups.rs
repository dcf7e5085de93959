//! Many consumer groups on one stream: each is told what is true of it, and the server is asked for all of them together.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::{eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(2));
const GROUPS: usize = 120;
const ENTRIES: usize = 500;

fn readers(source: &RedisStreams) -> Vec<Box<dyn GroupReader>> {
    let selector = StreamSelector::parse("x").expect("a stream");
    let reader = |n| source.reader(&selector, &format!("g{n}"), TIMEOUT);
    (0..GROUPS).map(reader).collect()
}

fn present(sample: &Sample) -> &PartitionSample {
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => partition,
        other => panic!("{other:?}"),
    }
}

/// How often the server was asked for all groups of a stream.
fn asked(redis: &mut Connection) -> u64 {
    let stats: String = run(redis, "INFO commandstats");
    let calls = |line: &str| -> Option<u64> {
        let rest = line.strip_prefix("cmdstat_xinfo")?;
        // Before 7.0 all kinds of XINFO are one.
        let rest = rest.strip_prefix("|groups").unwrap_or(rest);
        rest.strip_prefix(":calls=")?
            .split(',')
            .next()?
            .parse()
            .ok()
    };
    stats.lines().filter_map(calls).sum()
}

#[tokio::test]
async fn groups_of_one_stream_share_what_the_server_tells_and_each_is_right() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        for n in 1..=ENTRIES {
            run::<String>(&mut redis, &format!("XADD x {n}-0 d a"));
        }
        for n in 0..GROUPS {
            run::<()>(&mut redis, &format!("XGROUP CREATE x g{n} {n}-0"));
            if n % 3 == 0 {
                let read = format!("XREADGROUP GROUP g{n} worker{n} COUNT 2 STREAMS x >");
                run::<redis::Value>(&mut redis, &read);
            }
        }
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let mut readers = readers(&source);
        // At first nothing vouches for the server's counts, and nobody knows that there are many groups.
        for _ in 0..2 {
            join_all(readers.iter_mut().map(|reader| reader.poll())).await;
        }
        run::<String>(&mut redis, "XADD x * d a");
        eventually("one sees it", Duration::from_secs(2), async || {
            let sample = readers[0].poll().await.expect("a sample");
            (present(&sample).length == ENTRIES as u64 + 1).then_some(())
        })
        .await;
        let before = asked(&mut redis);
        let samples = join_all(readers.iter_mut().map(|reader| reader.poll())).await;
        let asked = asked(&mut redis) - before;
        for (n, sample) in samples.into_iter().enumerate() {
            let sample = sample.expect("a sample");
            let partition = present(&sample);
            let taken = if n % 3 == 0 { 2 } else { 0 };
            let lag = (ENTRIES + 1 - n - taken) as u64;
            assert_eq!(partition.lag, Some(Quantity::Exact(lag)), "{flavour:?} {n}");
            assert_eq!(partition.pending, taken as u64, "{flavour:?} {n}");
            let deliveries = (taken > 0).then_some(1);
            assert_eq!(
                partition.oldest_delivery_count, deliveries,
                "{flavour:?} {n}"
            );
        }
        println!("{flavour:?}: {asked} readings of all groups for {GROUPS} polls");
        // Redis 6.2 tells no removals: there every count is made with a reading of its own.
        if flavour != Flavour::Redis62 {
            assert!(asked < GROUPS as u64 / 4, "{flavour:?}: {asked}");
        }
    }
}

const LARGE_GROUPS: usize = 60;

#[tokio::test]
async fn a_group_of_one_stream_does_not_wait_for_all_that_large_groups_ask_at_once() {
    let server = RedisServer::start(Flavour::Redis82);
    run::<()>(&mut server.connect(), "XGROUP CREATE x g $ MKSTREAM");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let reader = |stream: &str| {
        let selector = StreamSelector::parse(stream).expect("a stream");
        source.reader(&selector, "g", TIMEOUT)
    };
    let mut small = reader("x");
    small.poll().await.expect("a connection");
    let large = (0..LARGE_GROUPS).map(|n| reader(&format!("large:{n}:{{0..499}}")));
    let mut all: Vec<_> = large.chain([small]).collect();
    let ended = Mutex::new(Vec::new());
    // In this order they ask: the small one last.
    let polls = all.iter_mut().enumerate().map(async |(n, reader)| {
        reader.poll().await.expect("a sample");
        ended.lock().expect("no panic").push(n);
    });
    join_all(polls).await;
    let ended = ended.into_inner().expect("no panic");
    let before = ended.iter().position(|n| *n == LARGE_GROUPS);
    assert!(before < Some(LARGE_GROUPS / 2), "{ended:?}");
}
