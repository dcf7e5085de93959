//! The guarded Redis source on a faulty line: no hang, no false number, right again within 5 s after it heals.

mod slow_line;

use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::resilience::breaker::{BreakerSettings, CircuitState};
use streamgauge::sources::guarded::{GuardedReader, GuardedSource};
use streamgauge::sources::redis_streams::RedisStreams;

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

fn reader_of(source: &GuardedSource) -> GuardedReader {
    source.reader(
        &StreamSelector::parse("x").expect("a key"),
        "g",
        POLL_INTERVAL,
    )
}

/// One poll, which must end within its deadline.
async fn poll(source: &GuardedSource, reader: &mut GuardedReader) -> Result<Sample, Failure> {
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

async fn right_again(source: &GuardedSource, reader: &mut GuardedReader) {
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
    reader: &mut GuardedReader,
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
        right_again(&source, &mut reader).await;
        proxy.set(fault.clone());
        let kinds = polls_through(&source, &mut reader, Duration::from_millis(1500)).await;
        assert_eq!(!kinds.is_empty(), must_fail, "{fault:?}: {kinds:?}");
        let healed = Instant::now();
        proxy.set(Mode::Pass);
        right_again(&source, &mut reader).await;
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
    right_again(&source, &mut reader).await;
    proxy.set(Mode::BlackholeExisting);
    let started = Instant::now();
    let first = poll(&source, &mut reader)
        .await
        .expect_err("nothing comes back");
    assert_eq!(first.kind, FailureKind::Timeout);
    right_again(&source, &mut reader).await;
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
    right_again(&source, &mut reader).await;
    server.pause();
    let kinds = polls_through(&source, &mut reader, Duration::from_secs(3)).await;
    assert!(
        kinds.contains(&FailureKind::Timeout) && kinds.contains(&FailureKind::CircuitOpen),
        "{kinds:?}"
    );
    assert_eq!(source.stats().errors.get(&FailureKind::Unreachable), None);
    server.resume();
    right_again(&source, &mut reader).await;
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
    right_again(&source, &mut reader).await;
    assert!(source.stats().up);
    server.kill();
    let kinds = polls_through(&source, &mut reader, Duration::from_secs(2)).await;
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
    right_again(&source, &mut reader).await;
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
                source.poll(&mut reader, POLL_INTERVAL, &clock).await
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
        let failure = poll(&source, &mut reader).await.expect_err("no password");
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
    right_again(&source, &mut reader).await;
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
