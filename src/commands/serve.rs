//! `serve`: the service, wired together; the demo embeds the same one.

mod reload;
mod source_views;
pub mod sources;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::sources::Sources;
use crate::adapters::grpc;
use crate::adapters::health::Readiness;
use crate::adapters::http::{self, HttpState};
use crate::adapters::views::Views;
use crate::adapters::webhook::Webhook;
use crate::cli::ServeArgs;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::collector::replicas::watch_replicas;
use crate::collector::signals::watch_signals;
use crate::collector::{Outlets, collect};
use crate::config::types::{Config, RecordingConfig, StateConfig};
use crate::model::capacity::CapacityRules;
use crate::publish::Group;
use crate::publish::notices::{Notice, Notices};
use crate::recording::Recording;
use crate::registry::Registry;
use crate::shutdown::{self, DRAIN, FINISH, Phase, Shutdown};
use crate::signals::Prometheus;
use crate::state::{Files, Keeper};

/// How often unused targets are looked for.
const EXPIRY_CHECK: Duration = Duration::from_secs(10);

/// Runs until a signal ends it; a second signal ends it at once.
///
/// # Errors
/// The config is wrong, an address cannot be bound, or a part of the service failed.
pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(2));
        }
    };
    let clock = Clock::start();
    let sources = Sources::open(&config.sources);
    let service = Service::start(config.clone(), sources, CapacityRules::default(), clock).await?;
    tracing::info!(grpc = %service.grpc_address(), http = %service.http_address(), "serving");
    let parts = reload::Parts {
        registry: service.registry.clone(),
        sources: service.sources.clone(),
        cluster: service.cluster.clone(),
        prometheus: service.prometheus.clone(),
        webhook: service.webhook.clone(),
    };
    let reloads = reload::follow(args.config, config, parts, clock);
    tokio::select! {
        ended = service.run_until(shutdown::requested(), DRAIN) => ended?,
        ended = reloads => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    grpc: SocketAddr,
    http: SocketAddr,
    registry: Arc<Registry>,
    sources: Sources,
    cluster: Arc<Cluster>,
    prometheus: Arc<Prometheus>,
    webhook: Arc<Webhook>,
    notices: Notices,
    keeper: Option<Arc<Keeper>>,
    shutdown: Shutdown,
    readiness: Readiness,
    /// Parts that run for ever; if one ends, so does the service.
    tasks: JoinSet<Result<()>>,
    /// The two servers, which end when told to.
    servers: JoinSet<Result<()>>,
}

impl Service {
    /// Binds both addresses and starts every part. Sources are those that the config's groups and allow rules name.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub async fn start(
        config: Config,
        sources: Sources,
        rules: CapacityRules,
        clock: Clock,
    ) -> Result<Self> {
        let grpc_listener = bind(config.server.grpc, "server.grpc").await?;
        let http_listener = bind(config.server.http, "server.http").await?;
        let (grpc, http) = (grpc_listener.local_addr()?, http_listener.local_addr()?);
        let reflection = config.server.reflection;
        let shutdown = Shutdown::default();
        let readiness = Readiness::default();
        let cluster = Arc::new(Cluster::new(&config.kubernetes, clock));
        let prometheus = Arc::new(Prometheus::new(config.prometheus.clone(), clock));
        let keeper = config.state.as_ref().map(keep);
        let webhook = Arc::new(Webhook::new(config.webhook.clone(), clock));
        let (notices, news) = Notices::new();
        let mut tasks = JoinSet::new();
        let recording = match &config.recording {
            None => None,
            Some(recording) => Some(record(recording, &mut tasks)?),
        };
        let (registry, started) = Registry::new(config, rules, clock.now());
        let registry = Arc::new(registry);

        let mut servers = JoinSet::new();
        let (for_grpc, until) = (registry.clone(), shutdown.clone());
        servers.spawn(async move {
            Ok(grpc::serve(grpc_listener, for_grpc, clock, until, reflection).await?)
        });
        let state = HttpState {
            registry: registry.clone(),
            views: Views {
                sources: source_views::of(sources.clone(), clock),
                cluster: source_views::of_cluster(cluster.clone()),
                prometheus: source_views::of_prometheus(prometheus.clone()),
                recording: source_views::of_recording(recording.clone()),
                notifications: source_views::of_notifications(webhook.clone(), notices.clone()),
                state: source_views::of_state(keeper.clone()),
            },
            now: Arc::new(move || clock.now()),
            readiness: readiness.clone(),
        };
        let until = shutdown.clone();
        servers.spawn(async move {
            let stop = async move { until.reached(Phase::Stopping).await };
            Ok(axum::serve(http_listener, http::router(state))
                .with_graceful_shutdown(stop)
                .await?)
        });

        let outlets = Outlets {
            recording,
            notices: Some(notices.clone()),
            state: keeper.clone(),
        };
        tasks.spawn(collect_all(started, sources.clone(), outlets, clock));
        tasks.spawn(deliver(webhook.clone(), news));
        tasks.spawn(expire(registry.clone(), clock));
        tasks.spawn(follow_replicas(registry.clone(), cluster.clone(), clock));
        tasks.spawn(follow_signals(registry.clone(), prometheus.clone(), clock));
        readiness.set_ready(true);
        Ok(Self {
            grpc,
            http,
            registry,
            sources,
            cluster,
            prometheus,
            webhook,
            notices,
            keeper,
            shutdown,
            readiness,
            tasks,
            servers,
        })
    }

    /// Where KEDA calls.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where metrics and API are.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Every group that is observed.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.registry.groups()
    }

    /// Runs until `stop` is done, then leaves in order: not ready, `drain` for callers to notice, streams end, calls finish.
    ///
    /// # Errors
    /// A part of the service ended by itself; the process should end, loudly.
    pub async fn run_until(
        mut self,
        stop: impl Future<Output = std::io::Result<()>>,
        drain: Duration,
    ) -> Result<()> {
        tokio::select! {
            stopped = stop => stopped?,
            ended = self.tasks.join_next() => return unexpected(ended),
            ended = self.servers.join_next() => return unexpected(ended),
        }
        tracing::info!("leaving; a second signal leaves at once");
        self.readiness.set_ready(false);
        self.shutdown.enter(Phase::Draining);
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            again = shutdown::requested() => return Ok(again?),
        }
        self.shutdown.enter(Phase::Stopping);
        let finished = async { while self.servers.join_next().await.is_some() {} };
        tokio::select! {
            done = tokio::time::timeout(FINISH, finished) => {
                if done.is_err() {
                    tracing::warn!("calls were still in flight after {} s", FINISH.as_secs());
                }
            }
            again = shutdown::requested() => again?,
        }
        self.keep_all().await;
        let waiting = self.notices.waiting() + usize::from(self.webhook.is_busy());
        if waiting > 0 {
            tracing::warn!(waiting, "news of incidents were not delivered");
        }
        Ok(())
    }

    /// Writes what every group has learned, so that a restart costs nothing of it.
    async fn keep_all(&self) {
        let Some(keeper) = self.keeper.clone() else {
            return;
        };
        let groups = self.registry.groups();
        let keeping = tokio::task::spawn_blocking(move || {
            for group in groups {
                if let Some(at) = group.decided_at() {
                    keeper.save(&group.definition().key, at, &group.remembered());
                }
            }
        });
        if tokio::time::timeout(FINISH, keeping).await.is_err() {
            tracing::warn!("what was learned lately could not be written in time");
        }
    }
}

