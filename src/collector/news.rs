//! Changes of a group's incidents: logged, and sent to the webhook.

use std::collections::BTreeMap;

use crate::model::incident::{Incident, IncidentKind};
use crate::model::time::Timestamp;
use crate::publish::notices::{IncidentChange, Notice, Notices};

/// Incidents by number, as they were last told: what, and whether it is over.
#[derive(Debug)]
pub(super) struct ReportedIncidents(BTreeMap<u64, (IncidentKind, bool)>);

impl ReportedIncidents {
    /// What the group knew before its collector took it over was told then.
    pub fn already(incidents: &[Incident]) -> Self {
        Self(incidents.iter().map(|i| (i.number, state(i))).collect())
    }

    /// What is new since the last time.
    fn changes<'a>(&mut self, incidents: &'a [Incident]) -> Vec<(IncidentChange, &'a Incident)> {
        self.0
            .retain(|number, _| incidents.iter().any(|i| i.number == *number));
        let change = |incident: &Incident| {
            let now = state(incident);
            match self.0.insert(incident.number, now) {
                Some(before) if before == now => None,
                _ if now.1 => Some(IncidentChange::Ended),
                Some(_) => Some(IncidentChange::Changed),
                None => Some(IncidentChange::Noticed),
            }
        };
        let mut change = change;
        incidents
            .iter()
            .filter_map(|incident| Some((change(incident)?, incident)))
            .collect()
    }

    /// Tells every incident when it is noticed, turns out to be another, and is over.
    pub fn tell(
        &mut self,
        at: Timestamp,
        group: &str,
        incidents: &[Incident],
        notices: Option<&Notices>,
    ) {
        for (change, incident) in self.changes(incidents) {
            log(group, change, incident);
            if let Some(notices) = notices {
                notices.tell(Notice {
                    at,
                    group: group.to_owned(),
                    change,
                    incident: incident.clone(),
                });
            }
        }
    }
}

const fn state(incident: &Incident) -> (IncidentKind, bool) {
    (incident.kind, incident.ended_at.is_some())
}

fn log(group: &str, change: IncidentChange, incident: &Incident) {
    let (kind, text) = (incident.kind.as_str(), &incident.text);
    let partitions = incident.partitions.len();
    match change {
        IncidentChange::Noticed => tracing::warn!(group, kind, partitions, "incident: {text}"),
        IncidentChange::Changed => {
            tracing::warn!(group, kind, partitions, "incident reclassified: {text}");
        }
        IncidentChange::Ended => tracing::info!(group, kind, "incident resolved"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_step_of_an_incident_is_told_once() {
        let incident = |number, kind, over: bool| Incident {
            number,
            kind,
            started_at: Timestamp::default(),
            noticed_at: Timestamp::default(),
            ended_at: over.then(Timestamp::default),
            signals: BTreeSet::new(),
            partitions: BTreeSet::new(),
            text: String::new(),
        };
        let (crash, outage) = (IncidentKind::ConsumerCrash, IncidentKind::DownstreamOutage);
        let mut told = ReportedIncidents::already(&[incident(1, crash, false)]);
        let mut check = |incidents: &[Incident], expect: &[(IncidentChange, u64)]| {
            let changes = told.changes(incidents).into_iter();
            let changes: Vec<_> = changes.map(|(change, i)| (change, i.number)).collect();
            assert_eq!(changes, expect);
        };
        check(&[incident(1, crash, false)], &[]);
        let both = [incident(1, crash, true), incident(2, crash, false)];
        check(
            &both,
            &[(IncidentChange::Ended, 1), (IncidentChange::Noticed, 2)],
        );
        check(&both, &[]);
        let turned = [incident(1, crash, true), incident(2, outage, false)];
        check(&turned, &[(IncidentChange::Changed, 2)]);
        check(&[incident(2, outage, true)], &[(IncidentChange::Ended, 2)]);
        check(&[incident(3, outage, true)], &[(IncidentChange::Ended, 3)]);
    }
}
