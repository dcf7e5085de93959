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
        "Whether the last Kubernetes API read succeeded (1) or failed (0); absent before the first read.",
    ),
    About("kubernetes_requests", "Requests to the Kubernetes API."),
    About(
        "kubernetes_errors",
        "Failed requests to the Kubernetes API, by reason.",
    ),
];

pub(super) const PROMETHEUS: Metrics = [
    About(
        "prometheus_up",
        "Whether the last PromQL query for signals succeeded (1) or failed (0); absent before the first query.",
    ),
    About(
        "prometheus_queries",
        "PromQL queries for signals sent to Prometheus.",
    ),
    About(
        "prometheus_query_errors",
        "Failed PromQL queries for signals, by reason; an empty result is not a failure.",
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
