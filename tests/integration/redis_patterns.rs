//! Streams found by pattern: all that the server itself finds, by one look-up for all groups of a source.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, config_at, run};
use crate::support::{Rng, eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(20));
const PATTERNS: usize = 60;
const KEYS: u64 = 150;

fn reader_of(source: &RedisStreams, pattern: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::Pattern(pattern.to_owned());
    source.reader(&selector, "g", TIMEOUT)
}

/// A text of these, of up to so many.
fn text(rng: &mut Rng, of: &[char], most: u64) -> String {
    let length = rng.next() % most;
    (0..=length)
        .map(|_| of[rng.next() as usize % of.len()])
        .collect()
}

/// The streams that were found, by their lengths.
fn lengths(sample: &Result<Sample, Failure>) -> BTreeSet<u64> {
    let sample = sample.as_ref().expect("a sample");
    let length = |seen: &PartitionObservation| match seen {
        PartitionObservation::GroupMissing { length, .. } => *length,
        other => panic!("{other:?}"),
    };
    sample.partitions.values().map(length).collect()
}

/// What the server finds.
fn scanned(redis: &mut Connection, pattern: &str) -> BTreeSet<u64> {
    let mut keys = BTreeSet::new();
    let mut cursor = 0;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(1000).arg("TYPE").arg("stream");
        let (next, page): (u64, Vec<Vec<u8>>) = scan.query(redis).expect("a page");
        keys.extend(page);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let length = |key: &Vec<u8>| redis::cmd("XLEN").arg(key).query(redis).expect("a length");
    keys.iter().map(length).collect()
}

fn scans(redis: &mut Connection) -> u64 {
    let stats: String = run(redis, "INFO commandstats");
    let calls = |line: &str| -> Option<u64> {
        let rest = line.strip_prefix("cmdstat_scan:calls=")?;
        rest.split(',').next()?.parse().ok()
    };
    stats.lines().find_map(calls).unwrap_or(0)
}

#[tokio::test]
async fn one_walk_finds_for_many_patterns_what_the_server_finds_for_each() {
    let mut rng = Rng(17);
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let mut fill = redis::pipe();
        let mut keys = BTreeSet::new();
        while keys.len() < KEYS as usize {
            let mut key = text(&mut rng, &['a', 'b', '*', '[', ']', '^', '-', 'é'], 5).into_bytes();
            // Keys need not be text.
            if rng.next().is_multiple_of(8) {
                key.push(0xff);
            }
            keys.insert(key);
        }
        for (key, length) in keys.iter().zip(1..) {
            for _ in 0..length {
                fill.cmd("XADD")
                    .arg(key)
                    .arg("*")
                    .arg("d")
                    .arg("a")
                    .ignore();
            }
        }
        run::<String>(&mut redis, "SET x text");
        fill.exec(&mut redis).expect("filled");
        let of = ['a', 'b', '*', '?', '[', ']', '^', '-', '\\', 'é'];
        let patterns: BTreeSet<_> = (0..PATTERNS).map(|_| text(&mut rng, &of, 5)).collect();
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let mut readers: Vec<_> = patterns.iter().map(|p| reader_of(&source, p)).collect();
        let samples = join_all(readers.iter_mut().map(|reader| reader.poll())).await;
        assert!(scans(&mut redis) <= 2, "{flavour:?}: {}", scans(&mut redis));
        for (pattern, sample) in patterns.iter().zip(&samples) {
            let expect = scanned(&mut redis, pattern);
            assert_eq!(lengths(sample), expect, "{flavour:?}: {pattern:?}");
        }
    }
}

#[tokio::test]
async fn a_pattern_that_joins_later_does_not_wait_for_the_next_look_up_of_the_others() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<String>(&mut redis, "XADD a:1 * d a");
    run::<String>(&mut redis, "XADD b:1 * d a");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut first = reader_of(&source, "a:*");
    assert_eq!(lengths(&first.poll().await), [1].into());
    assert_eq!(lengths(&reader_of(&source, "b:*").poll().await), [1].into());
    assert_eq!(lengths(&first.poll().await), [1].into());
}

#[tokio::test]
async fn a_pattern_with_too_many_streams_keeps_no_other_from_its_own() {
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    let mut fill = redis::pipe();
    for n in 0..10_001 {
        let key = format!("many:{n}");
        fill.cmd("XADD")
            .arg(key)
            .arg("*")
            .arg("d")
            .arg("a")
            .ignore();
    }
    fill.exec(&mut redis).expect("filled");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let (mut many, mut few) = (reader_of(&source, "many:*"), reader_of(&source, "many:99?"));
    for _ in 0..2 {
        let (refused, found) = tokio::join!(many.poll(), few.poll());
        let refused = refused.expect_err("too many");
        assert_eq!(refused.kind, FailureKind::Misconfigured, "{refused}");
        assert!(refused.text.contains("\"many:*\""), "{refused}");
        assert_eq!(found.expect("a sample").partitions.len(), 10);
    }
}