fn unexpected(ended: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match ended {
        Some(Ok(Err(error))) => Err(error),
        Some(Err(panic)) => Err(panic).context("a part of the service failed"),
        Some(Ok(Ok(()))) | None => bail!("a part of the service ended by itself"),
    }
}

async fn bind(address: SocketAddr, field: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{field}: cannot listen on {address}; is another process there?"))
}

/// Starts the recording; its end is the end of the service.
fn record(config: &RecordingConfig, tasks: &mut JoinSet<Result<()>>) -> Result<Recording> {
    let (recording, ended) = Recording::start(config).context("recording: no thread")?;
    tasks.spawn(async move {
        let _ = ended.await;
        bail!("recording ended by itself")
    });
    Ok(recording)
}

/// What is kept over a restart.
fn keep(config: &StateConfig) -> Arc<Keeper> {
    Keeper::new(Box::new(Files::new(&config.dir)), config.interval)
}

/// Starts a collector for every group that comes; fails if one of them does. A group whose source a reload has just taken away
/// is on its way out itself.
async fn collect_all(
    mut started: mpsc::UnboundedReceiver<Arc<Group>>,
    sources: Sources,
    outlets: Outlets,
    clock: Clock,
) -> Result<()> {
    let mut collectors = JoinSet::new();
    loop {
        tokio::select! {
            group = started.recv() => {
                let Some(group) = group else { return Ok(()) };
                let definition = group.definition();
                let source = &definition.key.source;
                match sources.get(source) {
                    Some(opened) => drop(collectors.spawn(collect(group, opened, outlets.clone(), clock))),
                    None => tracing::warn!(group = definition.name, source, "there is no such source any more: the group is not polled"),
                }
            }
            Some(ended) = collectors.join_next() => ended.context("a collector failed")?,
        }
    }
}

async fn expire(registry: Arc<Registry>, clock: Clock) -> Result<()> {
    let mut tick = tokio::time::interval(EXPIRY_CHECK);
    loop {
        tick.tick().await;
        registry.expire(clock.now());
    }
}

async fn follow_replicas(
    registry: Arc<Registry>,
    cluster: Arc<Cluster>,
    clock: Clock,
) -> Result<()> {
    watch_replicas(registry, cluster, clock).await;
    Ok(())
}

async fn deliver(webhook: Arc<Webhook>, news: mpsc::Receiver<Notice>) -> Result<()> {
    webhook.deliver(news).await;
    Ok(())
}

async fn follow_signals(
    registry: Arc<Registry>,
    prometheus: Arc<Prometheus>,
    clock: Clock,
) -> Result<()> {
    watch_signals(registry, prometheus, clock).await;
    Ok(())
}

#[cfg(test)]
mod tests;
