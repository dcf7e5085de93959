//! The Redis source on real servers: what it observes and how it names what it cannot.

use std::time::{Duration, Instant};

use streamgauge::config::types::RedisConfig;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{FailureKind, PartitionObservation, PartitionSample, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::redis::{Flavour, RedisServer, run};

const TIMEOUT: Duration = Duration::from_secs(20);

fn reader_of(config: RedisConfig, stream: &str, group: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    RedisStreams::new(config, TIMEOUT).reader(&selector, group, TIMEOUT)
}

fn observed<'a>(sample: &'a Sample, id: &str) -> Option<&'a PartitionObservation> {
    sample.partitions.get(&PartitionId::new(id))
}

fn present<'a>(sample: &'a Sample, id: &str) -> &'a PartitionSample {
    match observed(sample, id) {
        Some(PartitionObservation::Present(partition)) => partition,
        other => panic!("{id}: {other:?}"),
    }
}

#[tokio::test]
async fn a_missing_stream_a_missing_group_and_a_wrong_type_are_told_apart() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<String>(&mut redis, "XADD s:1 1-1 d a");
        run::<String>(&mut redis, "SET s:2 text");
        run::<()>(&mut redis, "XGROUP CREATE s:3 g 0 MKSTREAM");
        let sample = reader_of(server.config(), "s:{0..3}", "g")
            .poll()
            .await
            .expect("a sample");
        assert_eq!(
            observed(&sample, "0"),
            Some(&PartitionObservation::StreamMissing)
        );
        let missing = PartitionObservation::GroupMissing {
            length: 1,
            log_end: Some(1),
        };
        assert_eq!(observed(&sample, "1"), Some(&missing));
        let Some(PartitionObservation::Failed(failure)) = observed(&sample, "2") else {
            panic!("{:?}", observed(&sample, "2"));
        };
        assert_eq!(failure.kind, FailureKind::WrongType);
        assert!(
            failure.text.contains("s:2") && failure.text.contains(&server.address()),
            "{failure}"
        );
        assert_eq!(present(&sample, "3").backlog(), Some(Quantity::Exact(0)));

        let lengths = reader_of(server.config(), "s:1", "")
            .poll()
            .await
            .expect("a sample");
        assert_eq!(observed(&lengths, "s:1"), Some(&missing));
        assert_eq!(lengths.consumers, None);
    }
}

#[tokio::test]
async fn positions_counters_and_delivery_counts_are_those_of_the_server() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
    for n in 1..=6 {
        run::<String>(&mut redis, &format!("XADD x {n}-0 d a"));
    }
    run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c COUNT 3 STREAMS x >");
    run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c STREAMS x 0");
    run::<u64>(&mut redis, "XACK x g 1-0");
    run::<u64>(&mut redis, "XDEL x 1-0");
    let sample = reader_of(server.config(), "x", "g")
        .poll()
        .await
        .expect("a sample");
    let at = |major| streamgauge::model::sample::Position { major, minor: 0 };
    let expect = PartitionSample {
        log_end: Some(6),
        length: 5,
        lag: Some(Quantity::Exact(3)),
        pending: 2,
        stuck_pending: 0,
        stored_bytes: present(&sample, "x").stored_bytes,
        oldest_delivery_count: Some(2),
        // Ids like `2-0` have no age.
        oldest_age_millis: None,
        delivered: Some(at(3)),
        delivered_count: Some(3),
        counting: streamgauge::model::sample::Counting::Reads,
        oldest_kept: Some(at(2)),
        newest_removed: Some(at(1)),
        owner: None,
        ..PartitionSample::default()
    };
    assert_eq!(present(&sample, "x"), &expect);
    assert_eq!(sample.consumers, Some(1));
}

#[tokio::test]
async fn the_age_is_that_of_the_oldest_unfinished_message_by_the_servers_clock() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let (seconds, _): (u64, u64) = run(&mut redis, "TIME");
        let ago = |s: u64| (seconds - s) * 1000;
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let mut reader = reader_of(server.config(), "x", "g");
        let mut age = async || {
            let sample = reader.poll().await.expect("a sample");
            assert!(sample.source_time.is_some());
            present(&sample, "x")
                .oldest_age_millis
                .map(|age| age / 10_000 * 10)
        };
        assert_eq!(age().await, Some(0));
        for s in [300, 200, 100] {
            run::<String>(&mut redis, &format!("XADD x {}-0 d a", ago(s)));
        }
        assert_eq!(age().await, Some(300), "first undelivered");
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c COUNT 2 STREAMS x >");
        assert_eq!(age().await, Some(300), "pending");
        run::<u64>(
            &mut redis,
            &format!("XACK x g {}-0 {}-0", ago(300), ago(200)),
        );
        assert_eq!(age().await, Some(100), "undelivered in the middle");
        assert_eq!(age().await, Some(100), "remembered");
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c STREAMS x >");
        run::<u64>(&mut redis, &format!("XACK x g {}-0", ago(100)));
        assert_eq!(age().await, Some(0), "all done");
    }
}

