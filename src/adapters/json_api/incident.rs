//! An incident as JSON.

use serde::Serialize;

use crate::model::incident::{Incident, IncidentKind};
use crate::model::signal::Signal;

use super::values::rfc3339;

/// One incident of one group.
#[derive(Serialize)]
pub(in crate::adapters) struct IncidentShape {
    group: String,
    /// Counts the group's incidents since the service watches.
    number: u64,
    kind: IncidentKind,
    started_at: String,
    noticed_at: String,
    /// Null while it is open.
    ended_at: Option<String>,
    /// What was unusual meanwhile.
    signals: Vec<Signal>,
    /// Empty: all of them.
    partitions: Vec<String>,
    text: String,
}

impl IncidentShape {
    pub(in crate::adapters) fn of(group: &str, incident: &Incident) -> Self {
        let partitions = incident.partitions.iter();
        Self {
            group: group.to_owned(),
            number: incident.number,
            kind: incident.kind,
            started_at: rfc3339(incident.started_at),
            noticed_at: rfc3339(incident.noticed_at),
            ended_at: incident.ended_at.map(rfc3339),
            signals: incident.signals.iter().copied().collect(),
            partitions: partitions.map(|id| id.as_str().to_owned()).collect(),
            text: incident.text.clone(),
        }
    }
}
