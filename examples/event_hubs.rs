//! Consumers of an event hub scaled live on the service's own answers, without Azure: a server that speaks as Event Hubs' management
//! side, Microsoft's Azurite for checkpoints and ownership, and consumers that checkpoint every 100 events.
//!
//! `scripts/install-test-tools`, then `cargo run --release --example event_hubs [SECONDS]`.

#[path = "../tests/support/azurite.rs"]
#[allow(dead_code, clippy::expect_used, reason = "shared with the tests")]
mod azurite;
#[path = "../tests/support/certificates.rs"]
#[allow(dead_code, clippy::expect_used, reason = "shared with the tests")]
mod certificates;
#[path = "../tests/support/event_hub.rs"]
mod event_hub;
#[path = "../tests/support/ports.rs"]
#[allow(clippy::expect_used, reason = "shared with the tests")]
mod ports;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use event_hub::EventHubServer;
use event_hub::state::Hub;
use futures_util::future::try_join_all;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, PutOptions, PutPayload};
use streamgauge::autoscaler::hpa::HpaSpec;
use streamgauge::autoscaler::keda::{ScaledObject, ScaledObjectSpec};
use streamgauge::clock::Clock;
use streamgauge::commands::demo::keda_client::KedaClient;
use streamgauge::commands::serve::{Service, sources::OpenSources};
use streamgauge::config::types::Config;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::quantity::Quantity;
use streamgauge::shutdown;

const PARTITIONS: usize = 8;
const CONTAINER: &str = "checkpoints";
/// Events per second that one consumer does.
const CAPACITY: u64 = 50;
/// A consumer checkpoints a partition after so many events.
const BATCH: u64 = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(180), |s| s.parse())?;
    // Before Azurite is started: a signal does not leave it behind.
    let stop = shutdown::requested_within(Some(seconds))?;
    if !std::path::Path::new(".tools/node/node_modules/.bin/azurite-blob").exists() {
        bail!("Azurite is not here: run scripts/install-test-tools first, in the project's folder");
    }
    let azurite = Azurite::start();
    azurite.prepare(&serde_json::json!([["create", CONTAINER]]));
    let broker = EventHubServer::start(Hub::new("clicks", PARTITIONS)).await;
    let secrets = tempfile::tempdir()?;
    let (hub, store) = (secrets.path().join("hub"), secrets.path().join("store"));
    std::fs::write(&hub, broker.emulator_connection_string())?;
    std::fs::write(&store, azurite.connection_string())?;
    let config = format!(
        "{{ server: {{ grpc: '127.0.0.1:0', http: '127.0.0.1:0' }}, poll_interval: 1s, sources: [ {{ name: telemetry, event_hubs: {{
           namespace: localhost, event_hub: clicks, connection_string: {{ file: '{}' }}, checkpoints: {{ container: {CONTAINER},
           connection_string: {{ file: '{}' }}, ownership_expiry: 15s }} }} }} ], groups: [ {{ name: clicks, source: telemetry, policy: {{
           capacity_per_replica: {CAPACITY}, target_delay: 10s, activation_window: 10s, scale_in_hold: 15s }} }} ] }}",
        hub.display(),
        store.display()
    );
    let config = Config::parse(&config, "the example's config")?;
    let clock = Clock::start();
    let sources = OpenSources::open(&config.sources);
    let service = Service::start(config, sources, CapacityRules::default(), clock).await?;
    let http = service.http_address();
    println!(
        "{PARTITIONS} partitions, consumers of {CAPACITY} events/s, a checkpoint every {BATCH} events"
    );
    println!(
        "http://{http}/metrics  http://{http}/api/v1/groups/clicks  http://{http}/api/v1/sources\n"
    );
    let mut world = World::new(&azurite, broker, &service, clock).await?;
    tokio::select! {
        ended = service.run_until(stop, Duration::ZERO) => ended?,
        ended = world.play() => ended?,
    }
    world.sum_up();
    Ok(())
}

/// Producers, consumers, KEDA and the HPA around the service.
struct World {
    clock: Clock,
    broker: EventHubServer,
    blobs: MicrosoftAzure,
    keda: KedaClient,
    object: ScaledObject,
    group: std::sync::Arc<streamgauge::publish::Group>,
    enqueued: [u64; PARTITIONS],
    processed: [u64; PARTITIONS],
    committed: [u64; PARTITIONS],
    most: u32,
}

impl World {
    async fn new(
        azurite: &Azurite,
        broker: EventHubServer,
        service: &Service,
        clock: Clock,
    ) -> Result<Self> {
        let blobs = MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(ACCOUNT_KEY)
            .with_endpoint(azurite.account_url())
            .with_allow_http(true)
            .with_container_name(CONTAINER)
            .build()?;
        let trigger = [("group", "clicks")];
        let keda = KedaClient::connect(service.grpc_address(), "shop", "clicks", &trigger).await?;
        let spec = ScaledObjectSpec {
            min_replicas: 0,
            polling_interval: Duration::from_secs(3),
            cooldown: Duration::from_secs(10),
            hpa_sync: Duration::from_secs(2),
            hpa: HpaSpec {
                stabilization_down: Duration::ZERO,
                scale_up_period: Duration::from_secs(2),
                ..HpaSpec::default()
            },
            ..ScaledObjectSpec::default()
        };
        Ok(Self {
            clock,
            broker,
            blobs,
            keda,
            object: ScaledObject::new(spec, 0, clock.now()),
            group: service.groups().into_iter().next().context("the group")?,
            enqueued: [0; PARTITIONS],
            processed: [0; PARTITIONS],
            committed: [0; PARTITIONS],
            most: 0,
        })
    }

