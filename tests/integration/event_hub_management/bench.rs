//! A hub with telling values, a client of either kind, and the check that an answer is the right one.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use streamgauge::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, EventHubsConfig, HubAuth, ManagementClient,
    Secret,
};
use streamgauge::model::sample::Failure;
use streamgauge::sources::event_hubs::management::{self, Management, PartitionProperties};

use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::broker::Broker;
use crate::support::event_hub::state::Hub;
use crate::support::eventually;

/// Both clients.
pub const BOTH: [ManagementClient; 2] = [ManagementClient::Pipelined, ManagementClient::Sdk];

/// Longer than anything takes that goes well, on a machine with other work to do.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What Entra tokens would be asked for.
pub const SCOPE: &str = "https://eventhubs.azure.net/.default";

/// A running server and a client that has not connected yet.
pub struct Bench {
    pub server: EventHubServer,
    pub client: Box<dyn Management>,
    /// Holds the file with the connection string.
    pub configured: Configured,
}

/// A configuration and the file that its secret is in.
pub struct Configured {
    pub config: EventHubsConfig,
    pub secret: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub async fn start(client: ManagementClient, partitions: usize) -> Self {
        Self::with_deadline(client, partitions, DEADLINE).await
    }

    pub async fn with_deadline(
        client: ManagementClient,
        partitions: usize,
        deadline: Duration,
    ) -> Self {
        let server = EventHubServer::start(hub(partitions)).await;
        let configured = config(client, &server.emulator_connection_string());
        Self {
            client: open(&configured.config, deadline),
            server,
            configured,
        }
    }

    /// Reads a partition; the SDK, which stalls now and then, may try again for a while.
    pub async fn read_right(&self, id: &str) {
        let tries_for = match self.configured.config.client {
            ManagementClient::Pipelined => Duration::ZERO,
            ManagementClient::Sdk => DEADLINE * 6,
        };
        let started = Instant::now();
        let mut read = self.client.partition(id).await;
        while read.is_err() && started.elapsed() < tries_for {
            read = self.client.partition(id).await;
        }
        let read = read.unwrap_or_else(|failure| panic!("tried for {tries_for:?}: {failure}"));
        self.must_be_right(id, &read);
    }

    /// Reads partitions `0` to `count` until all were right once: how long connections take here says nothing of a client.
    pub async fn warm_up(&self, count: usize) {
        for id in 0..count {
            let id = id.to_string();
            eventually("a first read", DEADLINE, async || {
                self.client.partition(&id).await.ok()
            })
            .await;
        }
    }

    /// Reads partitions `0` to `count` side by side, as [`Self::read_right`] does.
    pub async fn read_all_right(&self, count: usize) {
        let ids: Vec<_> = (0..count).map(|id| id.to_string()).collect();
        join_all(ids.iter().map(|id| self.read_right(id))).await;
    }

    pub fn must_be_right(&self, id: &str, read: &PartitionProperties) {
        must_be_right(&self.server, id, read);
    }
}

/// A hub whose partitions are told apart by every value.
pub fn hub(partitions: usize) -> Hub {
    let mut hub = Hub::new("orders", partitions);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_millis()).expect("fits");
    for (index, partition) in (1..).zip(&mut hub.partitions) {
        partition.append(1000 * index, 100, now - i64::from(index));
        partition.trim(i64::from(index));
    }
    hub
}

/// A configuration with that connection string in a file.
pub fn config(client: ManagementClient, connection_string: &str) -> Configured {
    let folder = tempfile::tempdir().expect("a directory");
    let secret = folder.path().join("connection-string");
    std::fs::write(&secret, format!("{connection_string}\n")).expect("written");
    let config = EventHubsConfig {
        namespace: "localhost".into(),
        event_hub: "orders".into(),
        endpoint: None,
        auth: HubAuth::ConnectionString(Secret::File(secret.clone())),
        ca_file: None,
        client,
        management_calls_per_second: 50,
        throughput_units: None,
        retention: None,
        checkpoints: CheckpointsConfig {
            account_url: None,
            container: None,
            strategy: CheckpointStrategy::BlobMetadata,
            auth: BlobAuth::Sas(Secret::Env("UNUSED".into())),
            ca_file: None,
            ownership_expiry: Duration::from_secs(120),
        },
    };
    Configured {
        config,
        secret,
        _folder: folder,
    }
}

pub fn open(config: &EventHubsConfig, deadline: Duration) -> Box<dyn Management> {
    management::open(config, None, SCOPE, deadline)
}

/// Reads partitions `0` to `count` side by side.
pub async fn read_all(
    client: &dyn Management,
    count: usize,
) -> Vec<(String, Result<PartitionProperties, Failure>)> {
    let reads = (0..count).map(|id| async move {
        let id = id.to_string();
        let read = client.partition(&id).await;
        (id, read)
    });
    join_all(reads).await
}

/// Compares everything that was told with what the server holds.
pub fn must_be_right(server: &Broker, id: &str, read: &PartitionProperties) {
    let held = server.partition(id);
    let told = PartitionProperties {
        partition_id: held.id,
        beginning_sequence_number: held.begin_sequence_number,
        last_enqueued_sequence_number: held.last_enqueued_sequence_number,
        last_enqueued_offset: held.last_enqueued_offset,
        last_enqueued_at: u64::try_from(held.last_enqueued_time_ms)
            .ok()
            .map(streamgauge::model::time::Timestamp::from_millis),
        is_empty: held.is_empty,
        // The server tells none unless a test sets it.
        epoch: None,
    };
    assert_eq!(*read, told, "asked for {id}");
}
