//! What is written to disk: what was learned, what happened, what arrived.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::types::{Config, StateConfig};
use crate::files::FolderLock;
use crate::journal::{JournalRules, Journals};
use crate::recording::Recording;
use crate::state::{Keeper, StateFiles};

/// Who writes; nobody where the config says nothing of it.
#[derive(Debug, Default)]
pub(super) struct DiskWriters {
    pub keeper: Option<Arc<Keeper>>,
    pub journals: Option<Journals>,
    pub recording: Option<Recording>,
}

impl DiskWriters {
    /// Starts the threads that write; the end of one is the end of the service.
    pub fn start(config: &Config, tasks: &mut JoinSet<Result<()>>) -> Result<Self> {
        let mut disk = Self::default();
        if let Some(recording) = &config.recording {
            let (recording, ended) =
                Recording::start(recording).context("recording: cannot start its thread")?;
            tasks.spawn(ends_with(ended, "recording"));
            disk.recording = Some(recording);
        }
        if let Some(StateConfig {
            dir,
            interval,
            journal,
        }) = &config.state
        {
            let lock = Arc::new(FolderLock::new(dir));
            let files = StateFiles::in_folder(Arc::clone(&lock));
            disk.keeper = Some(Keeper::new(Box::new(files), *interval));
            if journal.enabled {
                let rules = JournalRules {
                    keep: journal.keep,
                    max_bytes: journal.max_bytes.bytes(),
                };
                let (journals, ended) = Journals::start(lock, rules)
                    .context("state.journal: cannot start its thread")?;
                tasks.spawn(ends_with(ended, "the journal"));
                disk.journals = Some(journals);
            }
        }
        Ok(disk)
    }
}

async fn ends_with(thread: oneshot::Receiver<()>, what: &str) -> Result<()> {
    let _ = thread.await;
    bail!("{what} ended unexpectedly")
}
