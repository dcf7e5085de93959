//! What a group learned over hours and weeks: what a restart must not cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::capacity::Capacity;
use crate::model::forecast::Forecast;
use crate::model::identity::PartitionId;
use crate::model::normal::{GroupNormal, PartitionNormal};

use super::GroupModel;

/// What was learned; `None`, or no such partition: learned again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// What one consumer can do.
    pub capacity: Option<Capacity>,
    /// When how much arrives.
    pub forecast: Option<Forecast>,
    /// What is normal for the group.
    pub normal: Option<GroupNormal>,
    /// What is normal for each partition.
    pub partitions: BTreeMap<PartitionId, Arc<PartitionNormal>>,
}

impl GroupModel {
    /// What was learned; of partitions without a copy.
    pub fn learned(&self) -> Learned {
        let partitions = self.partitions.iter();
        Learned {
            capacity: Some(self.capacity.clone()),
            forecast: Some(self.forecast.clone()),
            normal: Some(self.normal.clone()),
            partitions: partitions
                .filter_map(|(id, p)| Some((id.clone(), p.normal.clone()?)))
                .collect(),
        }
    }

    /// Goes on with what was learned before a restart, by the rules of now. To be called before anything was observed.
    pub fn restore(&mut self, learned: Learned) {
        if let Some(capacity) = learned.capacity {
            self.capacity.restore(capacity);
        }
        if let Some(forecast) = learned.forecast.filter(Forecast::is_whole) {
            self.forecast = forecast;
        }
        if let Some(normal) = learned.normal {
            self.normal = normal.under_todays_rules();
        }
        for (id, normal) in learned.partitions {
            // Those that are not there any more go with the first observation.
            let partition = Arc::make_mut(self.partitions.entry(id).or_default());
            let normal = Arc::unwrap_or_clone(normal);
            partition.normal = Some(Arc::new(normal.under_todays_rules()));
        }
    }
}
