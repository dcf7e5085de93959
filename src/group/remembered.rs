//! What is kept of a group over a restart, in sections that are read one by one: what another version wrote, or what is damaged,
//! is learned anew and costs nothing of what stands beside it.

mod plausible;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::capacity::Capacity;
use crate::model::forecast::Forecast;
use crate::model::group::Learned;
use crate::model::identity::PartitionId;
use crate::model::incident::Incidents;
use crate::model::normal::{GroupNormal, PartitionNormal};

use plausible::Plausible;

use super::held_target::HeldTargets;

/// Of the layout and the meaning of every section. A change of either counts it up for that section.
const CAPACITY: (&str, u32) = ("capacity", 1);
const FORECAST: (&str, u32) = ("forecast", 1);
const NORMAL: (&str, u32) = ("normal", 1);
const PARTITIONS: (&str, u32) = ("partitions", 1);
const INCIDENTS: (&str, u32) = ("incidents", 1);
const TARGETS: (&str, u32) = ("targets", 1);

/// What is kept of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// What its model learned.
    pub learned: Learned,
    /// What happened to it, with what that is judged by.
    pub incidents: Option<Incidents>,
    /// What holds its targets' answers up.
    pub targets: Option<HeldTargets>,
}

/// One part of it with its version.
#[derive(Serialize)]
struct VersionedPart<'a, T> {
    version: u32,
    state: &'a T,
}

/// Every part as it is written, without a copy in between: partitions may be many.
#[derive(Serialize)]
pub struct Written<'a> {
    capacity: Option<VersionedPart<'a, Capacity>>,
    forecast: Option<VersionedPart<'a, Forecast>>,
    normal: Option<VersionedPart<'a, GroupNormal>>,
    partitions: Option<VersionedPart<'a, BTreeMap<PartitionId, Arc<PartitionNormal>>>>,
    incidents: Option<VersionedPart<'a, Incidents>>,
    targets: Option<VersionedPart<'a, HeldTargets>>,
}

/// One part in a form that can be read whatever its version.
#[derive(Deserialize)]
pub struct Section<'a> {
    version: u32,
    #[serde(borrow)]
    state: &'a RawValue,
}

/// Every part by name.
pub type Sections<'a> = BTreeMap<&'a str, Option<Section<'a>>>;

impl Remembered {
    /// In sections.
    pub fn sections(&self) -> Written<'_> {
        let learned = &self.learned;
        Written {
            capacity: part(CAPACITY, learned.capacity.as_ref()),
            forecast: part(FORECAST, learned.forecast.as_ref()),
            normal: part(NORMAL, learned.normal.as_ref()),
            partitions: part(PARTITIONS, Some(&learned.partitions)),
            incidents: part(INCIDENTS, self.incidents.as_ref()),
            targets: part(TARGETS, self.targets.as_ref()),
        }
    }

    /// From sections, with what could not be used and why.
    pub fn read(mut sections: Sections<'_>) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut take = Taking {
            sections: &mut sections,
            problems: &mut problems,
        };
        let remembered = Self {
            learned: Learned {
                capacity: take.one(CAPACITY),
                forecast: take.one(FORECAST),
                normal: take.one(NORMAL),
                partitions: take.one(PARTITIONS).unwrap_or_default(),
            },
            incidents: take.one(INCIDENTS),
            targets: take.one(TARGETS),
        };
        (remembered, problems)
    }
}

fn part<'a, T>((_, version): (&str, u32), state: Option<&'a T>) -> Option<VersionedPart<'a, T>> {
    state.map(|state| VersionedPart { version, state })
}

struct Taking<'a, 't> {
    sections: &'a mut Sections<'t>,
    problems: &'a mut Vec<String>,
}

impl Taking<'_, '_> {
    fn one<T: DeserializeOwned>(&mut self, (name, version): (&str, u32)) -> Option<T> {
        let section = self.sections.remove(name)??;
        if section.version != version {
            let found = section.version;
            self.problems.push(format!(
                "{name} has format {found}, this version reads {version}"
            ));
            return None;
        }
        let text = section.state.get();
        let read = serde_json::from_str::<Plausible>(text).and_then(|_| serde_json::from_str(text));
        read.map_err(|error| {
            self.problems
                .push(format!("{name} cannot be read: {error}"));
        })
        .ok()
    }
}
