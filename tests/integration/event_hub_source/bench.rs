//! A management client on the AMQP test server with checkpoints kept in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamgauge::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, EventHubsConfig, HubAuth, ManagementClient,
    Secret,
};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{Failure, PartitionObservation, PartitionSample, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::sources::event_hubs::EventHubs;
use streamgauge::sources::event_hubs::checkpoints::{
    Checkpoint, CheckpointState, CheckpointStore, Committed, GroupMemory,
};
use streamgauge::sources::event_hubs::management::{self, Settings};
use streamgauge::sources::{BoxFuture, GroupReader, Source};

use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::state::Hub;

/// Checkpoints that a test sets.
#[derive(Clone, Default)]
pub struct Store {
    pub committed: Arc<Mutex<Committed>>,
    pub failure: Arc<Mutex<Option<Failure>>>,
    requests: Arc<AtomicU64>,
}

impl Store {
    pub fn commit(&self, partition: &str, sequence_number: i64) {
        self.commit_at(partition, sequence_number, &sequence_number.to_string(), 0);
    }

    /// A commit of so many seconds ago.
    pub fn commit_at(&self, partition: &str, number: i64, offset: &str, seconds_ago: u64) {
        let written = now().as_millis() - seconds_ago * 1_000;
        let checkpoint = Checkpoint {
            sequence_number: number,
            offset: offset.to_owned(),
            written_at: Some(Timestamp::from_millis(written)),
        };
        self.set(partition, CheckpointState::Present(checkpoint));
    }

    pub fn set(&self, partition: &str, state: CheckpointState) {
        let mut committed = self.committed.lock().unwrap();
        committed.partitions.insert(partition.to_owned(), state);
    }

    pub fn own(&self, owners: &[(&str, &str)]) {
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
        _memory: &'a mut GroupMemory,
    ) -> BoxFuture<'a, Result<Committed, Failure>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let committed = self.committed.lock().unwrap().clone();
        let failure = self.failure.lock().unwrap().clone();
        Box::pin(async move { failure.map_or(Ok(committed), Err) })
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
        retention: None,
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
pub struct Bench {
    pub server: EventHubServer,
    pub store: Store,
    pub source: EventHubs,
    poll_interval: Duration,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub async fn start(partitions: usize, calls_per_second: u32, poll_interval: Duration) -> Self {
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
            poll_interval,
            _directory: directory,
        }
    }

    pub fn reader(&self) -> Box<dyn GroupReader> {
        self.reader_polled_every(self.poll_interval)
    }

    pub fn reader_polled_every(&self, poll_interval: Duration) -> Box<dyn GroupReader> {
        self.source
            .reader(&StreamSelector::Whole, "$Default", poll_interval)
    }
}

pub fn present<'a>(sample: &'a Sample, partition: &str) -> &'a PartitionSample {
    match &sample.partitions[&PartitionId::new(partition)] {
        PartitionObservation::Present(sample) => sample,
        other => panic!("partition {partition}: {other:?}"),
    }
}
