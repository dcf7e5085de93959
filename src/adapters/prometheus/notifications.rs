//! Metrics of notifications; none where nobody is told.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::views::NotificationsView;

use super::family::{About, Label, counter, gauge};

const OUTCOMES: About = About(
    "incident_notifications",
    "News of incidents for the webhook, by what became of them.",
);
const WAITING: About = About(
    "incident_notifications_waiting",
    "News of incidents that are not delivered yet.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, view: &NotificationsView) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    let outcomes = view.outcomes.iter();
    let outcomes = outcomes.map(|(outcome, count)| ([("outcome", *outcome)], (*count).into()));
    counter(encoder, OUTCOMES, outcomes)?;
    gauge(encoder, WAITING, [(none, view.waiting.into())].into_iter())
}
