//! Metrics about APIs that are called: that of Kubernetes, and the Prometheus that signals are asked of; none where one is not.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::calls_view::CallsView;

use super::family::{About, Label, Value, counter, gauge};

/// Whether it answers, calls, and failed calls.
pub(super) type Metrics = [About; 3];

pub(super) const KUBERNETES: Metrics = [
    About(
        "kubernetes_up",
        "Whether the Kubernetes API told everything asked for the last time: 1 or 0; absent while nothing was asked for.",
    ),
    About("kubernetes_requests", "Calls to the Kubernetes API."),
    About(
        "kubernetes_errors",
        "Calls to the Kubernetes API that failed, by class of failure.",
    ),
];

pub(super) const PROMETHEUS: Metrics = [
    About(
        "prometheus_up",
        "Whether the Prometheus that signals come from answered the last time: 1 or 0; absent while nothing was asked.",
    ),
    About(
        "prometheus_queries",
        "Expressions that Prometheus was asked for the value of.",
    ),
    About(
        "prometheus_query_errors",
        "Expressions that Prometheus did not answer, by class of failure; an answer without a value is an answer.",
    ),
];

pub(super) fn write(
    encoder: &mut DescriptorEncoder<'_>,
    [up, calls, errors]: Metrics,
    view: &CallsView,
) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    let now = view.up.map(|up| (none, Value::from(up)));
    gauge(encoder, up, now.into_iter())?;
    counter(encoder, calls, [(none, view.calls.into())].into_iter())?;
    let failed = view.errors.iter();
    let failed = failed.map(|(kind, count)| ([("reason", *kind)], (*count).into()));
    counter(encoder, errors, failed)
}
