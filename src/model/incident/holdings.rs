//! Since when each consumer holds what it holds now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::identity::PartitionId;
use crate::model::time::Timestamp;

/// What each holds, and since when it is exactly that. At the first look it always was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Holdings {
    by_holder: BTreeMap<String, (BTreeSet<PartitionId>, Option<Timestamp>)>,
    looked: bool,
}

impl Holdings {
    /// Takes in a poll.
    pub(super) fn observe(&mut self, at: Timestamp, facts: &GroupFacts) {
        let mut now: BTreeMap<&str, BTreeSet<PartitionId>> = BTreeMap::new();
        for (id, partition) in &facts.partitions {
            if let Some(owner) = &partition.owner {
                now.entry(owner).or_default().insert(id.clone());
            }
        }
        let since = self.looked.then_some(at);
        self.looked = true;
        self.by_holder
            .retain(|name, _| now.contains_key(name.as_str()));
        for (name, held) in now {
            match self.by_holder.get_mut(name) {
                Some((before, _)) if *before == held => {}
                Some(other) => *other = (held, since),
                None => {
                    self.by_holder.insert(name.to_owned(), (held, since));
                }
            }
        }
    }

    /// When a consumer got or lost a partition last; `None`: not since we watch.
    pub(super) fn changed_at(&self, holder: &str) -> Option<Timestamp> {
        self.by_holder.get(holder)?.1
    }
}