#[tokio::test]
async fn stuck_entries_are_counted_on_their_own_and_left_out_of_backlog_and_age() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let (seconds, _): (u64, u64) = run(&mut redis, "TIME");
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let id = |s: u64| format!("{}-0", (seconds - s) * 1000);
        for s in [9000, 8000, 50] {
            run::<String>(&mut redis, &format!("XADD x {} d a", id(s)));
        }
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c STREAMS x >");
        for s in [9000, 8000] {
            run::<redis::Value>(
                &mut redis,
                &format!("XCLAIM x g dead 0 {} IDLE 3700000", id(s)),
            );
        }
        let mut reader = reader_of(server.config(), "x", "g");
        let sample = reader.poll().await.expect("a sample");
        let x = present(&sample, "x");
        assert_eq!((x.pending, x.stuck_pending), (3, 2), "{flavour:?}");
        assert_eq!(x.backlog(), Some(Quantity::Exact(1)));
        assert_eq!(x.oldest_age_millis.map(|age| age / 10_000), Some(5));
        run::<u64>(&mut redis, &format!("XACK x g {}", id(50)));
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(
            present(&sample, "x").oldest_age_millis,
            Some(0),
            "only stuck ones are left"
        );
        run::<u64>(&mut redis, &format!("XACK x g {} {}", id(9000), id(8000)));
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(present(&sample, "x").stuck_pending, 0);
    }
}

#[tokio::test]
async fn long_backlogs_are_counted_page_by_page_and_beyond_the_bound_are_at_least_that() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let mut add = |key: &str, n: u64, bytes: usize| {
            let body = "x".repeat(bytes);
            for chunk in (1..=n).collect::<Vec<_>>().chunks(500) {
                let mut pipe = redis::pipe();
                for id in chunk {
                    pipe.cmd("XADD")
                        .arg(key)
                        .arg(format!("{id}-0"))
                        .arg("d")
                        .arg(&body);
                }
                pipe.exec(&mut redis).expect("added");
            }
            run::<()>(&mut redis, &format!("XGROUP CREATE {key} g 3-0"));
            run::<u64>(&mut redis, &format!("XDEL {key} 4-0"));
        };
        add("s:0", 4500, 10);
        add("s:1", 12_000, 10);
        add("s:2", 60, 1 << 20);
        let sample = reader_of(server.config(), "s:{0..2}", "g")
            .poll()
            .await
            .expect("a sample");
        assert_eq!(
            present(&sample, "0").lag,
            Some(Quantity::Exact(4496)),
            "{flavour:?}"
        );
        let Some(Quantity::AtLeast(n)) = present(&sample, "1").lag else {
            panic!("{:?}", present(&sample, "1").lag);
        };
        assert!((10_000..=11_996).contains(&n), "{n}");
        let Some(Quantity::AtLeast(n)) = present(&sample, "2").lag else {
            panic!("{:?}", present(&sample, "2").lag);
        };
        assert!((10..=20).contains(&n), "16 MiB hold {n} entries of 1 MiB");
    }
}

#[tokio::test]
async fn redis_6_2_gets_a_counter_of_arrivals_that_survives_trims() {
    let server = RedisServer::start(Flavour::Redis62);
    let mut redis = server.connect();
    let mut reader = reader_of(server.config(), "x", "g");
    run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
    let mut next = 0;
    let mut add = |redis: &mut redis::Connection, n: u64| {
        for _ in 0..n {
            next += 1;
            run::<String>(redis, &format!("XADD x {next}-0 d a"));
        }
    };
    add(&mut redis, 5);
    let mut log_end = async || present(&reader.poll().await.expect("a sample"), "x").log_end;
    assert_eq!(log_end().await, Some(5));
    add(&mut redis, 3);
    assert_eq!(log_end().await, Some(8));
    add(&mut redis, 2);
    run::<u64>(&mut redis, "XTRIM x MAXLEN 4");
    assert_eq!(log_end().await, Some(10), "counted after a trim");
    add(&mut redis, 6);
    run::<u64>(&mut redis, "XTRIM x MAXLEN 2");
    assert_eq!(log_end().await, None, "some may have come and gone");
    add(&mut redis, 1);
    assert_eq!(log_end().await, Some(11), "goes on from there");
}

