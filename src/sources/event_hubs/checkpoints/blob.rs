//! Checkpoints and owners in Azure Blob Storage.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::assemble::{Assembly, is_empty, newest};
use super::gather::{Gatherer, Gathering, Kept};
use super::layout::{Layout, is_plain};
use super::session::{Basis, Session};
use super::{CheckpointStore, Committed, GroupMemory, failure};
use crate::config::types::{BlobAuth, CheckpointsConfig};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::BoxFuture;
use crate::sources::event_hubs::identity::{Tokens, blob_scope};

/// Readings between looks at the other spelling of a group's path.
const READINGS_BETWEEN_LOOKS: u32 = 40;

/// The checkpoints of one event hub in a blob container.
pub struct BlobCheckpoints {
    config: CheckpointsConfig,
    layout: Layout,
    deadline: Duration,
    tokens: Option<Arc<Tokens>>,
    requests: Arc<AtomicU64>,
    session: Mutex<Option<Arc<Session>>>,
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
            layout: Layout::new(config, namespace, event_hub),
            config: config.clone(),
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
                    format!("{name:?} can be no consumer group or partition of an event hub");
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

    /// The session, made anew if what it rests on has changed.
    fn session(&self) -> Result<Arc<Session>, Failure> {
        let basis = Basis::read(&self.config)?;
        let mut slot = locked(&self.session);
        if let Some(session) = slot.as_ref().filter(|session| session.rests_on(&basis)) {
            return Ok(Arc::clone(session));
        }
        *slot = None;
        let opened = Arc::new(Session::open(
            &self.config,
            self.layout.container(),
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
        session: &Session,
        group: &str,
        partitions: &[String],
        memory: &mut GroupMemory,
        until: Instant,
    ) -> Result<Committed, Failure> {
        let gatherer = Gatherer {
            sender: &session.sender,
            layout: &self.layout,
            partitions,
            place: &session.place,
            until,
        };
        let reading = Reading {
            store: self,
            session,
            gatherer,
        };
        reading.spellings(group, memory).await
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
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// One reading of one group.
struct Reading<'a> {
    store: &'a BlobCheckpoints,
    session: &'a Session,
    gatherer: Gatherer<'a>,
}

impl Reading<'_> {
    /// Looks where the group was found last, then under the other spelling if nothing is there any more. Now and then it
    /// looks at both and takes what was written last: a consumer on another SDK may have taken over.
    async fn spellings(&self, group: &str, memory: &mut GroupMemory) -> Result<Committed, Failure> {
        let prefixes = self.store.layout.prefixes(group);
        let both = memory.readings >= READINGS_BETWEEN_LOOKS;
        let first = memory.spelling.min(prefixes.len() - 1);
        let mut best = self.look(&prefixes[first], &mut memory.kept).await?;
        for (spelling, prefix) in prefixes.iter().enumerate() {
            if spelling == first || !(both || is_empty(&best)) {
                continue;
            }
            let other = match self.look(prefix, &mut memory.kept).await {
                Ok(other) => other,
                Err(failure) if is_empty(&best) => return Err(failure),
                Err(_) => continue,
            };
            if !is_empty(&other) && (is_empty(&best) || newest(&other) > newest(&best)) {
                best = other;
                memory.spelling = spelling;
            }
        }
        memory.readings = if both { 0 } else { memory.readings + 1 };
        Ok(best)
    }

    async fn look(&self, prefix: &str, kept: &mut Kept) -> Result<Committed, Failure> {
        let gathering = self.gather(prefix, kept).await?;
        let Gathering::Found(gathered) = gathering else {
            return self.no_container();
        };
        kept.retain(|name, _| !name.starts_with(prefix) || gathered.blobs.contains_key(name));
        let assembly = Assembly {
            layout: &self.store.layout,
            prefix,
            partitions: self.gatherer.partitions,
            expiry: self.store.config.ownership_expiry,
            place: &self.session.place,
        };
        Ok(assembly.committed(&gathered))
    }

    async fn gather(&self, prefix: &str, kept: &mut Kept) -> Result<Gathering, Failure> {
        if self.session.skips_listing() {
            return self.gatherer.ask_each(prefix, kept).await;
        }
        let refusal = match self.gatherer.list(prefix, kept).await? {
            Gathering::NotListed(refusal) => refusal,
            listed => return Ok(listed),
        };
        let asked = self.gatherer.ask_each(prefix, kept).await;
        // Whoever may not read either hears of the refusal that names both rights.
        let asked = asked.map_err(|failure| match failure.kind {
            FailureKind::Auth => refusal.clone(),
            _ => failure,
        })?;
        tracing::info!(%refusal, "checkpoints are read blob by blob");
        self.session.forgo_listing();
        Ok(asked)
    }

    /// A container that comes into being with the first commit may be missing; any other may not.
    fn no_container(&self) -> Result<Committed, Failure> {
        if self.store.layout.container_is_optional() {
            return Ok(Committed::default());
        }
        Err(failure::of_answer(
            &self.session.place,
            404,
            "ContainerNotFound",
        ))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
