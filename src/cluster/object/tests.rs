//! ScaledObjects as people write them.

use serde_json::json;

use super::*;

fn read(content: Value) -> Result<Described, Unread> {
    read_as(ObjectKind::ScaledObject, content)
}

fn read_as(kind: ObjectKind, content: Value) -> Result<Described, Unread> {
    let found: DynamicObject =
        serde_json::from_value(content).unwrap_or_else(|error| panic!("{error}"));
    describe(kind, &found)
}

fn described(content: Value) -> Described {
    read(content).unwrap_or_else(|unread| panic!("{unread}"))
}

/// Group, version, plural and name of the target.
fn target_of(content: Value) -> Option<(String, String, String, String)> {
    let target = read(content).ok()?.target?;
    let resource = target.resource;
    Some((
        resource.group,
        resource.version,
        resource.plural,
        target.name,
    ))
}

#[test]
fn everything_that_matters_is_read() {
    let found = described(json!({
        "metadata": {"name": "billing", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"name": "worker"},
            "minReplicaCount": 2, "maxReplicaCount": 30, "pollingInterval": 5, "cooldownPeriod": 60,
            "fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfHigher"},
            "advanced": {
                "horizontalPodAutoscalerConfig": {"behavior": {
                    "scaleUp": {"tolerance": "50m"},
                    "scaleDown": {"stabilizationWindowSeconds": 0, "tolerance": "0"},
                }},
                "scalingModifiers": {"formula": "a + b", "target": "1"},
            },
            "triggers": [
                {"type": "cron", "metadata": {"start": "0 6 * * *"}},
                {"type": "external", "metricType": "Value", "metadata": {"group": "billing"}},
                {"type": "external-push", "metadata": {"group": "mails"}},
            ]
        },
        "status": {"hpaName": "keda-hpa-billing"}
    }));
    let expect = ObjectSettings {
        min_replicas: 2,
        max_replicas: 30,
        paused: None,
        fallback_replicas: Some(6),
        polling_interval_seconds: Some(5),
        cooldown_seconds: Some(60),
        scale_down_window_seconds: Some(0),
        kind: ObjectKind::ScaledObject,
        triggers: 3,
        has_formula: true,
        has_value_metric: true,
        fallback_behavior: FallbackBehavior::CurrentReplicasIfHigher,
        tolerance_up_milli: Some(50),
        tolerance_down_milli: Some(0),
    };
    assert_eq!(found.settings, expect);
    let metadata = |group: &str| HashMap::from([("group".to_owned(), group.to_owned())]);
    let triggers = ["billing", "mails"].map(|group| fingerprint(&metadata(group)));
    assert_eq!(found.triggers, triggers, "as KEDA passes them on");
    assert_eq!(found.hpa_name.as_deref(), Some("keda-hpa-billing"));
}

#[test]
fn what_is_left_out_has_keda_s_defaults() {
    let found = described(
        json!({"spec": {"scaleTargetRef": {"name": "worker"}, "triggers": [{"type": "cron"}]}}),
    );
    assert_eq!(found.settings, ObjectSettings::default());
    assert_eq!(found.hpa_name, None);
}

#[test]
fn the_target_is_the_one_that_keda_resolved_else_the_one_named_else_a_deployment() {
    let check = |reference: Value, status: Value, expect: Option<(&str, &str, &str)>| {
        let content = json!({"spec": {"scaleTargetRef": reference}, "status": status});
        let expect = expect.map(|(group, version, plural)| {
            let text = str::to_owned;
            (text(group), text(version), text(plural), text("worker"))
        });
        assert_eq!(target_of(content.clone()), expect, "{content}");
    };
    let none = json!({});
    let name = json!({"name": "worker"});
    check(
        name.clone(),
        none.clone(),
        Some(("apps", "v1", "deployments")),
    );
    let set = json!({"name": "worker", "apiVersion": "apps/v1", "kind": "StatefulSet"});
    check(set, none.clone(), Some(("apps", "v1", "statefulsets")));
    let resolved = json!({"scaleTargetGVKR":
        {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout", "resource": "rollouts"}});
    let rollouts = Some(("argoproj.io", "v1alpha1", "rollouts"));
    check(name, resolved, rollouts);
    for odd in ["../../secrets", "", "a/b", "UPPER", ".."] {
        check(json!({"name": odd}), none.clone(), None);
        check(
            json!({"name": "worker", "kind": odd.replace("UPPER", "x y")}),
            none.clone(),
            None,
        );
    }
}

#[test]
fn pauses_are_read_as_keda_reads_them() {
    let check = |annotations: Value, expect| {
        let found = described(json!({
            "metadata": {"annotations": annotations},
            "spec": {"scaleTargetRef": {"name": "worker"}}
        }));
        assert_eq!(found.settings.paused, expect, "{annotations}");
    };
    check(json!({}), None);
    check(
        json!({"autoscaling.keda.sh/paused": "true"}),
        Some(Pause::AsItIs),
    );
    check(
        json!({"autoscaling.keda.sh/paused": "yes"}),
        Some(Pause::AsItIs),
    );
    check(json!({"autoscaling.keda.sh/paused": "false"}), None);
    check(
        json!({"autoscaling.keda.sh/paused-replicas": "3", "autoscaling.keda.sh/paused": "true"}),
        Some(Pause::At(3)),
    );
    check(
        json!({"autoscaling.keda.sh/paused-scale-in": "true"}),
        Some(Pause::ScaleIn),
    );
    check(
        json!({"autoscaling.keda.sh/paused-scale-out": "true"}),
        Some(Pause::ScaleOut),
    );
}

#[test]
fn nonsense_is_a_failure_and_no_default() {
    assert!(read(json!({"spec": "none"})).is_err());
    assert!(read(json!({"metadata": {}})).is_err());
    assert!(read(json!({"spec": {"scaleTargetRef": "worker"}})).is_err());
}

#[test]
fn a_scaled_job_scales_no_target() {
    let found = read_as(
        ObjectKind::ScaledJob,
        json!({
            "metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}},
            "spec": {"maxReplicaCount": 20, "triggers": [{"type": "external", "metadata": {}}]},
        }),
    );
    let found = found.unwrap_or_else(|unread| panic!("{unread}"));
    assert_eq!(found.target, None);
    assert_eq!(found.triggers.len(), 1);
    assert_eq!(found.settings.kind, ObjectKind::ScaledJob);
    assert_eq!(found.settings.max_replicas, 20);
    assert_eq!(found.settings.paused, Some(Pause::AsItIs));
}

#[test]
fn tolerances_are_quantities() {
    let check = |text: Value, expect| assert_eq!(milli(&text), expect, "{text}");
    check(json!("0"), Some(0));
    check(json!("0.05"), Some(50));
    check(json!("50m"), Some(50));
    check(json!("0.1"), Some(100));
    check(json!("1"), Some(1_000));
    check(json!(0), Some(0));
    check(json!(0.25), Some(250));
    check(json!("0.0001"), Some(1));
    for odd in [json!(null), json!("much"), json!("-1"), json!("1e99")] {
        check(odd, None);
    }
}
