//! The parts of a running service, and what runs in each of them for ever.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::adapters::grpc::stats::RpcStats;
use crate::adapters::views::{CertificateView, Views};
use crate::adapters::webhook::Webhook;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::collector::replicas::watch_replicas;
use crate::collector::signals::watch_signals;
use crate::collector::{Outlets, keep_collecting};
use crate::config::types::Config;
use crate::journal::Journals;
use crate::model::capacity::CapacityRules;
use crate::model::time::Moment;
use crate::publish::Group;
use crate::publish::archive::Archive;
use crate::publish::notices::{Notice, Notices};
use crate::recording::Recording;
use crate::registry::Registry;
use crate::replication::Members;
use crate::shutdown::FINISH;
use crate::signals::Prometheus;
use crate::state::Keeper;

use super::disk::DiskWriters;
use super::source_views;
use super::sources::OpenSources;

/// How often unused targets are looked for.
const EXPIRY_CHECK: Duration = Duration::from_secs(10);

/// The parts; they outlive a configuration.
#[derive(Debug)]
pub(super) struct ServiceParts {
    /// Groups and targets.
    pub registry: Arc<Registry>,
    /// The opened sources.
    pub sources: OpenSources,
    cluster: Arc<Cluster>,
    prometheus: Arc<Prometheus>,
    webhook: Arc<Webhook>,
    notices: Notices,
    keeper: Option<Arc<Keeper>>,
    journals: Option<Journals>,
    recording: Option<Recording>,
    members: Option<Arc<Members>>,
}

/// What comes out of the parts to be worked on.
pub(super) struct Queues {
    /// Groups to be polled.
    started: mpsc::UnboundedReceiver<Arc<Group>>,
    /// News to be delivered.
    news: mpsc::Receiver<Notice>,
}

impl ServiceParts {
    /// Everything that the config asks for; nothing runs yet.
    pub fn new(
        config: Config,
        sources: OpenSources,
        rules: CapacityRules,
        DiskWriters {
            keeper,
            journals,
            recording,
        }: DiskWriters,
        members: Option<Arc<Members>>,
        clock: Clock,
    ) -> (Arc<Self>, Queues) {
        let (notices, news) = Notices::new();
        let cluster = Cluster::new(&config.kubernetes, clock);
        let prometheus = Prometheus::new(config.prometheus.clone(), clock);
        let webhook = Webhook::new(config.webhook.clone(), clock);
        let (registry, started) = Registry::shared(config, rules, clock.now(), members.is_some());
        registry.read_objects(cluster.poll_interval().is_some());
        let parts = Self {
            registry: Arc::new(registry),
            sources,
            cluster: Arc::new(cluster),
            prometheus: Arc::new(prometheus),
            webhook: Arc::new(webhook),
            notices,
            keeper,
            journals,
            recording,
            members,
        };
        (Arc::new(parts), Queues { started, news })
    }

    /// What adapters read of them, and of KEDA's calls.
    pub fn views(&self, rpcs: Arc<RpcStats>, certificate: CertificateView, clock: Clock) -> Views {
        Views {
            rpcs,
            certificate,
            sources: source_views::of(self.sources.clone(), clock),
            cluster: source_views::of_cluster(self.cluster.clone()),
            prometheus: source_views::of_prometheus(self.prometheus.clone()),
            recording: source_views::of_recording(self.recording.clone()),
            notifications: source_views::of_notifications(
                self.webhook.clone(),
                self.notices.clone(),
            ),
            members: self.members.clone(),
            state: source_views::of_state(self.keeper.clone(), self.journals.clone()),
            archive: self.journals.clone().map(Archive::of),
        }
    }