    async fn play(&mut self) -> Result<()> {
        println!(
            "{:>4} {:>8} {:>12} {:>9} {:>8} {:>9}  why",
            "s", "backlog", "uncommitted", "arriving", "desired", "consumers"
        );
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for second in 0_u64.. {
            tick.tick().await;
            self.produce(arrivals(second));
            self.consume().await?;
            if second.is_multiple_of(5) {
                self.renew_ownership().await?;
            }
            let now = self.clock.now();
            while let Some(asker) = self.object.due(now) {
                let answer = self.keda.ask().await;
                self.object.answered(now, asker, answer.ok());
            }
            self.most = self.most.max(self.object.replicas());
            if second.is_multiple_of(3) {
                self.print(second);
            }
        }
        Ok(())
    }

    /// Every partition gets its share, the last one twice that.
    fn produce(&mut self, events: u64) {
        for partition in 0..PARTITIONS {
            let shares = if partition + 1 == PARTITIONS { 2 } else { 1 };
            let count = events * shares / (PARTITIONS as u64 + 1);
            if count > 0 {
                self.enqueued[partition] += count;
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.broker.append(&partition.to_string(), count, 200);
            }
        }
    }

    /// Each consumer works on its own partitions, the fullest first, and checkpoints whole batches.
    async fn consume(&mut self) -> Result<()> {
        let consumers = self.object.replicas() as usize;
        for consumer in 0..consumers.min(PARTITIONS) {
            let mut left = CAPACITY;
            let mut own: Vec<usize> = (consumer..PARTITIONS).step_by(consumers).collect();
            own.sort_by_key(|p| self.processed[*p].wrapping_sub(self.enqueued[*p]));
            for partition in own {
                let done = left.min(self.enqueued[partition] - self.processed[partition]);
                self.processed[partition] += done;
                left -= done;
            }
        }
        let due = (0..PARTITIONS).filter(|p| self.processed[*p] - self.committed[*p] >= BATCH);
        let due: Vec<usize> = due.collect();
        for partition in &due {
            let whole = (self.processed[*partition] - self.committed[*partition]) / BATCH * BATCH;
            self.committed[*partition] += whole;
        }
        let checkpoints = due.into_iter().map(|partition| {
            // The last event that is done, by its number from 0 on.
            let number = (self.committed[partition] - 1).to_string();
            self.write(
                "checkpoint",
                partition,
                [("sequencenumber", number), ("offset", "0".into())],
            )
        });
        try_join_all(checkpoints).await?;
        Ok(())
    }

    async fn renew_ownership(&self) -> Result<()> {
        let consumers = self.object.replicas() as usize;
        let owners = (0..PARTITIONS).map(|partition| {
            let owner = partition.checked_rem(consumers);
            let owner = owner.map_or_else(String::new, |n| format!("consumer-{n}"));
            self.write("ownership", partition, [("ownerid", owner)])
        });
        try_join_all(owners).await?;
        Ok(())
    }

    async fn write<const N: usize>(
        &self,
        kind: &str,
        partition: usize,
        metadata: [(&'static str, String); N],
    ) -> Result<()> {
        let path = Path::from(format!("localhost/clicks/$default/{kind}/{partition}"));
        let mut attributes = Attributes::new();
        for (key, value) in metadata {
            attributes.insert(Attribute::Metadata(key.into()), value.into());
        }
        let options = PutOptions::from(attributes);
        self.blobs
            .put_opts(&path, PutPayload::new(), options)
            .await?;
        Ok(())
    }

    fn print(&self, second: u64) {
        let snapshot = self.group.snapshot();
        let facts = &snapshot.facts;
        let target = snapshot.targets.values().next_back();
        let decision = target.and_then(|target| target.decision.as_ref());
        let uncommitted: u64 = facts
            .partitions
            .values()
            .filter_map(|p| p.uncommitted)
            .sum();
        println!(
            "{second:>4} {:>8} {uncommitted:>12} {:>9.0} {:>8} {:>9}  {}",
            facts
                .backlog
                .map_or_else(|| "?".into(), |b: Quantity| b.value().to_string()),
            facts.arrival_per_second.unwrap_or_default(),
            decision
                .and_then(|d| d.desired)
                .map_or_else(|| "?".into(), |n| n.to_string()),
            self.object.replicas(),
            decision.map_or("", |d| &d.text),
        );
    }

    fn sum_up(&self) {
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        let counts = self.broker.counts();
        println!(
            "\n{} events, {} processed, {} of these behind their checkpoint at the end; at most {} consumers, {} at the end; {} management calls",
            sum(&self.enqueued),
            sum(&self.processed),
            sum(&self.processed) - sum(&self.committed),
            self.most,
            self.object.replicas(),
            counts.hub_reads + counts.partition_reads
        );
    }
}

/// Events per second: quiet, steady, a burst, quiet again.
fn arrivals(second: u64) -> u64 {
    match second {
        5..35 => 150,
        35..45 => 600,
        45..60 => 150,
        _ => 0,
    }
}
