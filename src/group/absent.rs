//! Targets of before a restart that nobody has asked for since: what is known of them waits for them.

use std::collections::{BTreeMap, btree_map};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::TargetKey;
use crate::model::time::Timestamp;
use crate::policy::target::TargetState;

/// As long as a target that is not asked for stays registered.
const WAIT: Duration = Duration::from_secs(3_600);

/// Those targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Absent {
    since: Timestamp,
    targets: BTreeMap<TargetKey, Box<TargetState>>,
}

impl Absent {
    /// Has these wait, beside those that wait already.
    pub fn leave(&mut self, at: Timestamp, mut targets: BTreeMap<TargetKey, Box<TargetState>>) {
        self.since = at;
        self.targets.append(&mut targets);
    }

    /// What is known of one that is asked for again.
    pub fn take(&mut self, key: &TargetKey) -> Option<Box<TargetState>> {
        self.targets.remove(key)
    }

    /// All of them.
    pub fn iter(&self) -> btree_map::Iter<'_, TargetKey, Box<TargetState>> {
        self.targets.iter()
    }

    /// Whether what was decided on at that time was seen since they left.
    pub fn missed(&self, decided_at: Option<Timestamp>) -> bool {
        decided_at.is_some_and(|at| at > self.since)
    }

    /// Gives up those that waited for too long.
    pub fn forget(&mut self, now: Timestamp) {
        if !self.targets.is_empty() && now.since(self.since) > WAIT {
            self.targets.clear();
        }
    }
}
