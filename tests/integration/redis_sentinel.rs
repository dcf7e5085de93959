//! Redis behind sentinels: which server is the primary, and failovers.

use std::time::Duration;

use streamgauge::config::types::{RedisConfig, RedisSentinels, RedisServers};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::redis_sets::{MASTER, SentinelSet};
use crate::support::{eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(2));

fn reader_of(config: RedisConfig) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse("x").expect("a stream");
    RedisStreams::new(config, TIMEOUT).reader(&selector, "g", TIMEOUT)
}

fn lag(sample: &Sample) -> Option<Quantity> {
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => partition.lag,
        other => panic!("{other:?}"),
    }
}

/// A group with so many undelivered entries.
fn fill(server: &RedisServer, entries: usize) {
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE x g $ MKSTREAM");
    for _ in 0..entries {
        run::<String>(&mut redis, "XADD x * d a");
    }
}

#[tokio::test]
async fn the_primary_is_read_and_after_a_failover_the_new_one() {
    for flavour in Flavour::ALL {
        let mut set = SentinelSet::start(flavour, 2, 3);
        fill(&set.servers[0], 7);
        let copied: u64 = run(&mut set.servers[0].connect(), "WAIT 1 5000");
        assert_eq!(copied, 1);
        let mut reader = reader_of(set.config());
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(lag(&sample), Some(Quantity::Exact(7)), "{flavour:?}");
        set.servers[0].kill();
        let mut failed = 0;
        let what = "the new primary is read";
        let sample = eventually(what, Duration::from_secs(30), async || {
            match reader.poll().await {
                Ok(sample) => Some(sample),
                Err(failure) => {
                    assert!(failure.kind.is_outage(), "{flavour:?}: {failure}");
                    failed += 1;
                    None
                }
            }
        })
        .await;
        assert_eq!(lag(&sample), Some(Quantity::Exact(7)), "{flavour:?}");
        assert!(failed > 0, "{flavour:?}: it was away");
        run::<String>(&mut set.servers[1].connect(), "XADD x * d a");
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(lag(&sample), Some(Quantity::Exact(8)), "{flavour:?}");
    }
}

#[tokio::test]
async fn an_old_primary_that_still_answers_is_left_once_most_sentinels_name_another() {
    let set = SentinelSet::start(Flavour::Redis70, 1, 3);
    let other = RedisServer::start(Flavour::Redis70);
    fill(&set.servers[0], 7);
    fill(&other, 3);
    let mut reader = reader_of(set.config());
    assert_eq!(
        lag(&reader.poll().await.expect("a sample")),
        Some(Quantity::Exact(7))
    );
    for sentinel in &set.sentinels[1..] {
        let mut sentinel = sentinel.connect().expect("a connection");
        run::<()>(&mut sentinel, &format!("SENTINEL REMOVE {MASTER}"));
        let monitor = format!("SENTINEL MONITOR {MASTER} 127.0.0.1 {} 1", other.port);
        run::<()>(&mut sentinel, &monitor);
    }
    eventually("the other is read", Duration::from_secs(20), async || {
        let sample = reader.poll().await.expect("a sample");
        (lag(&sample) == Some(Quantity::Exact(3))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_sentinels_is_named() {
    let set = SentinelSet::start(Flavour::Redis70, 1, 1);
    let with = |change: &dyn Fn(&mut RedisSentinels)| {
        let mut config = set.config();
        if let RedisServers::Sentinel(sentinels) = &mut config.servers {
            change(sentinels);
        }
        config
    };
    let unknown = with(&|sentinels| sentinels.master = "nobody".into());
    let failure = reader_of(unknown).poll().await.expect_err("no such name");
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert!(
        failure.text.contains("know no primary \"nobody\""),
        "{failure}"
    );
    let wrong = with(&|sentinels| sentinels.addresses[0].port = set.servers[0].port);
    let failure = reader_of(wrong).poll().await.expect_err("no sentinel");
    assert!(failure.text.contains("is no sentinel"), "{failure}");
    let nobody = with(&|sentinels| sentinels.addresses[0].port = 1);
    let failure = reader_of(nobody).poll().await.expect_err("nobody there");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.text.contains("127.0.0.1:1 (sentinel)"), "{failure}");
    let mut sentinel = set.sentinels[0].connect().expect("a connection");
    run::<()>(&mut sentinel, "ACL SETUSER default resetpass >hunter2");
    let failure = reader_of(set.config())
        .poll()
        .await
        .expect_err("no password");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("sentinel.password"), "{failure}");
}
