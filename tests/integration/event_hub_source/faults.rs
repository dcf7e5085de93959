//! A server that is busy, refuses, lies or goes away: values are right or missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use streamgauge::clock::Clock;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation};
use streamgauge::model::stream::StreamSelector;
use streamgauge::resilience::breaker::BreakerSettings;
use streamgauge::sources::GroupReader;
use streamgauge::sources::guarded::GuardedSource;

use super::bench::{Bench, present};
use crate::support::event_hub::faults::{Fault, Reads};
use crate::support::{Rng, patience};

/// For a thousand polls under faults.
const PATIENCE: Duration = Duration::from_secs(400);

#[tokio::test]
async fn a_server_that_is_too_busy_is_asked_less_often() {
    let bench = Bench::start(32, 45, Duration::from_secs(1)).await;
    bench.store.commit("0", 0);
    let mut reader = bench.reader();
    reader.poll().await.expect("a sample");
    bench.server.fail(Fault::ServerBusy);
    let failure = reader.poll().await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Throttled);
    let before = bench.server.counts().partition_reads;
    let started = Instant::now();
    let _ = reader.poll().await;
    let calls = bench.server.counts().partition_reads - before;
    let allowed = 23.0 * (started.elapsed().as_secs_f64() + 1.0);
    assert!(calls as f64 <= allowed, "{calls} calls after a complaint");
    bench.server.heal();
    until_all_are_present(reader.as_mut()).await;
}

#[tokio::test]
async fn a_partition_that_fails_alone_leaves_the_others_known() {
    let bench = Bench::start(4, 45, Duration::from_secs(1)).await;
    for partition in 0..4 {
        bench.server.append(&partition.to_string(), 5, 10);
        bench.store.commit(&partition.to_string(), 3);
    }
    let mut reader = bench.reader();
    reader.poll().await.expect("a sample");
    bench
        .server
        .fail_reads(Reads::Partition("2".to_owned()), Fault::NotFound, None);
    let sample = reader.poll().await.expect("a sample");
    for partition in ["0", "1", "3"] {
        assert_eq!(present(&sample, partition).lag, Some(Quantity::Exact(1)));
    }
    let seen = &sample.partitions[&PartitionId::new("2")];
    assert!(matches!(seen, PartitionObservation::Failed(_)), "{seen:?}");
}

#[tokio::test]
async fn a_slow_blob_store_takes_nothing_from_the_brokers_connection() {
    let interval = Duration::from_secs(15);
    let bench = Bench::start(2, 45, interval).await;
    bench.store.commit("0", 0);
    let settings = BreakerSettings {
        consecutive_failures: u32::MAX,
        window: usize::MAX,
        ..BreakerSettings::for_poll_interval(interval)
    };
    let source = GuardedSource::new("hub", Box::new(bench.source), settings);
    let mut reader = source.reader(&StreamSelector::Whole, "$Default", interval);
    let clock = Clock::start();
    for late in [false, true, true, true, true, false] {
        let failure = Failure::new(FailureKind::Timeout, "no answer in time");
        *bench.store.failure.lock().unwrap() = late.then_some(failure);
        let now = || clock.now();
        let seen = source.poll(&mut reader, interval, &now).await;
        assert_eq!(seen.is_err(), late);
    }
    assert_eq!(bench.server.counts().connections, 1);
}

/// Polls until every partition was read at one of the polls, which takes 5 s at most.
async fn until_all_are_present(reader: &mut dyn GroupReader) {
    let started = Instant::now();
    let mut missing: Option<BTreeSet<PartitionId>> = None;
    while missing.as_ref().is_none_or(|ids| !ids.is_empty()) {
        assert!(
            started.elapsed() < patience(Duration::from_secs(5)),
            "not read within 5 s: {missing:?}"
        );
        let Ok(sample) = reader.poll().await else {
            continue;
        };
        let ids = missing.get_or_insert_with(|| sample.partitions.keys().cloned().collect());
        for (id, seen) in &sample.partitions {
            if matches!(
                seen,
                PartitionObservation::Present(_) | PartitionObservation::GroupMissing { .. }
            ) {
                ids.remove(id);
            }
        }
    }
}

fn random_fault(random: &mut Rng) -> Fault {
    match random.below(11) {
        0 => Fault::NeverReply,
        1 => Fault::DropBeforeDisposition,
        2 => Fault::DropAfterDisposition,
        3 => Fault::Close {
            condition: "amqp:connection:forced".to_owned(),
            text: "moving".to_owned(),
        },
        4 => Fault::Unauthorized,
        5 => Fault::NotFound,
        6 => Fault::ServerBusy,
        7 => Fault::Slow(Duration::from_millis(5)),
        8 => Fault::WrongOrder,
        9 => Fault::AnotherPartition,
        _ => Fault::WrongCorrelation,
    }
}

/// Polls, faults met, partitions read, wrong values.
async fn polls_under_faults(seed: u64, polls: u32) -> (u32, u64, u64) {
    const PARTITIONS: u64 = 4;
    let bench = Bench::start(PARTITIONS as usize, 10_000, Duration::from_millis(400)).await;
    // Each partition holds its own number of events, so that another one's answer shows.
    for partition in 0..PARTITIONS {
        let id = partition.to_string();
        bench.server.append(&id, 1_000 * (partition as u32 + 1), 10);
        bench.store.commit(&id, 99);
    }
    let mut random = Rng(seed);
    let mut reader = bench.reader();
    let (mut known, mut wrong, mut done) = (0, 0, 0);
    let mut last_known = (0, Instant::now());
    // On a busy machine calls miss their deadline: then it takes more polls until most of what is wanted was seen.
    while done < polls || known < u64::from(polls) * PARTITIONS / 3 {
        if known > last_known.0 {
            last_known = (known, Instant::now());
        }
        assert!(
            last_known.1.elapsed() < PATIENCE,
            "no more than {known} values in {done} polls"
        );
        done += 1;
        if random.below(4) == 0 {
            let fault = random_fault(&mut random);
            bench.server.fail_next(1 + random.below(6) as usize, fault);
        }
        if random.below(50) == 0 {
            bench.server.kill_connections();
        }
        let Ok(sample) = reader.poll().await else {
            continue;
        };
        for (id, observed) in &sample.partitions {
            if let PartitionObservation::Present(seen) = observed {
                let number: u64 = id.as_str().parse().unwrap();
                known += 1;
                wrong += u64::from(seen.lag != Some(Quantity::Exact(1_000 * (number + 1) - 100)));
            }
        }
    }
    bench.server.heal();
    until_all_are_present(reader.as_mut()).await;
    (done, known, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_polls_under_random_faults_never_tell_a_wrong_value() {
    let runs = (0..10).map(|seed| tokio::spawn(polls_under_faults(seed, 1_000)));
    let mut total = (0, 0, 0);
    for run in runs.collect::<Vec<_>>() {
        let (polls, known, wrong) = run.await.expect("no panic");
        total = (total.0 + polls, total.1 + known, total.2 + wrong);
    }
    println!(
        "{} polls, {} partition values, {} wrong",
        total.0, total.1, total.2
    );
    assert_eq!(total.2, 0, "wrong values among {}", total.1);
}
