//! Follows the config file: on SIGHUP and whenever its contents change. A bad file changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::config::MOST_BYTES;
use crate::config::types::Config;
use crate::files;

use super::parts::ServiceParts;

/// How often the file is looked at. By its contents: a mounted ConfigMap changes by a link, not by a write.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Follows `path` for ever; `config` is what is in force.
///
/// # Errors
/// The signal handler cannot be installed; a change could not be put in force.
pub(super) async fn follow(
    path: PathBuf,
    mut config: Config,
    parts: Arc<ServiceParts>,
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
                config = put_in_force(&parts, config, changed, clock).await?;
            }
            Err(errors) => tracing::error!(
                "the changed config is invalid; the previous one stays in force: {errors}"
            ),
        }
    }
}

/// Not on a thread of the runtime, which has calls to answer: large groups whose definition changed are copied.
async fn put_in_force(
    parts: &Arc<ServiceParts>,
    before: Config,
    now: Config,
    clock: Clock,
) -> Result<Config> {
    let parts = Arc::clone(parts);
    let changing = tokio::task::spawn_blocking(move || {
        parts.change(&before, &now, clock);
        now
    });
    changing.await.context("a change of the config failed")
}

/// `None` while the file cannot be read, as in the moment it is replaced.
async fn contents(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || files::read(&path, MOST_BYTES).ok())
        .await
        .ok()
        .flatten()
}
