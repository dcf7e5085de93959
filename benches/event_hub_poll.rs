//! One poll of an event hub with 32, 256 and 1,024 partitions beside KEDA's own azure-eventhub scaler with its own Go clients, by
//! turns in one run, on the same servers: our AMQP test server and Microsoft's Azurite, each in a process of its own.
//!
//! `cargo bench --bench event_hub_poll` (needs Go; the first build of KEDA's scaler takes minutes); `… -- budget` for the last
//! part alone, within the default budget; `… -- 32 256` for some sizes. Three ways: on loopback, where a round trip costs next to
//! nothing; with 2 ms in the hub, which every reply takes, side by side with others; and with 1 ms more per direction to the hub
//! and to the store, about what a region of Azure does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "event_hub_poll/keda.rs"]
mod keda;
#[path = "event_hub_poll/server.rs"]
mod server;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path as BlobPath;
use object_store::{Attribute, Attributes, ObjectStore, PutOptions, PutPayload};
use serde_json::json;
use streamgauge::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, Endpoint, EventHubsConfig, HubAuth,
    ManagementClient, Secret,
};
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::event_hubs::EventHubs;
use streamgauge::sources::event_hubs::checkpoints::{
    BlobCheckpoints, CheckpointStore, GroupMemory,
};
use streamgauge::sources::{GroupReader, Source};

use keda::Scaler;
use server::Server;
use support::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use support::proxy::{FaultProxy, Mode};

const INTERVAL: Duration = Duration::from_secs(15);

/// Between two polls that are compared. Log ends of the one before are too old for the next by then.
const PAUSE: Duration = Duration::from_millis(600);

/// How often the compared group is said to be polled: it is no longer than it has to be for that.
const COMPARED_INTERVAL: Duration = Duration::from_secs(2);
const SIZES: [usize; 3] = [32, 256, 1024];
const CONTAINER: &str = "marks";
const CONSUMER_GROUP: &str = "$Default";

/// Against servers on this machine no quota holds.
const NO_LIMIT: u32 = 10_000;

/// How far away the servers are.
#[derive(Clone, Copy)]
struct Distance {
    name: &'static str,
    /// What every reply of the hub takes.
    in_the_hub: Duration,
    /// More per direction.
    on_the_way: Duration,
}

const DISTANCES: [Distance; 3] = [
    Distance {
        name: "on loopback",
        in_the_hub: Duration::ZERO,
        on_the_way: Duration::ZERO,
    },
    Distance {
        name: "with 2 ms in the hub",
        in_the_hub: Duration::from_millis(2),
        on_the_way: Duration::ZERO,
    },
    Distance {
        name: "with 1 ms more per direction to hub and store",
        in_the_hub: Duration::ZERO,
        on_the_way: Duration::from_millis(1),
    },
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // `cargo test --benches` only wants to know that it builds.
    if has("--test") {
        return;
    }
    if has(server::SERVE) {
        return server::serve(&arguments[1..]).await;
    }
    let is_wanted =
        |size: &&usize| SIZES.iter().all(|it| !has(&it.to_string())) || has(&size.to_string());
    let sizes: Vec<usize> = SIZES.iter().filter(is_wanted).copied().collect();
    if !has("budget") {
        let program = keda::build();
        for distance in DISTANCES {
            println!("\n{}", distance.name);
            println!(
                "{:>10}  {:>8} {:>8} {:>8}  {:>17}  {:>15}  {:>15}  {:>14}",
                "partitions",
                "KEDA ms",
                "ours ms",
                "factor",
                "10th to 90th pct.",
                "listing alone",
                "management calls",
                "blob requests",
            );
            for partitions in &sizes {
                compare(&program, *partitions, distance).await;
            }
        }
    }
    println!("\nwithin the default budget of 45 management calls per second, polled every 15 s");
    for partitions in sizes {
        within_budget(partitions).await;
    }
}

/// The servers, and the lines to them where these are slow.
struct Bench {
    _server: Server,
    _azurite: Azurite,
    _lines: Vec<FaultProxy>,
    directory: tempfile::TempDir,
    hub_port: u16,
    account: String,
    store: String,
}

impl Bench {
    async fn start(partitions: usize, distance: Distance) -> Self {
        let azurite = Azurite::start();
        azurite.prepare(&json!([["create", CONTAINER]]));
        let server = Server::start(partitions, distance.in_the_hub);
        let (mut lines, mut hub_port, mut store_port) = (Vec::new(), server.port, azurite.port);
        if !distance.on_the_way.is_zero() {
            for port in [&mut hub_port, &mut store_port] {
                let line = FaultProxy::start(*port).await;
                line.set(Mode::Latency(distance.on_the_way));
                *port = line.port;
                lines.push(line);
            }
        }
        let by_line =
            |text: String| text.replace(&format!(":{}/", azurite.port), &format!(":{store_port}/"));
        let bench = Self {
            directory: tempfile::tempdir().unwrap(),
            hub_port,
            account: azurite.account_url(),
            store: by_line(azurite.connection_string()),
            _server: server,
            _azurite: azurite,
            _lines: lines,
        };
        let secrets = [("hub", bench.hub()), ("store", bench.store.clone())];
        for (name, secret) in secrets {
            std::fs::write(bench.directory.path().join(name), secret).unwrap();
        }
        bench.checkpoint(partitions).await;
        bench
    }

