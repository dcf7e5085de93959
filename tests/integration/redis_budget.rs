//! More undelivered entries than a poll may count: what was counted before still bounds them.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::Source;
use streamgauge::sources::redis_streams::RedisStreams;

use crate::support::redis::{Flavour, RedisServer, run};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A first page of each is more than a poll counts in all.
const STREAMS: usize = 64;
const ADDED: usize = 1_200;
const READ_AT_FIRST: usize = 20;

/// Streams whose groups stand in the middle, where the server's own lag is nil.
fn fill(redis: &mut Connection) {
    for stream in 0..STREAMS {
        let mut commands = redis::pipe();
        for n in 1..=ADDED {
            let add = commands.cmd("XADD").arg(format!("many:{stream}"));
            add.arg(format!("{n}-0")).arg("n").arg(n).ignore();
        }
        commands.exec(redis).unwrap();
        let position = format!("{READ_AT_FIRST}-0");
        run::<()>(redis, &format!("XGROUP CREATE many:{stream} g {position}"));
    }
}

/// In each stream ten more are read, fifteen arrive, and one that waits is deleted.
fn go_on(redis: &mut Connection, poll: usize) {
    let mut commands = redis::pipe();
    for stream in 0..STREAMS {
        let key = format!("many:{stream}");
        let read = commands.cmd("XREADGROUP").arg("GROUP").arg("g").arg("c");
        let read = read.arg("COUNT").arg(10).arg("NOACK").arg("STREAMS");
        read.arg(&key).arg(">").ignore();
        for _ in 0..15 {
            let add = commands.cmd("XADD").arg(&key).arg("*");
            add.arg("n").arg(0).ignore();
        }
        let delete = commands.cmd("XDEL").arg(&key);
        delete.arg(format!("{}-0", ADDED - poll)).ignore();
    }
    commands.exec(redis).unwrap();
}

fn lags(sample: &Sample) -> BTreeMap<&PartitionId, Quantity> {
    let lag = |seen: &PartitionObservation| match seen {
        PartitionObservation::Present(seen) => seen.lag.expect("a lag"),
        other => panic!("{other:?}"),
    };
    let partitions = sample.partitions.iter();
    partitions.map(|(id, seen)| (id, lag(seen))).collect()
}

#[tokio::test]
async fn a_partition_that_the_budget_does_not_reach_keeps_what_is_certain_of_its_last_count() {
    // Those that tell what was added and deleted, and one that does not.
    for flavour in [Flavour::Redis70, Flavour::Redis62] {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        fill(&mut redis);
        let selector = StreamSelector::parse(&format!("many:{{0..{}}}", STREAMS - 1)).unwrap();
        let source = RedisStreams::new(server.config(), TIMEOUT);
        let mut reader = source.reader(&selector, "g", TIMEOUT);
        let mut counted = BTreeMap::new();
        let mut unreached = 0;
        for poll in 0..18 {
            let sample = reader.poll().await.expect("a sample");
            // Fifteen arrive, ten are read, one is deleted.
            let waiting = (ADDED - READ_AT_FIRST + 4 * poll) as u64;
            for (id, lag) in lags(&sample) {
                match lag {
                    Quantity::Exact(n) => assert_eq!(n, waiting, "{flavour:?} {id}"),
                    Quantity::AtLeast(n) => {
                        assert!(n <= waiting, "{flavour:?} {id}: {n} of {waiting}");
                        // Of a first page of a thousand, an eighth lies between two marks.
                        let was_counted = counted.contains_key(id);
                        assert!(!was_counted || n >= 800, "{flavour:?} {id}: {n}");
                        unreached += u32::from(n == 1);
                    }
                }
                if lag.value() > 1 {
                    counted.insert(id.clone(), lag);
                }
            }
            go_on(&mut redis, poll);
        }
        println!("{flavour:?}: told 1 of {unreached}, all before their first count");
        assert_eq!(counted.len(), STREAMS, "{flavour:?}");
        assert!(unreached > 0, "the budget reached all");
    }
}
