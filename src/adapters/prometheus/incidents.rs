//! Metrics of incidents.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::GroupView;
use crate::model::incident::IncidentKind;

use super::family::{About, Value, counter, gauge, group_labels};

const GOING_ON: About = About(
    "group_incident",
    "Whether an incident of this kind is open (1) or not (0).",
);

const TOTAL: About = About(
    "incidents",
    "Incidents resolved since streamgauge started, by final kind.",
);

/// Everything about every group's incidents.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    let rows = || {
        groups
            .iter()
            .flat_map(|group| IncidentKind::ALL.map(|kind| (group, kind)))
    };
    let known = rows().filter(|(group, _)| group.facts().is_some());
    let going_on = known.map(|(group, kind)| {
        let mut incidents = group.snapshot().incidents.iter();
        let one = incidents.any(|i| i.kind == kind && i.ended_at.is_none());
        let labels = (group_labels(group), [("kind", kind.as_str())]);
        (labels, Value::from(one))
    });
    gauge(encoder, GOING_ON, going_on)?;
    let totals = rows().map(|(group, kind)| {
        let counts = &group.snapshot().incidents_total;
        let labels = (group_labels(group), [("kind", kind.as_str())]);
        (labels, Value::from(counts.get(&kind).copied().unwrap_or(0)))
    });
    counter(encoder, TOTAL, totals)
}
