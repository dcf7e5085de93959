//! Checkpoints and owners in Azure Blob Storage.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::gather::Gatherer;
use super::layout::{Layout, Names, is_plain};
use super::look::Looker;
use super::reading::CheckpointReading;
use super::session::{AccountBasis, AccountSession};
use super::{CheckpointStore, Committed, GroupMemory};
use crate::config::types::{BlobAuth, CheckpointsConfig};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::BoxFuture;
use crate::sources::entra::{Tokens, blob_scope};

/// The checkpoints of one event hub in a blob container.
pub struct BlobCheckpoints {
    config: CheckpointsConfig,
    namespace: String,
    event_hub: String,
    deadline: Duration,
    tokens: Option<Arc<Tokens>>,
    requests: Arc<AtomicU64>,
    session: Mutex<Option<Arc<AccountSession>>>,
}

impl BlobCheckpoints {
    /// Connects at first use. `deadline` bounds one reading in whole, whatever number of requests it takes.
    pub fn new(
        config: &CheckpointsConfig,
        namespace: &str,
        event_hub: &str,
        deadline: Duration,
    ) -> Self {
        let tokens = match &config.auth {
            BlobAuth::Identity(identity) => Some(Arc::new(Tokens::new(
                identity.clone(),
                blob_scope(identity),
            ))),
            _ => None,
        };
        Self {
            config: config.clone(),
            namespace: namespace.to_owned(),
            event_hub: event_hub.to_owned(),
            deadline,
            tokens,
            requests: Arc::default(),
            session: Mutex::default(),
        }
    }

    /// Reads with the secret of now, and once more if it was refused and has been replaced meanwhile.
    async fn read_group(
        &self,
        group: &str,
        partitions: &[String],
        memory: &mut GroupMemory,
    ) -> Result<Committed, Failure> {
        let until = Instant::now() + self.deadline;
        for name in partitions.iter().map(String::as_str).chain([group]) {
            if !is_plain(name) {
                let text =
                    format!("{name:?} is not a valid consumer group or partition of an event hub");
                return Err(Failure::new(FailureKind::Misconfigured, text));
            }
        }
        let session = self.session()?;
        let outcome = self
            .read_with(&session, group, partitions, memory, until)
            .await;
        if !matches!(&outcome, Err(failure) if failure.kind == FailureKind::Auth) {
            return outcome;
        }
        if let Some(tokens) = &self.tokens {
            tokens.distrust();
            return outcome;
        }
        let renewed = self.session()?;
        if Arc::ptr_eq(&session, &renewed) {
            return outcome;
        }
        self.read_with(&renewed, group, partitions, memory, until)
            .await
    }

    /// The session, recreated if what it rests on has changed.
    fn session(&self) -> Result<Arc<AccountSession>, Failure> {
        let basis = AccountBasis::read(&self.config)?;
        let mut slot = locked(&self.session);
        if let Some(session) = slot.as_ref().filter(|session| session.rests_on(&basis)) {
            return Ok(Arc::clone(session));
        }
        *slot = None;
        let opened = Arc::new(AccountSession::open(
            &self.config,
            self.config.container_name(),
            basis,
            self.tokens.clone(),
            Arc::clone(&self.requests),
            self.deadline,
        )?);
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    async fn read_with(
        &self,
        session: &AccountSession,
        group: &str,
        partitions: &[String],
        memory: &mut GroupMemory,
        until: Instant,
    ) -> Result<Committed, Failure> {
        let names = Names {
            namespace: &self.namespace,
            event_hub: &self.event_hub,
            group,
        };
        let gatherer = Gatherer {
            sender: &session.sender,
            container: self.config.container_name(),
            place: &session.place,
            until,
        };
        let wanted = Layout::of(self.config.strategy);
        let looker = Looker {
            session,
            gatherer,
            names,
            partitions,
            wanted,
        };
        let reading = CheckpointReading {
            config: &self.config,
            looker,
        };
        reading.read(memory).await
    }
}

impl CheckpointStore for BlobCheckpoints {
    fn read<'a>(
        &'a self,
        consumer_group: &'a str,
        partitions: &'a [String],
        memory: &'a mut GroupMemory,
    ) -> BoxFuture<'a, Result<Committed, Failure>> {
        Box::pin(self.read_group(consumer_group, partitions, memory))
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for BlobCheckpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobCheckpoints")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
