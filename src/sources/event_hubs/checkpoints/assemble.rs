//! From blobs to what a consumer group has committed and who holds what; no input or output.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Document, of_metadata};
use super::layout::{Layout, OwnerPlace};
use super::listing::Blob;
use super::{Checkpoint, CheckpointState, Committed};
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;

/// What was learnt of the blobs under one prefix. A name in none of the maps is a blob that does not exist.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Blobs by name.
    pub blobs: BTreeMap<String, Blob>,
    /// What their content says, or why it says nothing; for layouts with content.
    pub documents: BTreeMap<String, Result<Document, String>>,
    /// What could not be asked.
    pub failures: BTreeMap<String, Failure>,
    /// The store's own clock.
    pub now: Option<Timestamp>,
}

/// Puts blobs together.
pub struct Assembly<'a> {
    /// How to read them.
    pub layout: &'a Layout,
    /// What their names begin with.
    pub prefix: &'a str,
    /// Which partitions are wanted.
    pub partitions: &'a [String],
    /// How long an ownership counts.
    pub expiry: Duration,
    /// Account and container, for texts.
    pub place: &'a str,
}

impl Assembly<'_> {
    /// What the consumer group has committed.
    pub fn committed(&self, gathered: &Gathered) -> Committed {
        let mut partitions = BTreeMap::new();
        for partition in self.partitions {
            let state = self.state(gathered, partition);
            if state != CheckpointState::Missing {
                partitions.insert(partition.clone(), state);
            }
        }
        let owners = match self.layout.owner_place() {
            OwnerPlace::Ownership => self.owners_by_blob(gathered),
            OwnerPlace::Lease => self.owners_by_lease(gathered),
            OwnerPlace::Nowhere => None,
        };
        Committed { partitions, owners }
    }

    fn state(&self, gathered: &Gathered, partition: &str) -> CheckpointState {
        let name = self.layout.checkpoint(self.prefix, partition);
        if let Some(failure) = gathered.failures.get(&name) {
            return CheckpointState::Unreadable(failure.clone());
        }
        let Some(blob) = gathered.blobs.get(&name) else {
            return CheckpointState::Missing;
        };
        let document = if self.layout.has_content() {
            let absent = Err("its content was not read".to_owned());
            gathered.documents.get(&name).cloned().unwrap_or(absent)
        } else {
            of_metadata(&blob.metadata)
        };
        match document {
            Ok(Document { position: None, .. }) => CheckpointState::Missing,
            Ok(Document {
                position: Some((sequence_number, offset)),
                ..
            }) => CheckpointState::Present(Checkpoint {
                sequence_number,
                offset,
                written_at: blob.modified,
            }),
            Err(reason) => CheckpointState::Unreadable(self.unreadable(&name, &reason)),
        }
    }

    fn unreadable(&self, name: &str, reason: &str) -> Failure {
        let text = format!(
            "{}, blob {name}: this is no checkpoint: {reason}: check checkpoints.strategy, or delete the blob",
            self.place
        );
        Failure::new(FailureKind::Protocol, text)
    }

    /// `None` if no ownership was ever recorded, or if one could not be asked: then nobody can tell.
    fn owners_by_blob(&self, gathered: &Gathered) -> Option<BTreeMap<String, String>> {
        let now = gathered.now?;
        let (mut owners, mut is_recorded) = (BTreeMap::new(), false);
        for partition in self.partitions {
            let name = self.layout.ownership(self.prefix, partition)?;
            if gathered.failures.contains_key(&name) {
                return None;
            }
            let Some(blob) = gathered.blobs.get(&name) else {
                continue;
            };
            is_recorded = true;
            let owner = blob
                .metadata
                .get("ownerid")
                .filter(|owner| !owner.is_empty());
            let is_young = blob.modified.is_some_and(|at| now.since(at) < self.expiry);
            if let (Some(owner), true) = (owner, is_young) {
                owners.insert(partition.clone(), owner.clone());
            }
        }
        is_recorded.then_some(owners)
    }

    /// `None` if no lease blob exists, or if one that is leased does not say by whom.
    fn owners_by_lease(&self, gathered: &Gathered) -> Option<BTreeMap<String, String>> {
        let (mut owners, mut is_recorded) = (BTreeMap::new(), false);
        for partition in self.partitions {
            let name = self.layout.checkpoint(self.prefix, partition);
            let blob = gathered.blobs.get(&name);
            if blob.is_none() && !gathered.failures.contains_key(&name) {
                continue;
            }
            let document = gathered.documents.get(&name)?.as_ref().ok()?;
            is_recorded = true;
            if blob.is_some_and(|blob| blob.leased)
                && let Some(owner) = &document.owner
            {
                owners.insert(partition.clone(), owner.clone());
            }
        }
        is_recorded.then_some(owners)
    }
}

/// When the newest of the checkpoints was written; `None` if there is none.
pub fn newest(committed: &Committed) -> Option<Timestamp> {
    let written = committed
        .partitions
        .values()
        .filter_map(|state| match state {
            CheckpointState::Present(checkpoint) => checkpoint.written_at,
            _ => None,
        });
    written.max()
}

/// Whether nothing at all was found.
pub fn is_empty(committed: &Committed) -> bool {
    committed.partitions.is_empty() && committed.owners.is_none()
}