#[tokio::test]
async fn consumers_are_merged_by_name_across_partitions() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    for key in ["s:1", "s:2"] {
        run::<()>(&mut redis, &format!("XGROUP CREATE {key} g 0 MKSTREAM"));
    }
    let none = reader_of(server.config(), "s:*", "g")
        .poll()
        .await
        .expect("a sample");
    assert_eq!(none.consumers, Some(0));
    for (key, consumer) in [("s:1", "a"), ("s:2", "a"), ("s:2", "b")] {
        run::<redis::Value>(
            &mut redis,
            &format!("XREADGROUP GROUP g {consumer} STREAMS {key} >"),
        );
        run::<redis::Value>(
            &mut redis,
            &format!("XGROUP CREATECONSUMER {key} g {consumer}"),
        );
    }
    let two = reader_of(server.config(), "s:*", "g")
        .poll()
        .await
        .expect("a sample");
    assert_eq!(two.consumers, Some(2));
}

#[tokio::test]
async fn a_thousand_partitions_are_read_in_one_poll() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    let mut fill = redis::pipe();
    for n in 0..1000 {
        let key = format!("o:{n}");
        fill.cmd("XGROUP")
            .arg("CREATE")
            .arg(&key)
            .arg("g")
            .arg("0")
            .arg("MKSTREAM");
        for id in 1..=3 {
            fill.cmd("XADD")
                .arg(&key)
                .arg(format!("{id}-0"))
                .arg("d")
                .arg("a");
        }
        // In the middle, so that all thousand must be counted.
        fill.cmd("XGROUP")
            .arg("SETID")
            .arg(&key)
            .arg("g")
            .arg("2-0");
    }
    fill.exec(&mut redis).expect("filled");
    for stream in ["o:*", "o:{0..999}"] {
        let mut reader = reader_of(server.config(), stream, "g");
        let started = Instant::now();
        let sample = reader.poll().await.expect("a sample");
        assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
        assert_eq!(sample.partitions.len(), 1000);
        let all = sample
            .partitions
            .keys()
            .map(|id| present(&sample, id.as_str()).lag);
        assert_eq!(Quantity::sum(all), Some(Quantity::Exact(1000)));
        println!(
            "1,000 partitions of {stream}, all counted: {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn a_destroyed_group_and_a_deleted_stream_are_seen_at_the_next_poll() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
    run::<String>(&mut redis, "XADD x 1-0 d a");
    let mut reader = reader_of(server.config(), "x", "g");
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "x").lag, Some(Quantity::Exact(1)));
    run::<u64>(&mut redis, "XGROUP DESTROY x g");
    let sample = reader.poll().await.expect("a sample");
    assert!(matches!(
        observed(&sample, "x"),
        Some(PartitionObservation::GroupMissing { length: 1, .. })
    ));
    run::<u64>(&mut redis, "DEL x");
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(
        observed(&sample, "x"),
        Some(&PartitionObservation::StreamMissing)
    );
}

#[tokio::test]
async fn consumers_are_told_by_name_with_what_they_hold_over_all_partitions() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        for key in ["s:0", "s:1"] {
            run::<()>(&mut redis, &format!("XGROUP CREATE {key} g $ MKSTREAM"));
            for n in 1..=3 {
                run::<String>(&mut redis, &format!("XADD {key} 1-{n} d a"));
            }
            let read = format!("XREADGROUP GROUP g one COUNT 2 STREAMS {key} >");
            run::<redis::Value>(&mut redis, &read);
        }
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g two STREAMS s:1 >");
        run::<i64>(&mut redis, "XACK s:1 g 1-3");
        let mut reader = reader_of(server.config(), "s:{0..1}", "g");
        let sample = reader.poll().await.expect("a sample");
        let holders = sample.holders.expect("told");
        let told: Vec<(&str, u64)> = holders
            .iter()
            .map(|(name, holder)| (name.as_str(), holder.pending))
            .collect();
        assert_eq!(told, [("one", 4), ("two", 0)], "{flavour:?}");
        assert!(holders.values().all(|holder| holder.silent_millis < 5_000));
    }
}
