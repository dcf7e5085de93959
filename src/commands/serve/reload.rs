//! Follows the config file: on SIGHUP and whenever its contents change. A bad file changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::adapters::webhook::Webhook;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::types::Config;
use crate::registry::Registry;
use crate::signals::Prometheus;

use super::sources::Sources;

/// How often the file is looked at. By its contents: a mounted ConfigMap changes by a link, not by a write.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a reload changes.
pub(super) struct Parts {
    /// Groups and targets.
    pub registry: Arc<Registry>,
    /// The opened sources.
    pub sources: Sources,
    /// The Kubernetes API.
    pub cluster: Arc<Cluster>,
    /// The Prometheus that signals are asked of.
    pub prometheus: Arc<Prometheus>,
    /// The webhook.
    pub webhook: Arc<Webhook>,
}

/// Follows `path` for ever; `config` is what is in force.
///
/// # Errors
/// The signal handler cannot be installed.
pub(super) async fn follow(
    path: PathBuf,
    mut config: Config,
    parts: Parts,
    clock: Clock,
) -> Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut seen = contents(&path).await;
    loop {
        let asked = tokio::select! {
            _ = hang_up.recv() => true,
            _ = look.tick() => false,
        };
        let now = contents(&path).await;
        if now == seen && !asked {
            continue;
        }
        seen = now;
        match Config::load(&path) {
            Ok(changed) => {
                apply(&config, &changed, &parts, clock);
                config = changed;
            }
            Err(errors) => tracing::error!(
                "the config changed and is wrong; the one before stays in force: {errors}"
            ),
        }
    }
}

fn apply(before: &Config, now: &Config, parts: &Parts, clock: Clock) {
    if before.server != now.server {
        tracing::warn!("server: changed addresses and switches take effect at the next start");
    }
    if before.state != now.state {
        tracing::warn!("state: a change takes effect at the next start");
    }
    if before.recording != now.recording {
        tracing::warn!("recording: a change takes effect at the next start");
    }
    if before.kubernetes != now.kubernetes {
        parts.cluster.reconfigure(&now.kubernetes);
    }
    if before.prometheus != now.prometheus {
        parts.prometheus.reconfigure(now.prometheus.clone());
    }
    if before.webhook != now.webhook {
        parts.webhook.reconfigure(now.webhook.clone());
    }
    let replaced = parts.sources.change(&before.sources, &now.sources);
    parts
        .registry
        .reconfigure(now.clone(), &replaced, clock.now());
    tracing::info!(
        sources = now.sources.len(),
        groups = now.groups.len(),
        "config reloaded"
    );
}

/// `None` while the file cannot be read, as in the moment it is replaced.
async fn contents(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || std::fs::read(path).ok())
        .await
        .ok()
        .flatten()
}
