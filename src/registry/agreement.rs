//! Where a ScaledObject and the policy contradict each other, in words. Nothing here changes a decision.

use crate::policy::spec::{Mode, TargetSpec};
use crate::scaled_object::{FallbackBehavior, ObjectKind, ObjectSettings, Pause, ReplicasObserved};

/// Everything that makes the outcome another than the decision says, or keeps it from being seen; in a fixed order.
pub fn warnings(spec: &TargetSpec, seen: &ReplicasObserved) -> Vec<String> {
    let hpa = seen.hpa.as_ref().and_then(|hpa| hpa.trouble.as_ref());
    let of_state = [
        hpa.map(|trouble| format!("The HPA reports: {trouble}")),
        seen.unread
            .as_ref()
            .map(|unread| format!("Ready replicas are unknown: {unread}")),
    ];
    let mut all = contradictions(spec, &seen.object);
    all.extend(of_state.into_iter().flatten());
    all
}

/// The part of it that somebody wrote into the ScaledObject, and that stands until somebody edits it.
pub fn contradictions(spec: &TargetSpec, object: &ObjectSettings) -> Vec<String> {
    let mut all = match (spec.mode, object.kind) {
        (Mode::Replicas, ObjectKind::ScaledObject) => {
            [bounds(spec, object), two_windows(spec, object)].concat()
        }
        // Bounds and holds are the HPA's alone there; a ScaledJob has no HPA at all.
        (Mode::Jobs | Mode::Backlog { .. }, _) | (_, ObjectKind::ScaledJob) => Vec::new(),
    };
    all.extend(job_mode(spec, object));
    all.extend(value_metric(object));
    if object.kind == ObjectKind::ScaledObject {
        all.extend(fallback(object));
    }
    all.extend(object.paused.map(Pause::sentence));
    all
}

fn bounds(spec: &TargetSpec, object: &ObjectSettings) -> Vec<String> {
    let (our_max, its_max) = (spec.max_replicas, object.max_replicas);
    let (our_min, its_min) = (spec.min_replicas, object.min_replicas);
    let max = if its_max < our_max {
        Some(format!(
            "maxReplicaCount is {its_max}, maxReplicas {our_max}: the HPA stops at {its_max}, whatever streamgauge answers. Set both to the same number."
        ))
    } else if its_max > our_max {
        Some(format!(
            "maxReplicaCount is {its_max}, maxReplicas {our_max}: streamgauge never asks for more than {our_max}. Set both to the same number."
        ))
    } else {
        None
    };
    let min = (our_min != its_min).then(|| {
        format!(
            "minReplicaCount is {its_min}, minReplicas {our_min}: at least {} run. Set both to the same number.",
            our_min.max(its_min)
        )
    });
    max.into_iter().chain(min).collect()
}

fn two_windows(spec: &TargetSpec, object: &ObjectSettings) -> Vec<String> {
    let window = match object.scale_down_window_seconds {
        Some(0) => return Vec::new(),
        Some(seconds) => format!("is {seconds} s"),
        None => "is not set, which means 300 s".to_owned(),
    };
    vec![format!(
        "behavior.scaleDown.stabilizationWindowSeconds {window}, on top of streamgauge's own hold of {}. Set it to 0.",
        humantime::format_duration(spec.hold())
    )]
}

/// Jobs are counted by KEDA itself; an HPA does not subtract what runs.
fn job_mode(spec: &TargetSpec, object: &ObjectSettings) -> Option<String> {
    let mismatch = spec.mode == Mode::Jobs && object.kind == ObjectKind::ScaledObject;
    mismatch.then(|| {
        "mode is jobs, but this is a ScaledObject: the HPA scales in as soon as consumers take work. Set mode: replicas."
            .to_owned()
    })
}

fn value_metric(object: &ObjectSettings) -> Option<String> {
    object.has_value_metric.then(|| {
        "metricType is Value: the HPA multiplies the answer by the ready pods and never settles. Remove \
         metricType, or set it to AverageValue."
            .to_owned()
    })
}

fn fallback(object: &ObjectSettings) -> Option<String> {
    let behavior = object.fallback_behavior;
    match (object.fallback_replicas, behavior) {
        (None, _) => Some(
            "There is no fallback: while the backlog is unknown, the replica count stays as it is. Set fallback.replicas to what must \
             keep running, with behavior: currentReplicasIfHigher."
                .to_owned(),
        ),
        (Some(0), FallbackBehavior::Static | FallbackBehavior::CurrentReplicasIfLower) => Some(
            "fallback.replicas is 0: an outage of the source scales to zero. Set it to what must keep running.".to_owned(),
        ),
        (Some(replicas), FallbackBehavior::Static | FallbackBehavior::CurrentReplicasIfLower)
            if replicas < object.max_replicas =>
        {
            Some(format!(
                "fallback.replicas is {replicas}: an outage scales a larger fleet in to that count. Set fallback.behavior to \
                 currentReplicasIfHigher (KEDA 2.17 or newer)."
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
