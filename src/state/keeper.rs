//! When state is read and written, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::group::remembered::Remembered;
use crate::model::identity::GroupKey;
use crate::model::time::{Moment, Timestamp};

use super::StateStore;

/// How keeping goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeeperStats {
    /// Writes that failed.
    pub failures: u64,
    /// When a write last succeeded.
    pub saved_at: Option<Timestamp>,
}

/// Keeps the state of groups, each about once per interval. Its methods block: not for the threads of the runtime.
pub struct Keeper {
    store: Box<dyn StateStore>,
    interval: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    stats: KeeperStats,
    /// When each group is due, and whether it is being written.
    groups: BTreeMap<GroupKey, (Timestamp, bool)>,
    failing: bool,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// Keeps state there, each group about once per interval.
    pub fn new(store: Box<dyn StateStore>, interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            interval,
            inner: Mutex::default(),
        })
    }

    /// What is kept of a group, if it can be used; says what cannot.
    pub fn load(&self, name: &str, group: &GroupKey, now: Moment) -> Option<Remembered> {
        let loaded = match self.store.load(group, now) {
            Ok(loaded) => loaded?,
            Err(error) => {
                tracing::warn!(
                    group = name,
                    "the saved state cannot be used; learning starts over: {error}"
                );
                return None;
            }
        };
        for problem in &loaded.problems {
            tracing::warn!(
                group = name,
                "part of the saved state cannot be used; learning starts over for it: {problem}"
            );
        }
        let age_seconds = now.at.since(loaded.saved_at).as_secs();
        tracing::info!(group = name, age_seconds, "saved state read");
        Some(loaded.remembered)
    }

    /// Has what is kept of a group read no more.
    pub fn set_aside(&self, group: &GroupKey) {
        if let Err(error) = self.store.set_aside(group) {
            tracing::warn!("the unusable state file cannot be moved aside: {error}");
        }
    }

    /// Whether a group is to be saved now; who is told so does it.
    pub fn is_due(&self, group: &GroupKey, now: Timestamp) -> bool {
        let mut inner = self.inner();
        match inner.groups.get_mut(group) {
            None => {
                let first = (now.plus(self.interval), false);
                inner.groups.insert(group.clone(), first);
                false
            }
            Some((due, busy)) => {
                let is_due = !*busy && *due <= now;
                *busy |= is_due;
                is_due
            }
        }
    }

    /// Saves a group. Logs the first failure and the recovery, not every failure in between.
    pub fn save(&self, group: &GroupKey, now: Moment, state: &Remembered) {
        let (at, saved) = (now.at, self.store.save(group, now, state));
        let mut inner = self.inner();
        let next = (at.plus(self.interval), false);
        inner.groups.insert(group.clone(), next);
        let failing = saved.is_err();
        let before = std::mem::replace(&mut inner.failing, failing);
        match saved {
            Ok(()) => {
                inner.stats.saved_at = Some(at);
                if before {
                    tracing::info!("saving the learned state works again");
                }
            }
            Err(error) => {
                inner.stats.failures += 1;
                if !before {
                    tracing::warn!(
                        "the learned state cannot be saved; everything else continues: {error}"
                    );
                }
            }
        }
    }

    /// Counts that the disk did not answer.
    pub fn note_failure(&self) {
        self.inner().stats.failures += 1;
    }

    /// Forgets when a group is due: nobody watches it any more.
    pub fn retire(&self, group: &GroupKey) {
        self.inner().groups.remove(group);
    }

    /// How keeping goes.
    pub fn stats(&self) -> KeeperStats {
        self.inner().stats
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
