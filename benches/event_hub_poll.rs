//! One poll of an event hub with 32, 256 and 1,024 partitions beside KEDA's pattern (the event hub, then for each partition its
//! properties and its checkpoint, one call after the other: 2N + 1) on the same servers in the same run.
//!
//! `make bench`; `cargo bench --bench event_hub_poll -- budget` for the last part alone, within the default budget. KEDA's pattern is
//! played with clients of ours that keep their connections, so it is the pattern that is compared and not somebody's client. Once on loopback, where a round trip costs next to nothing, and once through proxies that add 1 ms per
//! direction, about what a region of Azure does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, PutOptions, PutPayload};
use serde_json::json;
use streamgauge::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, Endpoint, EventHubsConfig, HubAuth,
    ManagementClient, Secret,
};
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::event_hubs::{EventHubs, management};
use streamgauge::sources::{GroupReader, Source};

use support::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use support::event_hub::EventHubServer;
use support::event_hub::state::Hub;
use support::proxy::{FaultProxy, Mode};

const INTERVAL: Duration = Duration::from_secs(15);
const SIZES: [usize; 3] = [32, 256, 1024];
const DELAY: Duration = Duration::from_millis(1);
const CONTAINER: &str = "marks";
const GROUP: &str = "localhost/clicks/$default";

/// Against servers on this machine no quota holds.
const NO_LIMIT: u32 = 10_000;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only_budget = std::env::args().any(|argument| argument == "budget");
    for delay in [None, Some(DELAY)].into_iter().filter(|_| !only_budget) {
        match delay {
            None => println!("\non loopback"),
            Some(delay) => println!("\nwith {delay:?} more per direction"),
        }
        println!(
            "{:>10}  {:<28} {:>9} {:>9} {:>11} {:>11} {:>13} {:>10}",
            "partitions",
            "who",
            "median ms",
            "first ms",
            "connections",
            "mgmt calls",
            "blob requests",
            "lost reads"
        );
        for partitions in SIZES {
            compare(partitions, delay).await;
        }
    }
    println!("\nwithin the default budget of 45 management calls per second, polled every 15 s");
    for partitions in SIZES {
        within_budget(partitions).await;
    }
}

/// The servers with their lines.
struct Bench {
    server: EventHubServer,
    _azurite: Azurite,
    hub_line: FaultProxy,
    blob_line: FaultProxy,
    directory: tempfile::TempDir,
    account: String,
}

impl Bench {
    async fn start(partitions: usize, delay: Option<Duration>) -> Self {
        let azurite = Azurite::start();
        azurite.prepare(&json!([["create", CONTAINER]]));
        let server = EventHubServer::start(Hub::new("clicks", partitions)).await;
        for partition in 0..partitions {
            server.append(&partition.to_string(), 10, 100);
        }
        let hub_line = FaultProxy::start(server.port).await;
        let blob_line = FaultProxy::start(azurite.port).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("hub"),
            server.emulator_connection_string(),
        )
        .unwrap();
        let account = azurite
            .account_url()
            .replace(&azurite.port.to_string(), &blob_line.port.to_string());
        let store = azurite.connection_string().replace(
            &format!(":{}/", azurite.port),
            &format!(":{}/", blob_line.port),
        );
        std::fs::write(directory.path().join("store"), store).unwrap();
        let bench = Self {
            server,
            _azurite: azurite,
            hub_line,
            blob_line,
            directory,
            account,
        };
        bench.checkpoint(partitions).await;
        if let Some(delay) = delay {
            bench.hub_line.set(Mode::Latency(delay));
            bench.blob_line.set(Mode::Latency(delay));
        }
        bench
    }

    fn config(&self, client: ManagementClient, calls_per_second: u32) -> EventHubsConfig {
        let secret = |name: &str| Secret::File(self.directory.path().join(name));
        EventHubsConfig {
            namespace: "localhost".to_owned(),
            event_hub: "clicks".to_owned(),
            endpoint: Some(Endpoint {
                tls: false,
                host: "127.0.0.1".to_owned(),
                port: self.hub_line.port,
            }),
            auth: HubAuth::ConnectionString(secret("hub")),
            ca_file: None,
            client,
            management_calls_per_second: calls_per_second,
            throughput_units: None,
            retention: None,
            checkpoints: CheckpointsConfig {
                account_url: None,
                container: Some(CONTAINER.to_owned()),
                strategy: CheckpointStrategy::BlobMetadata,
                auth: BlobAuth::ConnectionString(secret("store")),
                ca_file: None,
                ownership_expiry: Duration::from_secs(120),
            },
        }
    }

    fn blobs(&self) -> MicrosoftAzure {
        MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(ACCOUNT_KEY)
            .with_endpoint(self.account.clone())
            .with_allow_http(true)
            .with_container_name(CONTAINER)
            .build()
            .unwrap()
    }

    async fn checkpoint(&self, partitions: usize) {
        let blobs = Arc::new(self.blobs());
        let ids: Vec<usize> = (0..partitions).collect();
        for some in ids.chunks(32) {
            join_all(some.iter().map(|id| {
                let blobs = Arc::clone(&blobs);
                async move {
                    let mut attributes = Attributes::new();
                    attributes.insert(Attribute::Metadata("sequencenumber".into()), "4".into());
                    attributes.insert(Attribute::Metadata("offset".into()), "400".into());
                    let options = PutOptions::from(attributes);
                    blobs
                        .put_opts(&checkpoint_of(*id), PutPayload::new(), options)
                        .await
                        .unwrap();
                }
            }))
            .await;
        }
    }
}

