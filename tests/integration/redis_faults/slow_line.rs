//! A line that is too slow for a whole poll: what is not read or counted in time is left out or bounded below, and no key is worse off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::Source;
use streamgauge::sources::redis_streams::RedisStreams;

use super::{RECOVERY, lag, poll, reader_of, source_at};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, config_at, run};
use crate::support::{eventually, patience};

#[tokio::test]
async fn a_slow_line_gives_a_lower_bound_and_no_endless_timeouts() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
    for n in 1..=9000 {
        run::<String>(&mut redis, &format!("XADD x {n}-0 d a"));
    }
    run::<()>(&mut redis, "XGROUP SETID x g 3-0");
    let proxy = FaultProxy::start(server.port).await;
    let source = source_at(proxy.port);
    let mut reader = reader_of(&source);
    // A busy machine takes some of the time that a poll has; what it tells is the same.
    let mut sample = async || {
        eventually("a sample", RECOVERY, async || {
            poll(&source, &mut reader).await.ok()
        })
        .await
    };
    sample().await;
    // Nine pages would take longer than a poll may.
    proxy.set(Mode::Latency(Duration::from_millis(30)));
    // How many pages fit is the machine's matter, but some do now and then.
    eventually("a page is counted", RECOVERY, async || {
        let sample = sample().await;
        let lag = lag(&sample);
        assert!(matches!(lag, Some(Quantity::AtLeast(1..9000))), "{lag:?}");
        matches!(lag, Some(Quantity::AtLeast(1000..))).then_some(())
    })
    .await;
}

/// 1,500 streams, three requests' worth of keys, with five waiting entries in each that has an odd number, and none in the others.
fn many_streams(server: &RedisServer) -> StreamSelector {
    let mut redis = server.connect();
    let mut commands = redis::pipe();
    for n in 0..1_500_u32 {
        let key = format!("many:{n}");
        for id in 1..=8 {
            commands
                .cmd("XADD")
                .arg(&key)
                .arg(id)
                .arg("d")
                .arg("a")
                .ignore();
        }
        commands
            .cmd("XGROUP")
            .arg("CREATE")
            .arg(&key)
            .arg("g")
            .arg(if is_idle(n) { "8" } else { "3" })
            .ignore();
    }
    commands.exec(&mut redis).expect("the scene");
    StreamSelector::parse("many:{0..1499}").expect("a template")
}

const fn is_idle(n: u32) -> bool {
    n.is_multiple_of(2)
}

/// How many partitions a poll read, each of which must be right, and the names of those that it did not read.
fn read_and_left_out(sample: &Sample) -> (usize, BTreeSet<PartitionId>) {
    let mut left_out = BTreeSet::new();
    for (id, seen) in &sample.partitions {
        let is_idle = is_idle(id.as_str().parse().expect("a number"));
        match seen {
            PartitionObservation::Present(partition) => {
                let lag = partition.lag.expect("a lag");
                let is_right = match lag {
                    Quantity::Exact(n) => n == if is_idle { 0 } else { 5 },
                    // Read, but not counted in time, and what was seen before is outdated.
                    Quantity::AtLeast(n) => !is_idle && n <= 5,
                };
                assert!(is_right, "{id}: {lag:?}");
            }
            PartitionObservation::NotAsked => {
                assert!(!is_idle, "{id}: an old zero stands");
                left_out.insert(id.clone());
            }
            PartitionObservation::Failed(failure) => {
                assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
                left_out.insert(id.clone());
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    (sample.partitions.len() - left_out.len(), left_out)
}

#[tokio::test]
async fn a_part_that_is_not_answered_in_time_is_left_out_and_comes_first_at_the_next_poll() {
    for flavour in [Flavour::Redis62, Flavour::Redis82] {
        let server = RedisServer::start(flavour);
        let selector = many_streams(&server);
        let proxy = FaultProxy::start(server.port).await;
        let interval = Duration::from_secs(3);
        let source = RedisStreams::new(config_at(proxy.port), interval);
        let mut reader = source.reader(&selector, "g", interval);
        let whole = eventually("a whole poll", RECOVERY, async || reader.poll().await.ok()).await;
        assert_eq!(read_and_left_out(&whole).0, 1_500);
        proxy.set(Mode::StallAfter(700_000));
        // How many had been read when a partition was read last: how long a poll is depends on how busy the machine is.
        let mut read_last: BTreeMap<PartitionId, usize> = BTreeMap::new();
        let mut answered = 0;
        for _ in 0..10 {
            let started = Instant::now();
            let polled = reader.poll().await;
            assert!(
                started.elapsed() < patience(interval),
                "{:?}",
                started.elapsed()
            );
            let left_out = match &polled {
                Ok(sample) => read_and_left_out(sample).1,
                // On a busy machine a poll may get nothing at all from a line that hangs: then no key is worse off than others.
                Err(failure) => {
                    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
                    continue;
                }
            };
            println!("{flavour:?}: left out {}", left_out.len());
            let before = answered;
            answered += 1_500 - left_out.len();
            read_last.retain(|id, _| left_out.contains(id));
            for id in left_out {
                let meanwhile = answered - *read_last.entry(id).or_insert(before);
                assert!(
                    meanwhile <= 6 * 1_500,
                    "left out while {meanwhile} others were read"
                );
            }
        }
        assert!((1_500..15_000).contains(&answered), "{answered}");
        proxy.set(Mode::Pass);
        eventually("everything is read again", RECOVERY, async || {
            let polled = reader.poll().await.ok()?;
            (read_and_left_out(&polled).0 == 1_500).then_some(())
        })
        .await;
    }
}
