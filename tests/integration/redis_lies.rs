//! A count of deliveries that somebody set (`XGROUP SETID … ENTRIESREAD`) makes the server's lag wrong: how long that is believed, and
//! what is told meanwhile.

use std::time::Duration;

use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::PartitionObservation;
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::eventually;
use crate::support::redis::{Flavour, RedisServer, run};

/// Redis 6.2 keeps no such count: every lag is counted there.
const FLAVOURS: [Flavour; 3] = [Flavour::Redis70, Flavour::Redis82, Flavour::Valkey];
const POLL: Duration = Duration::from_secs(5);
/// As docs/operations.md says it: after that a lag is counted again, …
const RECOUNTED_AFTER: u64 = 60;
/// … so many entries per poll.
const RECOUNTED_PER_POLL: u64 = 10_000;

/// Entries added, where the group is put then, and the lag that the server is given with that: too low by little, by more than is
/// counted in a poll, and too high.
const LIES: [(u64, u64, u64); 7] = [
    (10, 5, 0),
    (10, 5, 2),
    (9_000, 5, 1_100),
    (30_000, 5, 10_000),
    (30_000, 5, 29_000),
    (40_000, 25_000, 39_000),
    (40_000, 35_000, 39_000),
];

/// What a group is given wrong.
#[derive(Clone, Copy, Debug)]
struct Lie {
    /// Entries before it.
    added: u64,
    /// The group is put there, …
    at: u64,
    /// … and this lag is the server's then.
    told: u64,
}

/// A stream of the entries 1-0, 2-0, … and a group that reads on.
struct Scene {
    redis: Connection,
    reader: Box<dyn GroupReader>,
    added: u64,
    delivered: u64,
}

impl Scene {
    async fn start(server: &RedisServer, lie: Lie) -> Self {
        let mut redis = server.connect();
        run::<()>(&mut redis, "FLUSHALL");
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let selector = StreamSelector::parse("x").expect("a key");
        let source = RedisStreams::new(server.config(), POLL);
        let mut scene = Self {
            redis,
            reader: source.reader(&selector, "g", POLL),
            added: 0,
            delivered: 0,
        };
        scene.add(lie.added);
        scene.read(1);
        assert_eq!(scene.poll().await, Quantity::Exact(scene.waiting()));
        let set = format!(
            "XGROUP SETID x g {}-0 ENTRIESREAD {}",
            lie.at,
            lie.added - lie.told
        );
        run::<()>(&mut scene.redis, &set);
        scene.delivered = lie.at;
        scene
    }

    fn add(&mut self, n: u64) {
        let script = "for i = ARGV[1] + 1, ARGV[1] + ARGV[2] do redis.call('XADD', KEYS[1], string.format('%d-0', i), 'd', 'a') end";
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg("x").arg(self.added).arg(n);
        eval.exec(&mut self.redis).expect("added");
        self.added += n;
    }

    fn read(&mut self, n: u64) {
        let read = format!("XREADGROUP GROUP g c COUNT {n} NOACK STREAMS x >");
        run::<redis::Value>(&mut self.redis, &read);
        self.delivered = self.added.min(self.delivered + n);
    }

    fn waiting(&self) -> u64 {
        self.added - self.delivered
    }

    /// One poll's time goes by between polls only: nothing is in flight then.
    async fn poll_later(&mut self) -> Quantity {
        tokio::time::pause();
        tokio::time::advance(POLL).await;
        tokio::time::resume();
        self.poll().await
    }

    async fn poll(&mut self) -> Quantity {
        let sample = self.reader.poll().await.expect("a sample");
        match sample.partitions.get(&PartitionId::new("x")) {
            Some(PartitionObservation::Present(seen)) => seen.lag.expect("a lag"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lie_about_what_was_read_is_gone_when_the_docs_say_and_what_is_in_doubt_is_a_lower_bound()
{
    println!(
        "| server | waiting | told | gone after | by the docs | polls exact / at least / wrong |"
    );
    println!("|---|---|---|---|---|---|");
    for flavour in FLAVOURS {
        let server = RedisServer::start(flavour);
        for (added, at, told) in LIES {
            let lie = Lie { added, at, told };
            let mut scene = Scene::start(&server, lie).await;
            let waiting = scene.waiting();
            let polls = told.div_ceil(RECOUNTED_PER_POLL) + 1;
            let by_the_docs = RECOUNTED_AFTER + polls * POLL.as_secs();
            let (mut exact, mut at_least, mut wrong, mut gone_after) = (0, 0, 0, 0);
            let mut last = Quantity::AtLeast(0);
            for poll in 1..=by_the_docs / POLL.as_secs() + 2 {
                if waiting > 1_000 {
                    scene.read(10);
                    scene.add(7);
                }
                last = scene.poll_later().await;
                match last {
                    Quantity::Exact(n) if n == scene.waiting() => exact += 1,
                    Quantity::Exact(n) => {
                        assert!(n > 0, "{flavour:?} {lie:?}: the newest entry waits");
                        wrong += 1;
                        gone_after = poll * POLL.as_secs();
                    }
                    Quantity::AtLeast(n) => {
                        at_least += 1;
                        assert!(n <= scene.waiting(), "{flavour:?} {lie:?}");
                    }
                }
            }
            println!(
                "| {flavour:?} | {waiting} | {told} | {gone_after} s | {by_the_docs} s | {exact} / {at_least} / {wrong} |"
            );
            assert!(gone_after <= by_the_docs, "{flavour:?} {lie:?}");
            let known = scene.waiting().min(RECOUNTED_PER_POLL);
            let is_told =
                |lag: Quantity| lag.value() >= known && (lag.is_exact() || waiting > known);
            // A poll on a busy machine may have less time to count than this takes.
            eventually("all that one poll may count", POLL, async || {
                if !is_told(last) {
                    last = scene.poll_later().await;
                }
                is_told(last).then_some(())
            })
            .await;
        }
    }
}