#[tokio::test]
async fn a_group_whose_streams_are_still_looked_for_is_ready_as_soon_as_they_are_found() {
    let server = RedisServer::start(Flavour::Redis82);
    run::<String>(&mut server.connect(), "XADD a:1 * d a");
    let proxy = FaultProxy::start(server.port).await;
    let timeout = patience(Duration::from_secs(1));
    let source = RedisStreams::new(config_at(proxy.port), timeout);
    let key = StreamSelector::parse("a:1").expect("a key");
    let mut listed = source.reader(&key, "g", timeout);
    listed.poll().await.expect("a connection");
    proxy.set(Mode::Hold("SCAN", timeout * 3 / 4));
    let mut found = source.reader(&StreamSelector::Pattern("a:*".to_owned()), "g", timeout);
    let looking = found.poll().await.expect_err("nothing was found yet");
    assert_eq!(looking.kind, FailureKind::Transient, "{looking}");
    let is_ready = async |reader: &mut dyn GroupReader, within| {
        let ready = tokio::time::timeout(within, reader.until_ready());
        ready.await.is_ok()
    };
    let moment = Duration::from_millis(50);
    assert!(is_ready(&mut *found, 2 * timeout).await);
    assert!(!is_ready(&mut *found, moment).await, "that is told once");
    assert_eq!(lengths(&found.poll().await), [1].into());
    assert!(!is_ready(&mut *found, moment).await, "it lacks nothing");
    assert!(!is_ready(&mut *listed, moment).await, "it lacks nothing");
}

#[tokio::test]
async fn a_look_up_that_was_refused_is_made_again_soon() {
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    run::<String>(&mut redis, "XADD a:1 * d a");
    run::<()>(&mut redis, "ACL SETUSER default -scan");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut reader = reader_of(&source, "a:*");
    for _ in 0..2 {
        let refused = reader.poll().await.expect_err("refused");
        assert_eq!(refused.kind, FailureKind::Auth, "{refused}");
    }
    run::<()>(&mut redis, "ACL SETUSER default +scan");
    eventually("streams are found", Duration::from_secs(10), async || {
        reader.poll().await.ok()
    })
    .await;
}

#[tokio::test]
async fn after_a_long_outage_the_first_poll_that_can_read_does() {
    let mut server = RedisServer::start(Flavour::Redis70);
    run::<String>(&mut server.connect(), "XADD a:1 * d a");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut reader = reader_of(&source, "a:*");
    assert_eq!(lengths(&reader.poll().await), [1].into());
    server.kill();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(150)).await;
    tokio::time::resume();
    reader.poll().await.expect_err("no server");
    server.restart();
    reader.poll().await.expect("a sample");
}

#[tokio::test]
async fn a_pattern_finds_new_streams_and_reports_vanished_ones_as_missing_before_it_drops_them() {
    let server = RedisServer::start(Flavour::Valkey);
    let mut redis = server.connect();
    for key in ["o:1", "o:2"] {
        run::<()>(&mut redis, &format!("XGROUP CREATE {key} g 0 MKSTREAM"));
    }
    run::<String>(&mut redis, "SET o:text x");
    let source = RedisStreams::new(server.config(), TIMEOUT);
    let mut reader = reader_of(&source, "o:*");
    let mut are_after = async |pass: u64, expect: &str| {
        // Time passes between polls only: nothing is in flight then.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(pass)).await;
        tokio::time::resume();
        let name = |(id, seen): (&PartitionId, &PartitionObservation)| match seen {
            PartitionObservation::Present(_) => id.to_string(),
            PartitionObservation::StreamMissing => format!("{id} missing"),
            other => format!("{id} {other:?}"),
        };
        eventually(expect, Duration::from_secs(5), async || {
            let sample = reader.poll().await.expect("a sample");
            let names: Vec<_> = sample.partitions.iter().map(name).collect();
            (names.join(", ") == expect).then_some(())
        })
        .await;
    };
    are_after(0, "1, 2").await;
    run::<()>(&mut redis, "XGROUP CREATE o:3 g 0 MKSTREAM");
    run::<u64>(&mut redis, "DEL o:1");
    are_after(5, "1 missing, 2").await;
    are_after(30, "1 missing, 2, 3").await;
    are_after(60, "1 missing, 2, 3").await;
    are_after(50, "1 missing, 2, 3").await;
    are_after(31, "2, 3").await;
    run::<()>(&mut redis, "XGROUP CREATE o:1 g 0 MKSTREAM");
    are_after(31, "1, 2, 3").await;
}
