//! `demo`: everything in one process. Real: model, policy, gRPC, metrics, API. Played: Kubernetes, and without `--redis` the
//! stream and its consumers.

pub mod keda_client;
pub mod redis_workload;
mod story;
mod table;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::autoscaler::hpa::HpaSpec;
use crate::autoscaler::keda::{ScaledObject, ScaledObjectSpec};
use crate::cli::DemoArgs;
use crate::clock::Clock;
use crate::config::kubernetes::{Enabled, KubernetesConfig};
use crate::config::replication::ReplicationConfig;
use crate::config::signals::SignalSources;
use crate::config::types::{Config, Granularity, GroupConfig, LimitsConfig, ServerConfig};
use crate::model::capacity::CapacityRules;
use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;
use crate::publish::Group;
use crate::shutdown;

use super::serve::Service;
use super::serve::sources::OpenSources;
use keda_client::KedaClient;
use story::{CAPACITY_PER_SECOND, CONSUMER_GROUP, GROUP, START_UP};
use workload::DemoWorkload;

const NAMESPACE: &str = "demo";
const OBJECT: &str = "worker";
const MOST_REPLICAS: u32 = 30;
/// How often the played world moves on.
const TICK: Duration = Duration::from_millis(100);
/// How often the table gets a line.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Runs until a signal or `--seconds` ends it. However it ends, what it made on Redis is deleted.
///
/// # Errors
/// An address cannot be bound or Redis cannot be reached.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    // Before anything is made on Redis: a signal leaves no keys behind.
    let stop = shutdown::requested_within(args.seconds)?;
    let clock = Clock::start();
    let mut workload = match &args.redis {
        None => DemoWorkload::simulated(clock.now()),
        Some(url) => DemoWorkload::on_redis(url, clock.now()).await?,
    };
    let played = play(&mut workload, stop, clock, args.redis.is_some()).await;
    match (played, workload.clean_up().await) {
        (Err(played), Err(left)) => Err(played.context(format!("{left:#}"))),
        (played, cleaned) => played.and(cleaned),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the service on the workload and plays the world around it until `stop`.
async fn play(
    workload: &mut DemoWorkload,
    stop: impl Future<Output = ()>,
    clock: Clock,
    on_redis: bool,
) -> Result<()> {
    let config = config(&workload.stream())?;
    let sources = OpenSources::of(workload.source(config.groups[0].poll_interval));
    let service = Service::start(config, sources, CapacityRules::default(), clock).await?;
    introduce(&service, on_redis);
    let group = service
        .groups()
        .into_iter()
        .next()
        .context("the demo's group is configured")?;
    let client = KedaClient::connect(
        service.grpc_address(),
        NAMESPACE,
        OBJECT,
        &[("group", GROUP)],
    )
    .await?;
    let mut world = World {
        clock,
        started: clock.now(),
        workload,
        group,
        client,
        object: scaled_object(clock.now()),
    };
    tokio::select! {
        ended = service.run_until(stop, Duration::ZERO) => ended,
        ended = world.play() => ended,
    }
}

/// Shorter times than in production, so that the whole story fits three minutes; the introduction prints them.
fn config(stream: &str) -> Result<Config> {
    let free_port = ([127, 0, 0, 1], 0).into();
    let policy = PolicySettings {
        target_delay: Some(Duration::from_secs(10)),
        capacity_per_replica: Some(CAPACITY_PER_SECOND),
        max_replicas: Some(MOST_REPLICAS),
        activation_window: Some(Duration::from_secs(10)),
        scale_in_hold: Some(Duration::from_secs(15)),
        ..PolicySettings::default()
    };
    let key = GroupKey {
        source: GROUP.to_owned(),
        stream: stream.to_owned(),
        consumer_group: CONSUMER_GROUP.to_owned(),
    };
    let group = GroupConfig {
        name: GROUP.to_owned(),
        key,
        selector: StreamSelector::parse(stream)?,
        poll_interval: Duration::from_secs(1),
        policy,
        signals: SignalSources::new(),
        granularity: Granularity::Partition,
    };
    Ok(Config {
        replication: ReplicationConfig {
            enabled: Enabled::No,
            ..ReplicationConfig::default()
        },
        server: ServerConfig {
            grpc: free_port,
            http: free_port,
            reflection: true,
            ..ServerConfig::default()
        },
        kubernetes: KubernetesConfig {
            enabled: Enabled::No,
            ..KubernetesConfig::default()
        },
        sources: Vec::new(),
        recording: None,
        state: None,
        groups: vec![group],
        prometheus: None,
        webhook: None,
        limits: LimitsConfig::default(),
        max_series: 350_000,
    })
}

fn scaled_object(now: Timestamp) -> ScaledObject {
    let spec = ScaledObjectSpec {
        min_replicas: 0,
        polling_interval: Duration::from_secs(3),
        cooldown: Duration::from_secs(10),
        hpa_sync: Duration::from_secs(2),
        // Scale-in is held by the policy; a second window here would only add to it.
        hpa: HpaSpec {
            max_replicas: MOST_REPLICAS,
            stabilization_down: Duration::ZERO,
            scale_up_period: Duration::from_secs(2),
            ..HpaSpec::default()
        },
        ..ScaledObjectSpec::default()
    };
    ScaledObject::new(spec, 0, now)
}

fn introduce(service: &Service, on_redis: bool) {
    let (grpc, http) = (service.grpc_address(), service.http_address());
    let stream = if on_redis {
        "real streams on your Redis"
    } else {
        "a simulated stream"
    };
    println!(
        "streamgauge demo: {} partitions of {stream}; each consumer handles {CAPACITY_PER_SECOND} messages/s and takes {} s to start.",
        story::PARTITIONS,
        START_UP.as_secs(),
    );
    println!(
        "A model of KEDA and the HPA scales them on the service's gRPC answers from {grpc}. Press Ctrl-C to stop."
    );
    println!(
        "Times are shorter than in production: poll 1 s, hold 15 s, KEDA 3 s, HPA 2 s, cooldown 10 s. One round takes 3 min.\n"
    );
    println!(
        "  http://{http}/ shows load, skew, and the reason for the replica count; open it in a browser"
    );
    println!("  curl http://{http}/metrics");
    println!("  curl http://{http}/api/v1/groups/{GROUP}");
    println!("  curl http://{http}/api/v1/decisions?limit=3\n");
    println!("{}", table::header());
}

/// The played world around the service.
struct World<'a> {
    clock: Clock,
    started: Timestamp,
    workload: &'a mut DemoWorkload,
    group: Arc<Group>,
    client: KedaClient,
    object: ScaledObject,
}

