//! Metrics per target: what was decided for whom, and why.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::{GroupView, Labels, TargetView};
use crate::policy::decision::{Metric, Reason};
use crate::policy::rule::Limit;
use crate::policy::spec::Mode;

use super::family::{About, Label, Value, counter, gauge, group_labels};

type Read = fn(&TargetView<'_>) -> Option<Value>;

const GAUGES: [(About, Read); 5] = [
    (
        About(
            "group_desired_replicas",
            "Desired replicas, within all bounds; absent while no decision is possible.",
        ),
        |t| t.decision()?.desired.map(Value::from),
    ),
    (
        About(
            "group_emitted_replicas",
            "Replicas sent to KEDA; may differ from group_desired_replicas to pass the HPA's tolerance.",
        ),
        emitted_replicas,
    ),
    (
        About(
            "group_current_replicas",
            "Current replicas; absent while unknown.",
        ),
        |t| t.current().map(Value::from),
    ),
    (
        About(
            "group_ready_replicas",
            "Current replicas that are ready; absent unless the Kubernetes API can be read.",
        ),
        |t| t.target.kubernetes.as_ref()?.ready.map(Value::from),
    ),
    (
        About(
            "group_active",
            "Whether the answer to KEDA is active (1) or inactive (0); absent while it is an error.",
        ),
        |t| t.active().map(Value::from),
    ),
];

const LIMITED: About = About(
    "group_limited",
    "Limit that determined the desired replicas (1 = current limit).",
);

const DECISIONS: About = About(
    "group_decisions",
    "Decisions that changed the answer, by reason.",
);

/// Everything about every target of every group.
pub(super) fn write(
    encoder: &mut DescriptorEncoder<'_>,
    groups: &[GroupView],
    labels: &Labels,
) -> fmt::Result {
    let targets: Vec<(&GroupView, TargetView<'_>)> = groups
        .iter()
        .flat_map(|group| {
            let of_group = group.targets(labels).into_iter();
            of_group.map(move |target| (group, target))
        })
        .collect();
    let rows: Vec<TargetRow<'_>> = targets
        .iter()
        .map(|(group, target)| (target_labels(group, target), target))
        .collect();
    for (about, read) in GAUGES {
        let samples = rows
            .iter()
            .filter_map(|(labels, target)| Some((*labels, read(target)?)));
        gauge(encoder, about, samples)?;
    }
    gauge(encoder, LIMITED, rows.iter().flat_map(limits))?;
    counter(encoder, DECISIONS, rows.iter().flat_map(decisions))
}

type TargetRow<'a> = ([Label<'a>; 5], &'a TargetView<'a>);

fn target_labels<'a>(group: &'a GroupView, target: &'a TargetView<'_>) -> [Label<'a>; 5] {
    let [name, source, stream, consumer_group] = group_labels(group);
    let scaled_object = ("scaled_object", target.scaled_object.as_str());
    [name, source, stream, consumer_group, scaled_object]
}

/// In `backlog` mode KEDA gets messages, not replicas.
fn emitted_replicas(target: &TargetView<'_>) -> Option<Value> {
    match (target.target.spec.mode, &target.answer) {
        (Mode::Replicas | Mode::Jobs, Ok(answer)) => Some(replicas(answer.metric)),
        _ => None,
    }
}

fn replicas(metric: Metric) -> Value {
    if metric.milli.is_multiple_of(1000) {
        Value::Whole(metric.milli / 1000)
    } else {
        Value::Real(metric.as_f64())
    }
}

type TargetSample<'a> = (([Label<'a>; 5], [Label<'a>; 1]), Value);

fn limits<'a>(row: &TargetRow<'a>) -> impl Iterator<Item = TargetSample<'a>> + use<'a> {
    let (labels, target) = *row;
    target.decision().into_iter().flat_map(move |decision| {
        Limit::ALL.into_iter().map(move |limit| {
            let decided = decision.limit == limit;
            ((labels, [("limit", limit.as_str())]), decided.into())
        })
    })
}

fn decisions<'a>(row: &TargetRow<'a>) -> impl Iterator<Item = TargetSample<'a>> + use<'a> {
    let (labels, target) = *row;
    Reason::ALL.into_iter().map(move |reason| {
        let changes = target.target.changes.get(&reason).copied();
        let reason = [("reason", reason.as_str())];
        ((labels, reason), changes.unwrap_or_default().into())
    })
}
