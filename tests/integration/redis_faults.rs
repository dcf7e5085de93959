//! The guarded Redis source on a faulty line: no hang, no false number, right again within 5 s after it heals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::resilience::breaker::{BreakerSettings, CircuitState};
use streamgauge::sources::guarded::GuardedSource;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, config_at, run};
use crate::support::{Rng, eventually, patience};

const POLL_INTERVAL: Duration = Duration::from_millis(500);
const RECOVERY: Duration = Duration::from_secs(5);

fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_millis(since.expect("after 1970").as_millis() as u64)
}

fn source_at(port: u16) -> GuardedSource {
    let source = RedisStreams::new(config_at(port), POLL_INTERVAL);
    let settings = BreakerSettings::for_poll_interval(POLL_INTERVAL);
    GuardedSource::new("main", Box::new(source), settings)
}

fn reader_of(source: &GuardedSource) -> Box<dyn GroupReader> {
    source.reader(
        &StreamSelector::parse("x").expect("a key"),
        "g",
        POLL_INTERVAL,
    )
}

/// One poll, which must end within its deadline.
async fn poll(source: &GuardedSource, reader: &mut dyn GroupReader) -> Result<Sample, Failure> {
    let started = Instant::now();
    let result = source.poll(reader, POLL_INTERVAL, &clock).await;
    let took = started.elapsed();
    assert!(
        took < POLL_INTERVAL + Duration::from_secs(5),
        "took {took:?}"
    );
    result
}

fn lag(sample: &Sample) -> Option<Quantity> {
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => partition.lag,
        other => panic!("{other:?}"),
    }
}

/// A server with 7 undelivered entries that must be counted.
fn scene(server: &RedisServer) {
    let mut redis = server.connect();
    for n in 1..=10 {
        run::<String>(&mut redis, &format!("XADD x {n}-0 d a"));
    }
    run::<()>(&mut redis, "XGROUP CREATE x g 3-0");
}

