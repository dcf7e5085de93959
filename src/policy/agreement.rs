//! Where a ScaledObject and the policy contradict each other, in words. Nothing here changes a decision.

use super::replicas::{ObjectSettings, Pause, ReplicasObserved};
use super::spec::{Mode, TargetSpec};

/// Everything that makes the outcome another than the decision says, or keeps it from being seen; in a fixed order.
pub fn warnings(spec: &TargetSpec, seen: &ReplicasObserved) -> Vec<String> {
    let hpa = seen.hpa.as_ref().and_then(|hpa| hpa.trouble.as_ref());
    let of_state = [
        hpa.map(|trouble| format!("The HPA says: {trouble}")),
        seen.unread
            .as_ref()
            .map(|unread| format!("Ready replicas cannot be seen: {unread}")),
    ];
    let mut all = contradictions(spec, &seen.object);
    all.extend(of_state.into_iter().flatten());
    all
}

/// The part of it that somebody wrote into the ScaledObject, and that stands until somebody edits it.
pub fn contradictions(spec: &TargetSpec, object: &ObjectSettings) -> Vec<String> {
    let mut all = match spec.mode {
        Mode::Replicas => [bounds(spec, object), two_windows(spec, object)].concat(),
        // Bounds and holds are the HPA's alone there.
        Mode::Jobs | Mode::Backlog { .. } => Vec::new(),
    };
    all.extend(fallback(object));
    all.extend(object.paused.map(paused));
    all
}

/// That KEDA does not follow, as a sentence.
pub fn paused(pause: Pause) -> String {
    match pause {
        Pause::AsItIs => {
            "The ScaledObject is paused (autoscaling.keda.sh/paused): KEDA does not follow.".to_owned()
        }
        Pause::At(replicas) => format!(
            "The ScaledObject is paused at {replicas} (autoscaling.keda.sh/paused-replicas): KEDA does not follow."
        ),
        Pause::ScaleIn => {
            "Scale-in is paused (autoscaling.keda.sh/paused-scale-in): KEDA follows only upwards.".to_owned()
        }
        Pause::ScaleOut => {
            "Scale-out is paused (autoscaling.keda.sh/paused-scale-out): KEDA follows only downwards.".to_owned()
        }
    }
}

fn bounds(spec: &TargetSpec, object: &ObjectSettings) -> Vec<String> {
    let (our_max, its_max) = (spec.max_replicas, object.max_replicas);
    let (our_min, its_min) = (spec.min_replicas, object.min_replicas);
    let max = if its_max < our_max {
        Some(format!(
            "maxReplicaCount is {its_max}, maxReplicas {our_max}: the HPA stops at {its_max}, whatever is answered. Set both alike."
        ))
    } else if its_max > our_max {
        Some(format!(
            "maxReplicaCount is {its_max}, maxReplicas {our_max}: never more than {our_max} are asked for. Set both alike."
        ))
    } else {
        None
    };
    let min = (our_min != its_min).then(|| {
        format!(
            "minReplicaCount is {its_min}, minReplicas {our_min}: at least {} run. Set both alike.",
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
        humantime::format_duration(spec.scale_in_hold)
    )]
}

fn fallback(object: &ObjectSettings) -> Option<String> {
    match object.fallback_replicas {
        None => Some(
            "There is no fallback: while the backlog cannot be known, the count stays as it is. Set fallback.replicas to what has to keep running."
                .to_owned(),
        ),
        Some(0) => Some(
            "fallback.replicas is 0: an outage of the source scales to zero. Set it to what has to keep running.".to_owned(),
        ),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Measure, PolicySettings};
    use super::*;

    fn agreeing() -> ObjectSettings {
        ObjectSettings {
            fallback_replicas: Some(3),
            scale_down_window_seconds: Some(0),
            ..ObjectSettings::default()
        }
    }

    fn check(settings: PolicySettings, object: ObjectSettings, expect: &[&str]) {
        let seen = ReplicasObserved {
            object,
            ..ReplicasObserved::default()
        };
        let said = warnings(&settings.resolve(), &seen);
        assert_eq!(said.len(), expect.len(), "{said:#?}");
        for (said, expect) in said.iter().zip(expect) {
            assert!(said.contains(expect), "{said} / {expect}");
        }
    }

    #[test]
    fn a_scaled_object_that_says_the_same_is_worth_no_word() {
        check(PolicySettings::default(), agreeing(), &[]);
    }

    #[test]
    fn every_contradiction_is_named_with_both_values() {
        let object = ObjectSettings {
            min_replicas: 2,
            max_replicas: 30,
            scale_down_window_seconds: Some(120),
            fallback_replicas: Some(0),
            paused: Some(Pause::At(4)),
            ..agreeing()
        };
        check(
            PolicySettings::default(),
            object,
            &[
                "maxReplicaCount is 30, maxReplicas 100: the HPA stops at 30",
                "minReplicaCount is 2, minReplicas 0: at least 2 run",
                "stabilizationWindowSeconds is 120 s, on top of streamgauge's own hold of 5m",
                "fallback.replicas is 0",
                "paused at 4",
            ],
        );
        let object = ObjectSettings {
            scale_down_window_seconds: None,
            fallback_replicas: None,
            ..agreeing()
        };
        check(
            PolicySettings::default(),
            object,
            &["is not set, which means 300 s", "There is no fallback"],
        );
    }

    #[test]
    fn in_backlog_mode_bounds_and_holds_are_the_hpa_s_alone() {
        let backlog = PolicySettings {
            mode: Some(Mode::Backlog {
                threshold: 10,
                measure: Measure::Backlog,
            }),
            ..PolicySettings::default()
        };
        let object = ObjectSettings {
            max_replicas: 30,
            scale_down_window_seconds: None,
            ..agreeing()
        };
        check(backlog, object, &[]);
    }
}
