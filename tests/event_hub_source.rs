//! Event Hubs as a source: a real management client against the AMQP test server, with checkpoints kept in memory.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code; clippy knows only #[test] functions as such"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use streamgauge::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, EventHubsConfig, HubAuth, ManagementClient,
    Secret,
};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    AgeMethod, Failure, FailureKind, PartitionObservation, PartitionSample, Sample,
};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::sources::event_hubs::EventHubs;
use streamgauge::sources::event_hubs::checkpoints::{
    Checkpoint, CheckpointState, CheckpointStore, Committed,
};
use streamgauge::sources::event_hubs::management::{self, Settings};
use streamgauge::sources::{BoxFuture, GroupReader, Source};
use support::event_hub::EventHubServer;
use support::event_hub::faults::{Fault, Reads};
use support::event_hub::state::Hub;

mod support;

/// Checkpoints that a test sets.
#[derive(Clone, Default)]
struct Store {
    committed: Arc<Mutex<Committed>>,
    requests: Arc<AtomicU64>,
}

impl Store {
    fn commit(&self, partition: &str, sequence_number: i64) {
        let checkpoint = Checkpoint {
            sequence_number,
            offset: sequence_number.to_string(),
            written_at: Some(now()),
        };
        let state = CheckpointState::Present(checkpoint);
        let mut committed = self.committed.lock().unwrap();
        committed.partitions.insert(partition.to_owned(), state);
    }

    fn own(&self, owners: &[(&str, &str)]) {
        let owners = owners
            .iter()
            .map(|(p, o)| ((*p).to_owned(), (*o).to_owned()));
        self.committed.lock().unwrap().owners = Some(owners.collect());
    }
}

impl CheckpointStore for Store {
    fn read<'a>(
        &'a self,
        _consumer_group: &'a str,
        _partitions: &'a [String],
    ) -> BoxFuture<'a, Result<Committed, Failure>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let committed = self.committed.lock().unwrap().clone();
        Box::pin(async move { Ok(committed) })
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn now() -> Timestamp {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(passed.as_millis() as u64)
}

fn config(server: &EventHubServer, directory: &tempfile::TempDir) -> EventHubsConfig {
    let path: PathBuf = directory.path().join("connection");
    std::fs::write(&path, server.emulator_connection_string()).unwrap();
    EventHubsConfig {
        namespace: "localhost".to_owned(),
        event_hub: "clicks".to_owned(),
        endpoint: None,
        auth: HubAuth::ConnectionString(Secret::File(path)),
        ca_file: None,
        client: ManagementClient::Pipelined,
        management_calls_per_second: 45,
        throughput_units: None,
        checkpoints: CheckpointsConfig {
            account_url: None,
            container: None,
            strategy: CheckpointStrategy::BlobMetadata,
            auth: BlobAuth::Sas(Secret::Env("UNUSED".to_owned())),
            ca_file: None,
            ownership_expiry: Duration::from_secs(120),
        },
    }
}

/// A server with its source, polled every `poll_interval`.
struct Bench {
    server: EventHubServer,
    store: Store,
    source: EventHubs,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn start(partitions: usize, calls_per_second: u32, poll_interval: Duration) -> Self {
        let server = EventHubServer::start(Hub::new("clicks", partitions)).await;
        let directory = tempfile::tempdir().unwrap();
        let store = Store::default();
        let settings = Settings::new("", poll_interval.min(Duration::from_secs(2)));
        let management = management::open_with(&config(&server, &directory), None, &settings);
        let source = EventHubs::new(
            management,
            Box::new(store.clone()),
            calls_per_second,
            Some(1),
            poll_interval,
        );
        Self {
            server,
            store,
            source,
            _directory: directory,
        }
    }

    fn reader(&self) -> Box<dyn GroupReader> {
        self.source.reader(&StreamSelector::Whole, "$Default")
    }
}

fn present<'a>(sample: &'a Sample, partition: &str) -> &'a PartitionSample {
    match &sample.partitions[&PartitionId::new(partition)] {
        PartitionObservation::Present(sample) => sample,
        other => panic!("partition {partition}: {other:?}"),
    }
}

#[tokio::test]
async fn a_poll_tells_log_end_lag_age_and_owner_of_every_partition() {
    let bench = Bench::start(3, 45, Duration::from_secs(15)).await;
    let (server, store) = (&bench.server, &bench.store);
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    server.append_at("0", 10, 100, ago(60));
    server.append_at("1", 5, 100, ago(60));
    store.commit("0", 9);
    store.commit("1", 1);
    store.own(&[("0", "a"), ("1", "a"), ("2", "b")]);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(sample.consumers, Some(2));
    assert_eq!(sample.read_limit_per_second, Some(4096.0));
    let done = present(&sample, "0");
    assert_eq!(
        (done.lag, done.log_end, done.length),
        (Some(Quantity::Exact(0)), Some(10), 10)
    );
    assert_eq!(
        (done.oldest_age_millis, done.owner.as_deref()),
        (Some(0), Some("a"))
    );
    let behind = present(&sample, "1");
    assert_eq!(behind.lag, Some(Quantity::Exact(3)));
    assert_eq!(
        behind.age_method,
        AgeMethod::Bounded,
        "nothing is known of older events"
    );
    let age = behind.oldest_age_millis.unwrap();
    assert!(
        (60_000..70_000).contains(&age),
        "at least as old as the newest: {age} ms"
    );
    let empty = present(&sample, "2");
    assert_eq!((empty.lag, empty.length), (Some(Quantity::Exact(0)), 0));

    // Between two polls' newest events the time is interpolated: 4 to 13 came 60 s to 20 s ago, and 8 is next.
    server.append_at("1", 9, 100, ago(20));
    store.commit("1", 7);
    let sample = reader.poll().await.expect("a sample");
    let between = present(&sample, "1");
    assert_eq!(
        (between.lag, between.age_method),
        (Some(Quantity::Exact(6)), AgeMethod::Interpolated)
    );
    let age = between.oldest_age_millis.unwrap();
    assert!((40_000..50_000).contains(&age), "{age} ms");
    store.commit("1", 12);
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "1").age_method, AgeMethod::Exact);
}