    /// Event Hubs' connection string, as KEDA takes it for an emulator.
    fn hub(&self) -> String {
        format!(
            "Endpoint=sb://localhost:{}/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0;EntityPath=clicks;\
             UseDevelopmentEmulator=true",
            self.hub_port
        )
    }

    fn config(&self, calls_per_second: u32) -> EventHubsConfig {
        let secret = |name: &str| Secret::File(self.directory.path().join(name));
        EventHubsConfig {
            namespace: "localhost".to_owned(),
            event_hub: "clicks".to_owned(),
            endpoint: Some(Endpoint {
                tls: false,
                host: "127.0.0.1".to_owned(),
                port: self.hub_port,
            }),
            auth: HubAuth::ConnectionString(secret("hub")),
            ca_file: None,
            client: ManagementClient::Pipelined,
            management_calls_per_second: calls_per_second,
            throughput_units: None,
            retention: None,
            checkpoints: CheckpointsConfig {
                account_url: None,
                container: Some(CONTAINER.to_owned()),
                strategy: CheckpointStrategy::Auto,
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

    /// Where KEDA looks for them; five events behind each.
    async fn checkpoint(&self, partitions: usize) {
        let blobs = Arc::new(self.blobs());
        let ids: Vec<usize> = (0..partitions).collect();
        for some in ids.chunks(32) {
            join_all(some.iter().map(|id| {
                let blobs = Arc::clone(&blobs);
                let group = format!("localhost:{}/clicks/$default", self.hub_port);
                async move {
                    let mut attributes = Attributes::new();
                    attributes.insert(Attribute::Metadata("sequencenumber".into()), "4".into());
                    attributes.insert(Attribute::Metadata("offset".into()), "400".into());
                    let path = BlobPath::from(format!("{group}/checkpoint/{id}"));
                    blobs
                        .put_opts(&path, PutPayload::new(), PutOptions::from(attributes))
                        .await
                        .unwrap();
                }
            }))
            .await;
        }
    }
}

async fn compare(program: &Path, partitions: usize, distance: Distance) {
    let bench = Bench::start(partitions, distance).await;
    let hub = bench.hub();
    let mut keda = Scaler::start(program, &hub, &bench.store, CONTAINER, CONSUMER_GROUP);
    let config = bench.config(NO_LIMIT);
    let source = EventHubs::open(&config, INTERVAL);
    let mut reader = source.reader(&StreamSelector::Whole, CONSUMER_GROUP, COMPARED_INTERVAL);
    let store = BlobCheckpoints::new(&config.checkpoints, "localhost", "clicks", INTERVAL);
    let mut memory = GroupMemory::default();
    let ids: Vec<String> = (0..partitions).map(|id| id.to_string()).collect();
    let (mut theirs, mut ours, mut listings) = (Vec::new(), Vec::new(), Vec::new());
    let mut asked = None;
    let rounds = 2 + 8_192 / partitions.clamp(256, 1024);
    for round in 0..rounds {
        tokio::time::sleep(PAUSE).await;
        let (took, backlog) = keda.poll();
        assert_eq!(backlog, 5 * partitions as i64, "KEDA's backlog");
        let (our_time, sample) = timed(reader.as_mut()).await;
        assert!(sample.partitions.values().all(is_five_behind));
        let started = Instant::now();
        store.read(CONSUMER_GROUP, &ids, &mut memory).await.unwrap();
        let listing = started.elapsed();
        // The first two connect, and have what is interpreted compiled.
        if round >= 2 {
            theirs.push(took);
            ours.push(our_time);
            listings.push(listing);
        }
        if round == 2 {
            asked = Some(source.requests());
        }
    }
    let (before, after, counted) = (asked.unwrap(), source.requests(), rounds as u64 - 3);
    let mut factors: Vec<f64> = theirs
        .iter()
        .zip(&ours)
        .map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    factors.sort_by(f64::total_cmp);
    let share = |of: f64| factors[((factors.len() - 1) as f64 * of).round() as usize];
    println!(
        "{partitions:>10}  {:>8.1} {:>8.1} {:>6.1} ×  {:>7.1} to {:>4.1} ×  {:>12.1} ms  {:>8}, {:>6}  {:>8}, {:>5}",
        millis(median(theirs)),
        millis(median(ours)),
        share(0.5),
        share(0.1),
        share(0.9),
        millis(median(listings)),
        partitions + 1,
        (after.management - before.management) / counted,
        partitions,
        (after.blob - before.blob) / counted,
    );
}

fn is_five_behind(seen: &PartitionObservation) -> bool {
    matches!(seen, PartitionObservation::Present(p) if p.lag.is_some_and(|lag| lag.exact() == Some(5)))
}

async fn within_budget(partitions: usize) {
    let bench = Bench::start(partitions, DISTANCES[0]).await;
    let source = EventHubs::open(&bench.config(45), INTERVAL);
    let mut reader = source.reader(&StreamSelector::Whole, CONSUMER_GROUP, INTERVAL);
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

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
