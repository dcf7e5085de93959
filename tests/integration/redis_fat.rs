//! Streams of large messages: what is told of them does not depend on reading their bodies.

use std::time::Duration;

use redis::Connection;
use streamgauge::config::types::{RedisConfig, Secret};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use super::redis_access::PERMISSIONS;
use crate::support::patience;
use crate::support::redis::{Flavour, RedisServer, run};

const TIMEOUT: Duration = patience(Duration::from_secs(2));
const STREAMS: usize = 20;
const BODY: usize = 200_000;

fn reader_of(config: RedisConfig) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse("fat:*").expect("a pattern");
    RedisStreams::new(config, TIMEOUT).reader(&selector, "g", TIMEOUT)
}

/// Every stream has ten entries. Each group stands elsewhere, and of every third an undelivered entry is gone, so that the rest is counted.
fn fill(redis: &mut Connection) {
    let body = "x".repeat(BODY);
    for n in 0..STREAMS {
        for entry in 1..=10 {
            run::<String>(redis, &format!("XADD fat:{n} {entry}-0 d {body}"));
        }
        run::<()>(redis, &format!("XGROUP CREATE fat:{n} g {}-0", n % 9));
        if n % 3 == 0 {
            run::<u64>(redis, &format!("XDEL fat:{n} {}-0", n % 9 + 1));
        }
        if n % 4 == 0 {
            let read = format!("XREADGROUP GROUP g c COUNT 1 STREAMS fat:{n} >");
            run::<redis::Value>(redis, &read);
        }
    }
}

fn present(sample: &Sample, n: usize) -> PartitionSample {
    match sample.partitions.get(&PartitionId::new(n.to_string())) {
        Some(PartitionObservation::Present(partition)) => PartitionSample {
            oldest_age_millis: None,
            ..partition.clone()
        },
        other => panic!("{n}: {other:?}"),
    }
}

fn sent_bytes(redis: &mut Connection) -> u64 {
    let stats: String = run(redis, "INFO stats");
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    line.expect("told").parse().expect("a number")
}

#[tokio::test]
async fn bodies_stay_on_the_server_and_what_is_told_is_the_same_as_where_scripts_are_not_allowed() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        fill(&mut redis);
        let rule = PERMISSIONS.join(" ");
        run::<()>(
            &mut redis,
            &format!("ACL SETUSER gauge reset on nopass ~* {rule}"),
        );
        let refused = RedisConfig {
            username: Some("gauge".into()),
            password: Some(Secret::Env("CARGO_MANIFEST_DIR".into())),
            ..server.config()
        };
        let (mut lean, mut plain) = (reader_of(server.config()), reader_of(refused));
        // How large messages are is known only once some were seen.
        for reader in [&mut lean, &mut plain] {
            reader.poll().await.expect("a sample");
        }
        run::<u64>(&mut redis, "XDEL fat:7 10-0");
        let before = sent_bytes(&mut redis);
        let by_lean = lean.poll().await.expect("a sample");
        let between = sent_bytes(&mut redis);
        let by_plain = plain.poll().await.expect("a sample");
        let after = sent_bytes(&mut redis);
        for n in 0..STREAMS {
            let (lean, plain) = (present(&by_lean, n), present(&by_plain, n));
            assert_eq!(lean, plain, "{flavour:?} {n}");
            let gone = u64::from(n % 3 == 0) + u64::from(n == 7);
            let delivered = n as u64 % 9 + u64::from(n % 4 == 0) + u64::from(n % 12 == 0);
            let expect = 10 - delivered - gone + u64::from(n % 12 == 0);
            assert_eq!(lean.lag, Some(Quantity::Exact(expect)), "{flavour:?} {n}");
        }
        run::<u64>(&mut redis, "DEL fat:1");
        run::<u64>(&mut redis, "XGROUP DESTROY fat:2 g");
        let gone = lean.poll().await.expect("a sample");
        let seen = |n: usize| &gone.partitions[&PartitionId::new(n.to_string())];
        assert_eq!(seen(1), &PartitionObservation::StreamMissing, "{flavour:?}");
        let is_missing = matches!(seen(2), PartitionObservation::GroupMissing { .. });
        assert!(is_missing, "{flavour:?}: {:?}", seen(2));
        let (lean, plain) = (between - before, after - between);
        println!("{flavour:?}: {lean} bytes for a poll, {plain} with bodies");
        assert!(lean * 100 < plain, "{flavour:?}: {lean} of {plain}");
    }
}