impl World<'_> {
    async fn play(&mut self) -> Result<()> {
        let mut tick = tokio::time::interval(TICK);
        let mut line = tokio::time::interval(LINE_EVERY);
        let mut said = None;
        loop {
            tokio::select! {
                _ = tick.tick() => self.move_on().await?,
                _ = line.tick() => said = self.print(said),
            }
        }
    }

    async fn move_on(&mut self) -> Result<()> {
        let now = self.clock.now();
        let rates = story::arrivals_per_second(now.since(self.started));
        self.workload.advance(now, &rates);
        while let Some(asker) = self.object.due(now) {
            let answer = self.client.ask().await;
            self.object.answered(now, asker, answer.ok());
        }
        self.workload.set_replicas(self.object.replicas());
        self.workload.check()
    }

    /// Prints a line, and the decision in words if it is for another count than the one said last.
    fn print(&self, said: Option<u32>) -> Option<u32> {
        let elapsed = self.clock.now().since(self.started);
        let snapshot = self.group.snapshot();
        let decision = snapshot
            .targets
            .values()
            .next()
            .and_then(|target| target.decision.as_ref());
        let row = table::TableRow {
            second: elapsed.as_secs(),
            phase: story::phase(elapsed).as_str(),
            facts: &snapshot.facts,
            decision,
            replicas: (self.object.replicas(), self.workload.ready_replicas()),
        };
        println!("{}", table::line(&row));
        let desired = decision.and_then(|decision| decision.desired);
        if let Some(decision) = decision.filter(|_| desired != said) {
            println!("{}", table::words(&decision.text));
        }
        desired
    }
}