#[tokio::test]
async fn history_without_any_checkpoint_is_no_backlog_and_one_missing_among_others_is_counted_and_flagged()
 {
    let bench = Bench::start(2, 45, Duration::from_secs(15)).await;
    bench.server.append("0", 10, 100);
    bench.server.append("1", 7, 100);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    let history = PartitionObservation::GroupMissing {
        length: 10,
        log_end: Some(10),
    };
    assert_eq!(sample.partitions[&PartitionId::new("0")], history);
    bench.store.commit("0", 9);
    let sample = reader.poll().await.expect("a sample");
    let missing = present(&sample, "1");
    assert_eq!(missing.lag, Some(Quantity::Exact(7)));
    assert_eq!(
        missing.remark.as_deref(),
        Some("no checkpoint yet: counted from the oldest event kept")
    );
    // A field that is missing is neither 0 nor no checkpoint.
    let broken = CheckpointState::Unreadable(Failure::new(FailureKind::Protocol, "no number"));
    bench
        .store
        .committed
        .lock()
        .unwrap()
        .partitions
        .insert("1".to_owned(), broken);
    let sample = reader.poll().await.expect("a sample");
    let seen = &sample.partitions[&PartitionId::new("1")];
    assert!(matches!(seen, PartitionObservation::Failed(_)), "{seen:?}");
}

#[tokio::test]
async fn an_event_hub_that_is_created_anew_is_counted_from_its_start() {
    let bench = Bench::start(2, 45, Duration::from_secs(15)).await;
    bench.server.append("0", 500, 100);
    bench.store.commit("0", 499);
    bench.store.commit("1", 0);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "0").lag, Some(Quantity::Exact(0)));
    bench.server.recreate(2);
    bench.server.change(|hub| hub.created_at_ms += 60_000);
    bench.server.append("0", 3, 100);
    // The log end went back, which has the event hub asked anew: the poll that notices does not know yet, and says so.
    let first = reader.poll().await.expect("a sample");
    assert_eq!(present(&first, "0").lag, None, "unknown is no zero");
    let sample = reader.poll().await.expect("a sample");
    let anew = present(&sample, "0");
    assert_eq!(anew.lag, Some(Quantity::Exact(3)));
    assert!(anew.remark.as_deref().unwrap().contains("created anew"));
}

#[tokio::test]
async fn more_partitions_than_the_budget_allows_take_turns_and_no_second_holds_more_calls() {
    let bench = Bench::start(100, 40, Duration::from_secs(1)).await;
    for partition in 0..100 {
        bench.server.append(&partition.to_string(), 5, 10);
        bench.store.commit(&partition.to_string(), 4);
    }
    let started = Instant::now();
    let mut reader = bench.reader();
    let mut seen: BTreeMap<PartitionId, u32> = BTreeMap::new();
    let mut polls = 0;
    while seen.len() < 100 {
        polls += 1;
        assert!(polls < 10, "every partition gets its turn");
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(sample.partitions.len(), 100, "none ever drops out");
        for (id, observed) in sample.partitions {
            match observed {
                PartitionObservation::Present(_) => *seen.entry(id).or_default() += 1,
                PartitionObservation::NotAsked => {}
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    let calls = bench.server.counts().partition_reads + bench.server.counts().hub_reads;
    let most = 40.0 * (started.elapsed().as_secs_f64() + 1.0);
    assert!(calls as f64 <= most, "{calls} calls, at most {most}");
    assert!(
        seen.values().all(|times| *times <= 2),
        "those first that waited longest"
    );
}

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

/// Polls until every partition was read at one of the polls, which takes 5 s at most.
async fn until_all_are_present(reader: &mut dyn GroupReader) {
    let started = Instant::now();
    let mut missing: Option<BTreeSet<PartitionId>> = None;
    while missing.as_ref().is_none_or(|ids| !ids.is_empty()) {
        assert!(
            started.elapsed() < Duration::from_secs(5),
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

/// Deterministic dice.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn fault(&mut self) -> Fault {
        match self.roll(11) {
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
}

/// Polls, faults met, partitions read, wrong values.
async fn polls_under_faults(seed: u64, polls: u32) -> (u32, u64, u64) {
    const PARTITIONS: u64 = 4;
    let bench = Bench::start(PARTITIONS as usize, 10_000, Duration::from_millis(50)).await;
    // Each partition holds its own number of events, so that another one's answer shows.
    for partition in 0..PARTITIONS {
        let id = partition.to_string();
        bench.server.append(&id, 1_000 * (partition as u32 + 1), 10);
        bench.store.commit(&id, 99);
    }
    let mut dice = Dice(seed);
    let mut reader = bench.reader();
    let (mut known, mut wrong) = (0, 0);
    for _ in 0..polls {
        if dice.roll(4) == 0 {
            let fault = dice.fault();
            bench.server.fail_next(1 + dice.roll(6) as usize, fault);
        }
        if dice.roll(50) == 0 {
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
    (polls, known, wrong)
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
    assert!(
        total.1 > 4 * 10_000 / 3,
        "most polls bring values: {}",
        total.1
    );
}
