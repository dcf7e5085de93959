//! What a stream can absorb: how far trimming is from the group, and what the server's memory holds.

use std::time::Duration;

use redis::Connection;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::memory::EvictionPolicy;
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::patience;
use crate::support::redis::{Flavour, RedisServer, run};

const TIMEOUT: Duration = patience(Duration::from_secs(20));
const MOST: u64 = 2_000;

fn reader_of(source: &RedisStreams, stream: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    source.reader(&selector, "g", TIMEOUT)
}

fn add(redis: &mut Connection, n: u64) {
    let mut fill = redis::pipe();
    for _ in 0..n {
        let add = fill.cmd("XADD").arg("x").arg("MAXLEN").arg(MOST);
        add.arg("*").arg("d").arg("a").ignore();
    }
    fill.exec(redis).expect("added");
}

fn process(redis: &mut Connection, n: u64) {
    let read = format!("XREADGROUP GROUP g c COUNT {n} NOACK STREAMS x >");
    run::<redis::Value>(redis, &read);
}

/// Ten seconds of a stream, as the model is told them.
struct Scene<'s> {
    redis: &'s mut Connection,
    reader: Box<dyn GroupReader>,
    model: GroupModel,
    polls: u64,
}

impl Scene<'_> {
    async fn go_on(&mut self, polls: u64, arrive: u64, finish: u64) {
        for _ in 0..polls {
            add(self.redis, arrive);
            process(self.redis, finish);
            let sample = self.reader.poll().await.expect("a sample");
            self.polls += 1;
            let at = Timestamp::from_millis(self.polls * 10_000);
            self.model.observe(at, &sample);
        }
    }
}

#[tokio::test]
async fn a_group_behind_a_trimmed_stream_is_told_how_long_it_has() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let mut scene = Scene {
            redis: &mut redis,
            reader: reader_of(&source, "x"),
            model: GroupModel::new(CapacityRules::default()),
            polls: 0,
        };
        scene.go_on(32, 100, 100).await;
        let facts = scene.model.facts();
        assert_eq!(facts.trim_horizon_seconds, None, "{flavour:?}");
        // 2,000 kept, 10 per second trimmed.
        let reserve = facts.outage_reserve_seconds.expect("a reserve");
        assert!((reserve - 200.0).abs() < 1.0, "{flavour:?}: {reserve}");
        scene.go_on(12, 100, 20).await;
        // 80 of these fewer at each poll.
        let horizon = scene.model.facts().trim_horizon_seconds;
        let horizon = horizon.expect("a horizon");
        let expect = (MOST - 12 * 80) as f64 / 8.0;
        assert!(
            (horizon - expect).abs() < 2.0,
            "{flavour:?}: {horizon} {expect}"
        );
        assert_eq!(scene.model.facts().lost_per_second, 0.0);
        scene.go_on(15, 100, 20).await;
        assert!(scene.model.facts().lost_per_second > 0.0, "{flavour:?}");
    }
}

fn stored(sample: &Sample) -> Option<u64> {
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => partition.stored_bytes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_memory_of_servers_and_streams_is_told_where_the_user_may_know_it() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let source = RedisStreams::new(server.config(), TIMEOUT);
        add(&mut redis, 1_000);
        run::<()>(&mut redis, "CONFIG SET maxmemory 100mb");
        run::<()>(&mut redis, "CONFIG SET maxmemory-policy volatile-lru");
        let told: u64 = run(&mut redis, "MEMORY USAGE x");
        let sample = reader_of(&source, "x").poll().await.expect("a sample");
        assert_eq!(stored(&sample), Some(told), "{flavour:?}");
        let memory = source.memory();
        let [memory] = &memory[..] else {
            panic!("{memory:?}");
        };
        assert_eq!(memory.server, server.address());
        assert_eq!(memory.limit_bytes, Some(100 << 20));
        assert_eq!(memory.policy, EvictionPolicy::Volatile);
        assert!(
            (500_000..100 << 20).contains(&memory.used_bytes),
            "{memory:?}"
        );
        assert_eq!(memory.full_in_seconds, None);
        run::<()>(&mut redis, "ACL SETUSER default -info -memory");
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let sample = reader_of(&source, "x").poll().await.expect("a sample");
        assert_eq!(stored(&sample), None, "{flavour:?}");
        assert_eq!(source.memory(), [], "{flavour:?}");
    }
}
