//! Metrics about the Kubernetes API; none where it is not read.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::cluster_view::ClusterView;
use crate::policy::replicas::UnreadKind;

use super::family::{About, Label, Value, counter, gauge};

const UP: About = About(
    "kubernetes_up",
    "Whether the Kubernetes API told everything asked for the last time: 1 or 0; absent while nothing was asked for.",
);
const CALLS: About = About("kubernetes_requests", "Calls to the Kubernetes API.");
const ERRORS: About = About(
    "kubernetes_errors",
    "Calls to the Kubernetes API that failed, by class of failure.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, cluster: &ClusterView) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    let up = cluster.up.map(|up| (none, Value::from(up)));
    gauge(encoder, UP, up.into_iter())?;
    counter(encoder, CALLS, [(none, cluster.calls.into())].into_iter())?;
    let errors = UnreadKind::ALL.into_iter().map(|kind| {
        let count = cluster.errors.get(&kind).copied().unwrap_or_default();
        ([("reason", kind.as_str())], count.into())
    });
    counter(encoder, ERRORS, errors)
}
