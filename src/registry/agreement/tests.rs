//! ScaledObjects that agree with the policy, and those that do not.

use super::*;
use crate::policy::spec::{Measure, PolicySettings};

fn agreeing() -> ObjectSettings {
    ObjectSettings {
        fallback_replicas: Some(3),
        fallback_behavior: FallbackBehavior::CurrentReplicasIfHigher,
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
        fallback_behavior: FallbackBehavior::Static,
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

#[test]
fn a_fallback_that_takes_replicas_away_is_named_with_its_cure() {
    let with = |replicas, behavior, expect: &[&str]| {
        let object = ObjectSettings {
            fallback_replicas: replicas,
            fallback_behavior: behavior,
            ..agreeing()
        };
        check(PolicySettings::default(), object, expect);
    };
    let static_five = "fallback.replicas is 5: an outage scales a larger fleet in";
    with(Some(5), FallbackBehavior::Static, &[static_five]);
    with(
        Some(5),
        FallbackBehavior::CurrentReplicasIfLower,
        &[static_five],
    );
    with(Some(100), FallbackBehavior::Static, &[]);
    for keeps in [
        FallbackBehavior::CurrentReplicas,
        FallbackBehavior::CurrentReplicasIfHigher,
        FallbackBehavior::ScalingModifiers,
    ] {
        with(Some(5), keeps, &[]);
        with(Some(0), keeps, &[]);
    }
    with(None, FallbackBehavior::Static, &["There is no fallback"]);
}

#[test]
fn a_metric_of_type_value_is_warned_about_in_every_mode() {
    let object = ObjectSettings {
        has_value_metric: true,
        ..agreeing()
    };
    let said = "metricType is Value: the HPA multiplies the answer by the ready pods";
    check(PolicySettings::default(), object, &[said]);
}

#[test]
fn a_scaled_job_has_no_hpa_to_contradict() {
    let job = ObjectSettings {
        kind: ObjectKind::ScaledJob,
        max_replicas: 7,
        ..ObjectSettings::default()
    };
    check(PolicySettings::default(), job.clone(), &[]);
    let jobs = PolicySettings {
        mode: Some(Mode::Jobs),
        ..PolicySettings::default()
    };
    check(jobs.clone(), job, &[]);
    check(
        jobs,
        agreeing(),
        &["mode is jobs, but this is a ScaledObject"],
    );
}