    /// Starts what runs for ever; polls in a runtime of their own.
    pub fn run(
        &self,
        queues: Queues,
        tasks: &mut JoinSet<Result<()>>,
        polls: &Handle,
        clock: Clock,
    ) {
        let outlets = Outlets {
            recording: self.recording.clone(),
            notices: Some(self.notices.clone()),
            state: self.keeper.clone(),
            journals: self.journals.clone(),
            members: self.members.clone(),
        };
        let collecting = collect_all(queues.started, self.sources.clone(), outlets, clock);
        tasks.spawn_on(collecting, polls);
        tasks.spawn(expire(self.registry.clone(), clock));
        let replicas = watch_replicas(self.registry.clone(), self.cluster.clone(), clock);
        let signals = watch_signals(self.registry.clone(), self.prometheus.clone(), clock);
        let deliveries = self.webhook.clone().deliver(queues.news);
        tasks.spawn(ended(replicas));
        tasks.spawn(ended(signals));
        tasks.spawn(ended(deliveries));
    }

    /// Puts another configuration in force, except for what takes a restart.
    pub fn change(&self, before: &Config, now: &Config, clock: Clock) {
        if before.server != now.server {
            tracing::warn!(
                "server: changes to addresses and switches take effect at the next start"
            );
        }
        if before.state != now.state {
            tracing::warn!("state: changes take effect at the next start");
        }
        if before.recording != now.recording {
            tracing::warn!("recording: changes take effect at the next start");
        }
        if before.kubernetes != now.kubernetes {
            self.cluster.reconfigure(&now.kubernetes);
        }
        if before.prometheus != now.prometheus {
            self.prometheus.reconfigure(now.prometheus.clone());
        }
        if before.webhook != now.webhook {
            self.webhook.reconfigure(now.webhook.clone());
        }
        let replaced = self.sources.change(&before.sources, &now.sources);
        self.registry
            .reconfigure(now.clone(), &replaced, clock.now());
        tracing::info!(
            sources = now.sources.len(),
            groups = now.groups.len(),
            "config reloaded"
        );
    }

    /// When the process is to end: has other replicas take over what this one leads.
    pub fn hand_over(&self) {
        if let Some(members) = &self.members {
            members.leave();
        }
    }

    /// At the end of the process: writes what every group has learned, so that a restart costs nothing of it.
    pub async fn leave(&self) {
        tokio::join!(self.keep_all(), self.finish_journals());
        let waiting = self.notices.waiting() + usize::from(self.webhook.is_busy());
        if waiting > 0 {
            tracing::warn!(waiting, "some incident notifications were not delivered");
        }
    }

    async fn keep_all(&self) {
        let Some(keeper) = self.keeper.clone() else {
            return;
        };
        let groups = self.registry.groups();
        let keeping = tokio::task::spawn_blocking(move || {
            for group in groups {
                if let Some(at) = group.decided_at() {
                    let wall = group.snapshot().facts.wall;
                    let saved_at = Moment { at, wall };
                    keeper.save(&group.definition().key, saved_at, &group.remembered());
                }
            }
        });
        if tokio::time::timeout(FINISH, keeping).await.is_err() {
            tracing::warn!("the latest learned state could not be saved before shutdown");
        }
    }

    async fn finish_journals(&self) {
        let Some(journals) = &self.journals else {
            return;
        };
        if tokio::time::timeout(FINISH, journals.flush())
            .await
            .is_err()
        {
            tracing::warn!(
                "the latest events could not be written into the journal before shutdown"
            );
        }
    }
}

/// Starts a collector for every group that comes; fails if one of them is ended. A group whose source a reload has just taken away
/// is on its way out itself.
async fn collect_all(
    mut started: mpsc::UnboundedReceiver<Arc<Group>>,
    sources: OpenSources,
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
                    Some(opened) => drop(collectors.spawn(keep_collecting(group, opened, outlets.clone(), clock))),
                    None => tracing::warn!(group = definition.name, source, "the source no longer exists; the group is not polled"),
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

/// None of these ends by itself; if one does, that is an error.
async fn ended(part: impl Future<Output = ()>) -> Result<()> {
    part.await;
    Ok(())
}

#[cfg(test)]
mod tests;