fn checkpoint_of(partition: usize) -> Path {
    Path::from(format!("{GROUP}/checkpoint/{partition}"))
}

/// What a run of polls took and asked for.
struct Row {
    first: Duration,
    median: Duration,
    connections: u64,
    calls: usize,
    requests: u64,
    /// Reads that brought nothing within 2 s, in all polls.
    lost: usize,
}

async fn compare(partitions: usize, delay: Option<Duration>) {
    let bench = Bench::start(partitions, delay).await;
    let keda = keda(&bench, partitions).await;
    let sdk = ours(&bench, ManagementClient::Sdk).await;
    let ours = ours(&bench, ManagementClient::Pipelined).await;
    let factor = keda.median.as_secs_f64() / ours.median.as_secs_f64();
    for (who, row) in [
        ("KEDA's pattern", keda),
        ("ours, client: sdk (8)", sdk),
        ("ours, client: pipelined", ours),
    ] {
        println!(
            "{partitions:>10}  {who:<28} {:>9.1} {:>9.1} {:>11} {:>11} {:>13} {:>10}",
            row.median.as_secs_f64() * 1e3,
            row.first.as_secs_f64() * 1e3,
            row.connections,
            row.calls,
            row.requests,
            row.lost,
        );
    }
    println!("{partitions:>10}  {factor:.1} × faster than KEDA's pattern");
}

fn connections(bench: &Bench) -> u64 {
    bench.hub_line.opened() + bench.blob_line.opened()
}

fn calls(bench: &Bench) -> usize {
    bench.server.counts().hub_reads + bench.server.counts().partition_reads
}

async fn ours(bench: &Bench, client: ManagementClient) -> Row {
    let source = EventHubs::open(&bench.config(client, NO_LIMIT), INTERVAL);
    let mut reader = source.reader(&StreamSelector::Whole, "$Default", INTERVAL);
    let before = connections(bench);
    let first = timed(reader.as_mut()).await.0;
    let (calls_before, requests_before) = (calls(bench), source.requests().blob);
    let (mut took, mut lost) = (Vec::new(), 0);
    for _ in 0..7 {
        let (time, sample) = timed(reader.as_mut()).await;
        for seen in sample.partitions.values() {
            match seen {
                PartitionObservation::Failed(_) => lost += 1,
                seen => assert!(is_five_behind(seen), "{seen:?}"),
            }
        }
        took.push(time);
    }
    Row {
        first,
        median: median(took),
        connections: connections(bench) - before,
        calls: (calls(bench) - calls_before) / 7,
        requests: (source.requests().blob - requests_before) / 7,
        lost,
    }
}

fn is_five_behind(seen: &PartitionObservation) -> bool {
    matches!(seen, PartitionObservation::Present(p) if p.lag.is_some_and(|lag| lag.exact() == Some(5)))
}

/// 2N + 1 calls, one after the other. Its first poll is like the others here: the connections stand already.
async fn keda(bench: &Bench, partitions: usize) -> Row {
    let before = connections(bench);
    let config = bench.config(ManagementClient::Pipelined, NO_LIMIT);
    let management = management::open(&config, None, "", Duration::from_secs(2));
    let blobs = bench.blobs();
    let runs = if partitions > 500 { 2 } else { 5 };
    let mut took = Vec::new();
    let mut asked = 0;
    for run in 0..=runs {
        let calls_before = calls(bench);
        let started = Instant::now();
        management.hub().await.unwrap();
        let mut behind = 0;
        for partition in 0..partitions {
            let properties = management.partition(&partition.to_string()).await.unwrap();
            let options = object_store::GetOptions::new().with_head(true);
            let blob = blobs
                .get_opts(&checkpoint_of(partition), options)
                .await
                .unwrap();
            let key = Attribute::Metadata("sequencenumber".into());
            let number: i64 = blob.attributes.get(&key).unwrap().parse().unwrap();
            behind += properties.last_enqueued_sequence_number - number;
        }
        assert_eq!(behind, 5 * partitions as i64);
        asked = calls(bench) - calls_before;
        if run > 0 {
            took.push(started.elapsed());
        }
    }
    Row {
        first: took[0],
        median: median(took),
        connections: connections(bench) - before,
        calls: asked,
        requests: partitions as u64,
        lost: 0,
    }
}

async fn within_budget(partitions: usize) {
    let bench = Bench::start(partitions, None).await;
    let config = bench.config(ManagementClient::Pipelined, 45);
    let source = EventHubs::open(&config, INTERVAL);
    let mut reader = source.reader(&StreamSelector::Whole, "$Default", INTERVAL);
    let started = Instant::now();
    let mut next = started;
    let mut known = std::collections::BTreeSet::new();
    let mut polls = 0;
    let mut longest = Duration::ZERO;
    while known.len() < partitions {
        tokio::time::sleep_until(next.into()).await;
        next += INTERVAL;
        let (took, sample) = timed(reader.as_mut()).await;
        longest = longest.max(took);
        polls += 1;
        known.extend(
            sample
                .partitions
                .into_iter()
                .filter(|(_, seen)| is_five_behind(seen))
                .map(|(id, _)| id),
        );
    }
    println!(
        "{partitions:>10}  every partition known after {polls} poll(s), {:.1} s; the longest poll took {:.1} s",
        started.elapsed().as_secs_f64(),
        longest.as_secs_f64()
    );
}

async fn timed(reader: &mut dyn GroupReader) -> (Duration, Sample) {
    let started = Instant::now();
    let sample = reader.poll().await.unwrap();
    (started.elapsed(), sample)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
