//! Follows the config file: on SIGHUP and whenever its contents change. A bad file changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::types::Config;
use crate::registry::Registry;

use super::sources::Sources;

/// How often the file is looked at. By its contents: a mounted ConfigMap changes by a link, not by a write.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Follows `path` for ever; `config` is what is in force.
///
/// # Errors
/// The signal handler cannot be installed.
pub async fn follow(
    path: PathBuf,
    mut config: Config,
    registry: Arc<Registry>,
    sources: Sources,
    cluster: Arc<Cluster>,
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
                if config.kubernetes != changed.kubernetes {
                    cluster.reconfigure(&changed.kubernetes);
                }
                apply(&config, &changed, &registry, &sources, clock);
                config = changed;
            }
            Err(errors) => tracing::error!(
                "the config changed and is wrong; the one before stays in force: {errors}"
            ),
        }
    }
}

fn apply(before: &Config, now: &Config, registry: &Registry, sources: &Sources, clock: Clock) {
    if before.server != now.server {
        tracing::warn!("server: changed addresses and switches take effect at the next start");
    }
    if before.recording != now.recording {
        tracing::warn!("recording: a change takes effect at the next start");
    }
    let replaced = sources.change(&before.sources, &now.sources);
    registry.reconfigure(now.clone(), &replaced, clock.now());
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
