//! From blobs to what a consumer group has committed and who holds what; no input or output.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checkpoint::{Checkpoint, CheckpointState};
use super::document::{Document, Mark, of_metadata};
use super::layout::{OwnerPlace, Site};
use super::listing::Blob;
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;

/// What was learnt of a consumer group's blobs. A name in none of the maps is a blob that does not exist.
#[derive(Debug, Default)]
pub struct GatheredBlobs {
    /// Blobs by name.
    pub blobs: BTreeMap<String, Blob>,
    /// What their content says, or why it says nothing; for layouts with content.
    pub documents: BTreeMap<String, Result<Document, String>>,
    /// What could not be asked.
    pub failures: BTreeMap<String, Failure>,
    /// The store's own clock.
    pub now: Option<Timestamp>,
}

/// What one site says of a consumer group.
#[derive(Debug, Default)]
pub struct Findings {
    /// Checkpoints by partition; one that says that nothing is committed yet is not among them.
    pub checkpoints: BTreeMap<String, CheckpointFound>,
    /// Unexpired owners by partition; `None` where it records none.
    pub owners: Option<BTreeMap<String, String>>,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFound {
    /// What it says.
    pub state: CheckpointState,
    /// When its blob was written.
    pub written_at: Option<Timestamp>,
}

/// Puts the blobs of one site together.
pub struct Assembly<'a> {
    /// Where they are.
    pub site: &'a Site,
    /// Which partitions are wanted.
    pub partitions: &'a [String],
    /// How long an ownership counts.
    pub expiry: Duration,
    /// Account and container, for texts.
    pub place: &'a str,
}

impl Assembly<'_> {
    /// What the site says.
    pub fn findings(&self, gathered: &GatheredBlobs) -> Findings {
        let found =
            |partition: &String| Some((partition.clone(), self.found(gathered, partition)?));
        let owners = match self.site.layout.owner_place() {
            OwnerPlace::Ownership => self.owners_by_blob(gathered),
            OwnerPlace::Lease => self.owners_by_lease(gathered),
            OwnerPlace::Nowhere => None,
        };
        Findings {
            checkpoints: self.partitions.iter().filter_map(found).collect(),
            owners,
        }
    }

    fn found(&self, gathered: &GatheredBlobs, partition: &str) -> Option<CheckpointFound> {
        let name = self.site.checkpoint(partition);
        let blob = gathered.blobs.get(&name);
        let written_at = blob.and_then(|blob| blob.modified);
        let state = match gathered.failures.get(&name) {
            Some(failure) => CheckpointState::Unreadable(failure.clone()),
            None => self.state(gathered, &name, blob?)?,
        };
        Some(CheckpointFound { state, written_at })
    }

    fn state(&self, gathered: &GatheredBlobs, name: &str, blob: &Blob) -> Option<CheckpointState> {
        let document = if self.site.layout.has_content() {
            let absent = Err("its content was not read".to_owned());
            gathered.documents.get(name).cloned().unwrap_or(absent)
        } else {
            of_metadata(&blob.metadata)
        };
        let written_at = blob.modified;
        match document {
            Ok(document) => match document.position? {
                Mark::Number(sequence_number, offset) => {
                    Some(CheckpointState::Present(Checkpoint {
                        sequence_number,
                        offset,
                        written_at,
                    }))
                }
                Mark::Offset(offset) => Some(CheckpointState::AtOffset { offset, written_at }),
            },
            Err(reason) => Some(CheckpointState::Unreadable(self.unreadable(name, &reason))),
        }
    }

    fn unreadable(&self, name: &str, reason: &str) -> Failure {
        let text = format!(
            "{}, blob {name}: not a checkpoint: {reason}: check checkpoints.strategy, or delete the blob",
            self.place
        );
        Failure::new(FailureKind::Protocol, text)
    }

    /// `None` if no ownership was ever recorded, or if one could not be asked: then nobody can tell.
    fn owners_by_blob(&self, gathered: &GatheredBlobs) -> Option<BTreeMap<String, String>> {
        let now = gathered.now?;
        let (mut owners, mut is_recorded) = (BTreeMap::new(), false);
        for partition in self.partitions {
            let name = self.site.ownership(partition)?;
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
    fn owners_by_lease(&self, gathered: &GatheredBlobs) -> Option<BTreeMap<String, String>> {
        let (mut owners, mut is_recorded) = (BTreeMap::new(), false);
        for partition in self.partitions {
            let name = self.site.checkpoint(partition);
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
