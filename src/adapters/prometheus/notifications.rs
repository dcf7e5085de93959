//! Metrics of incident notifications; none without a webhook.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::views::NotificationsView;

use super::family::{About, Label, counter, gauge};

const OUTCOMES: About = About(
    "incident_notifications",
    "Incident notifications to the webhook, by outcome.",
);
const WAITING: About = About(
    "incident_notifications_waiting",
    "Incident notifications waiting for delivery.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, view: &NotificationsView) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    let outcomes = view.outcomes.iter();
    let outcomes = outcomes.map(|(outcome, count)| ([("outcome", *outcome)], (*count).into()));
    counter(encoder, OUTCOMES, outcomes)?;
    gauge(encoder, WAITING, [(none, view.waiting.into())].into_iter())
}
