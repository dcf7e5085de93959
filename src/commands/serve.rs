//! `serve`: the service, wired together; the demo embeds the same one.

mod bind;
mod disk;
mod own_runtime;
mod parts;
mod reload;
mod replicas;
mod source_views;
pub mod sources;
pub mod tls;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::bind::bind;
use self::disk::DiskWriters;
use self::own_runtime::OwnRuntime;
use self::parts::ServiceParts;
use self::replicas::OtherReplicas;
use self::sources::OpenSources;
use self::tls::ServesTls;
use crate::adapters::grpc::stats::RpcStats;
use crate::adapters::grpc::{self, Forwarding, Scaler};
use crate::adapters::health::Readiness;
use crate::adapters::http::Routes;
use crate::adapters::views::HttpState;
use crate::cli::ServeArgs;
use crate::clock::Clock;
use crate::config::types::Config;
use crate::inbound;
use crate::inbound::door;
use crate::model::capacity::CapacityRules;
use crate::publish::Group;
use crate::shutdown::{self, DRAIN, FINISH, Phase, Shutdown};

/// Runs until a signal ends it; a second signal ends it at once.
///
/// # Errors
/// The config is wrong, an address cannot be bound, or a task of the service failed.
pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(2));
        }
    };
    let stop = shutdown::requested()?;
    door::raise_descriptor_limit();
    let clock = Clock::start();
    let sources = OpenSources::open(&config.sources);
    let service = Service::start(config.clone(), sources, CapacityRules::default(), clock).await?;
    let metrics = service.metrics.map(tracing::field::display);
    tracing::info!(grpc = %service.grpc_address(), http = %service.http_address(), metrics, "serving");
    let reloads = reload::follow(args.config, config, service.parts.clone(), clock);
    tokio::select! {
        ended = service.run_until(stop, DRAIN) => ended?,
        ended = reloads => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    grpc: SocketAddr,
    http: SocketAddr,
    /// Where metrics are apart.
    metrics: Option<SocketAddr>,
    parts: Arc<ServiceParts>,
    shutdown: Shutdown,
    readiness: Readiness,
    /// Parts that run for ever; if one ends, so does the service.
    tasks: JoinSet<Result<()>>,
    /// The two servers, which end at shutdown.
    servers: JoinSet<Result<()>>,
    _callers: OwnRuntime,
    _polls: OwnRuntime,
}

impl Service {
    /// Binds both addresses and starts every part. Sources are those that the config's groups and allow rules name.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub async fn start(
        config: Config,
        sources: OpenSources,
        rules: CapacityRules,
        clock: Clock,
    ) -> Result<Self> {
        let grpc_listener = bind(config.server.grpc, "server.grpc").await?;
        let http_listener = bind(config.server.http, "server.http").await?;
        let metrics_listener = match config.server.metrics {
            Some(address) => Some(bind(address, "server.metrics").await?),
            None => None,
        };
        let (grpc, http) = (grpc_listener.local_addr()?, http_listener.local_addr()?);
        let metrics = metrics_listener.as_ref().map(TcpListener::local_addr);
        let metrics = metrics.transpose()?;
        let server = config.server.clone();
        let reflection = server.reflection;
        let tls = ServesTls::load(&server)?;
        let shutdown = Shutdown::default();
        let readiness = Readiness::default();
        let mut tasks = JoinSet::new();
        let disk = DiskWriters::start(&config, &mut tasks)?;
        let replicas = OtherReplicas::listen(&config).await?;
        let members = replicas.as_ref().map(|replicas| replicas.members.clone());
        let (parts, queues) = ServiceParts::new(config, sources, rules, disk, members, clock);

        let mut servers = JoinSet::new();
        let rpcs = Arc::new(RpcStats::default());
        let registry = parts.registry.clone();
        let mut scaler = Scaler::new(registry, clock, shutdown.clone(), rpcs.clone());
        let until = shutdown.clone();
        let (grpc_tls, http_tls) = (tls.grpc.clone(), tls.http.clone());
        let callers = OwnRuntime::of_callers().context("cannot start the threads of gRPC")?;
        if let Some(replicas) = replicas {
            let members = replicas.members.clone();
            scaler = scaler.with_replicas(Forwarding::of_keda(members));
            replicas.start(&parts, &shutdown, &mut tasks, callers.handle(), clock)?;
        }
        let grpc_listener = grpc_listener.into_std()?;
        let answering = async move {
            // Belongs to the runtime that it is made in.
            let listener = TcpListener::from_std(grpc_listener)?;
            Ok(grpc::serve(listener, grpc_tls, scaler, until, reflection).await?)
        };
        servers.spawn_on(answering, callers.handle());
        let state = HttpState {
            registry: parts.registry.clone(),
            views: parts.views(rpcs, tls.certificate(), clock),
            now: Arc::new(move || clock.now()),
            readiness: readiness.clone(),
            shutdown: shutdown.clone(),
        };
        let routes = Routes::new(state, &server);
        let at_http = Some((http_listener, routes.http));
        for (listener, router) in at_http
            .into_iter()
            .chain(metrics_listener.zip(routes.metrics))
        {
            let (until, tls) = (shutdown.clone(), http_tls.clone());
            servers.spawn(async move {
                let stop = until.reached(Phase::Stopping);
                inbound::http::serve(listener, tls, router, stop).await;
                Ok(())
            });
        }

        let polls = OwnRuntime::of_polls().context("cannot start the thread of polls")?;
        parts.run(queues, &mut tasks, polls.handle(), clock);
        readiness.set_ready(true);
        Ok(Self {
            grpc,
            http,
            metrics,
            parts,
            shutdown,
            readiness,
            tasks,
            servers,
            _callers: callers,
            _polls: polls,
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
        self.parts.registry.groups()
    }

    /// Runs until `stop` is done, then leaves in order: not ready, `drain` for callers to notice, streams end, calls finish.
    ///
    /// # Errors
    /// A part of the service ended by itself; the process should end, loudly.
    pub async fn run_until(
        mut self,
        stop: impl Future<Output = ()>,
        drain: Duration,
    ) -> Result<()> {
        tokio::select! {
            () = stop => {}
            ended = self.tasks.join_next() => return unexpected(ended),
            ended = self.servers.join_next() => return unexpected(ended),
        }
        let again = shutdown::requested()?;
        tokio::pin!(again);
        tracing::info!("shutting down; a second signal stops at once");
        self.readiness.set_ready(false);
        self.shutdown.enter(Phase::Draining);
        self.parts.hand_over();
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = &mut again => return Ok(()),
        }
        self.shutdown.enter(Phase::Stopping);
        let finished = async { while self.servers.join_next().await.is_some() {} };
        tokio::select! {
            done = tokio::time::timeout(FINISH, finished) => {
                if done.is_err() {
                    tracing::warn!("calls were still in flight after {} s; closing them", FINISH.as_secs());
                }
            }
            () = &mut again => {}
        }
        self.parts.leave().await;
        Ok(())
    }
}

fn unexpected(ended: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match ended {
        Some(Ok(Err(error))) => Err(error),
        Some(Err(panic)) => Err(panic).context("a task of the service failed"),
        Some(Ok(Ok(()))) | None => bail!("a task of the service ended unexpectedly"),
    }
}