async fn right_again(source: &GuardedSource, reader: &mut dyn GroupReader) {
    let started = Instant::now();
    loop {
        if let Ok(sample) = poll(source, reader).await {
            assert_eq!(lag(&sample), Some(Quantity::Exact(7)));
            assert_eq!(source.circuit_state(clock()), CircuitState::Closed);
            return;
        }
        assert!(
            started.elapsed() < patience(RECOVERY),
            "not right again within {RECOVERY:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Polls through a fault for a while: every answer is an error or right; returns the kinds seen.
async fn polls_through(
    source: &GuardedSource,
    reader: &mut dyn GroupReader,
    time: Duration,
) -> Vec<FailureKind> {
    let started = Instant::now();
    let mut kinds = Vec::new();
    while started.elapsed() < time {
        match poll(source, reader).await {
            Ok(sample) => assert_eq!(lag(&sample), Some(Quantity::Exact(7))),
            Err(failure) => kinds.push(failure.kind),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kinds
}

#[tokio::test]
async fn every_fault_of_the_line_is_survived() {
    let server = RedisServer::start(Flavour::Redis70);
    scene(&server);
    let faults = [
        (Mode::Reset, true),
        (Mode::RefuseNew, false),
        (Mode::BlackholeAll, true),
        (Mode::Garbage(b"!\x00garbage\r\n".to_vec()), true),
        // Well-formed, and yet not the answer: a reply too many.
        (Mode::Garbage(b"+OK\r\n".to_vec()), true),
        (Mode::Truncate(20), true),
        (Mode::Slice(7), false),
        (Mode::Latency(Duration::from_millis(30)), false),
        (Mode::Latency(Duration::from_secs(1)), true),
    ];
    for (fault, must_fail) in faults {
        let proxy = FaultProxy::start(server.port).await;
        let source = source_at(proxy.port);
        let mut reader = reader_of(&source);
        right_again(&source, &mut *reader).await;
        proxy.set(fault.clone());
        let kinds = polls_through(&source, &mut *reader, Duration::from_millis(1500)).await;
        assert_eq!(!kinds.is_empty(), must_fail, "{fault:?}: {kinds:?}");
        let healed = Instant::now();
        proxy.set(Mode::Pass);
        right_again(&source, &mut *reader).await;
        println!("{fault:?}: right again after {:?}", healed.elapsed());
        assert!(
            proxy.peak() <= 2,
            "{fault:?}: {} connections at once",
            proxy.peak()
        );
    }
}

#[tokio::test]
async fn a_half_open_connection_is_replaced_although_the_fault_never_heals() {
    let server = RedisServer::start(Flavour::Valkey);
    scene(&server);
    let proxy = FaultProxy::start(server.port).await;
    let source = source_at(proxy.port);
    let mut reader = reader_of(&source);
    right_again(&source, &mut *reader).await;
    proxy.set(Mode::BlackholeExisting);
    let started = Instant::now();
    let first = poll(&source, &mut *reader)
        .await
        .expect_err("nothing comes back");
    assert_eq!(first.kind, FailureKind::Timeout);
    right_again(&source, &mut *reader).await;
    println!("half-open: right again after {:?}", started.elapsed());
    assert_eq!(proxy.opened(), 2);
    eventually("the old connection is closed", RECOVERY, async || {
        (proxy.live() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stopped_server_is_a_timeout_and_is_right_again_when_it_goes_on() {
    let server = RedisServer::start(Flavour::Redis70);
    scene(&server);
    let proxy = FaultProxy::start(server.port).await;
    let source = source_at(proxy.port);
    let mut reader = reader_of(&source);
    right_again(&source, &mut *reader).await;
    server.pause();
    let kinds = polls_through(&source, &mut *reader, Duration::from_secs(3)).await;
    assert!(
        kinds.contains(&FailureKind::Timeout) && kinds.contains(&FailureKind::CircuitOpen),
        "{kinds:?}"
    );
    assert_eq!(source.stats().errors.get(&FailureKind::Unreachable), None);
    server.resume();
    right_again(&source, &mut *reader).await;
    eventually("one connection is left", RECOVERY, async || {
        (proxy.live() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_opens_the_circuit_and_is_right_again_after_its_restart() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start_with(Flavour::Redis70, &durable);
    scene(&server);
    let source = source_at(server.port);
    let mut reader = reader_of(&source);
    right_again(&source, &mut *reader).await;
    assert!(source.stats().up);
    server.kill();
    let kinds = polls_through(&source, &mut *reader, Duration::from_secs(2)).await;
    let asked = kinds
        .iter()
        .filter(|kind| **kind == FailureKind::Unreachable)
        .count();
    assert!(
        (3..=9).contains(&asked),
        "three polls and a probe every 0.5 s: {kinds:?}"
    );
    assert!(kinds.contains(&FailureKind::CircuitOpen));
    assert!(!source.stats().up);
    server.restart();
    right_again(&source, &mut *reader).await;
    let stats = source.stats();
    assert!(stats.up && stats.last_success.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_groups_share_one_connection_also_while_it_is_built() {
    let server = RedisServer::start(Flavour::Redis70);
    scene(&server);
    let proxy = FaultProxy::start(server.port).await;
    let source = Arc::new(source_at(proxy.port));
    let all = async |source: &Arc<GuardedSource>| {
        let mut polls = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let source = Arc::clone(source);
            polls.spawn(async move {
                let mut reader = reader_of(&source);
                source.poll(&mut *reader, POLL_INTERVAL, &clock).await
            });
        }
        polls.join_all().await
    };
    assert!(all(&source).await.iter().all(Result::is_ok));
    assert_eq!(proxy.opened(), 1);
    proxy.set(Mode::Reset);
    // What one of them just read serves the others for a moment.
    let opened = eventually("nothing is answered", RECOVERY, async || {
        let before = proxy.opened();
        let all_fail = all(&source).await.iter().all(Result::is_err);
        all_fail.then(|| proxy.opened() - before)
    })
    .await;
    assert!(opened <= 5, "{opened} attempts for 30 polls");
}

#[tokio::test]
async fn a_refusal_is_no_outage_and_never_opens_the_circuit() {
    let server = RedisServer::start_with(Flavour::Redis70, &["--requirepass", "s3cret"]);
    let source = source_at(server.port);
    let mut reader = reader_of(&source);
    for _ in 0..20 {
        let failure = poll(&source, &mut *reader).await.expect_err("no password");
        assert_eq!(failure.kind, FailureKind::Auth);
    }
    assert_eq!(source.circuit_state(clock()), CircuitState::Closed);
    assert!(!source.stats().up);
}

#[tokio::test]
async fn a_poll_dropped_at_any_moment_leaves_a_reader_that_tells_the_truth() {
    let server = RedisServer::start(Flavour::Redis70);
    scene(&server);
    let proxy = FaultProxy::start(server.port).await;
    let source = source_at(proxy.port);
    let mut reader = reader_of(&source);
    right_again(&source, &mut *reader).await;
    proxy.set(Mode::Latency(Duration::from_millis(2)));
    let mut rng = Rng(7);
    for _ in 0..150 {
        // The poll takes about 25 ms on this line; it is cut anywhere within.
        let cut = Duration::from_micros(rng.below(30_000));
        if let Ok(Ok(sample)) = tokio::time::timeout(cut, reader.poll()).await {
            assert_eq!(lag(&sample), Some(Quantity::Exact(7)));
        }
    }
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(lag(&sample), Some(Quantity::Exact(7)));
    assert_eq!(proxy.opened(), 1, "a dropped poll costs no connection");
}

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
            poll(&source, &mut *reader).await.ok()
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
