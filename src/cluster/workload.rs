//! The counts in the status of a scale target and of an HPA.

use kube::api::DynamicObject;
use serde_json::Value;

use crate::scaled_object::{HpaObserved, Unread};

use super::failure::misunderstood;
use super::object::whole;
use super::resource::{Resource, SCALED_JOB};

/// The longest of an HPA's own words that is passed on.
const LONGEST_MESSAGE: usize = 300;

/// Replicas of a scale target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replicas {
    pub current: u32,
    pub asked: Option<u32>,
    pub ready: Option<u32>,
    pub updated: Option<u32>,
    /// By which its pods are found.
    pub selector: Option<String>,
}

/// What is read of an HPA.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HpaObject {
    /// What it believes to run.
    pub current: Option<u32>,
    pub observed: HpaObserved,
}

/// Kubernetes leaves counts of zero out of a status. Of a kind that is not its own it is not known whether there is such a count.
pub(super) fn replicas(resource: &Resource, found: &DynamicObject) -> Result<Replicas, Unread> {
    let status = &found.data["status"];
    let own = resource.group == "apps";
    let count = |of: &Value, absent: Option<u32>| match of {
        Value::Null => Ok(absent),
        value => whole(value).map(Some).ok_or(()),
    };
    let read = || {
        if !status.is_object() {
            return Err(());
        }
        let zero = own.then_some(0);
        Ok(Replicas {
            current: count(&status["replicas"], Some(0))?.unwrap_or(0),
            asked: count(&found.data["spec"]["replicas"], None)?,
            ready: count(&status["readyReplicas"], zero)?,
            updated: count(&status["updatedReplicas"], zero)?,
            selector: selector(&found.data["spec"]["selector"]),
        })
    };
    read().map_err(|()| {
        let metadata = &found.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let about = format!("{} {namespace}/{name}", resource.kind);
        misunderstood(&about, "has no replica counts in its status")
    })
}

/// As the API wants it: `app=worker,tier=back`. Sets of values are left to those who need them.
fn selector(of: &Value) -> Option<String> {
    let labels = of["matchLabels"].as_object()?.iter();
    let labels = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let labels: Vec<String> = labels.collect();
    (!labels.is_empty() && of["matchExpressions"].is_null()).then(|| labels.join(","))
}

/// Why a pod does not become ready, where Kubernetes says so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StuckPod {
    /// `CrashLoopBackOff`, `ImagePullBackOff`, …
    pub reason: String,
    /// Of its containers together.
    pub restarts: u32,
}

/// What every pod waits for while it starts.
const STARTS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// The longest reason that is passed on.
const LONGEST_REASON: usize = 64;

pub(super) fn stuck_pod(found: &DynamicObject) -> Option<StuckPod> {
    let status = &found.data["status"];
    let lists = [
        &status["initContainerStatuses"],
        &status["containerStatuses"],
    ];
    let containers = || lists.iter().filter_map(|list| list.as_array()).flatten();
    let (reason, ended) = containers().find_map(|container| {
        let reason = container["state"]["waiting"]["reason"].as_str()?;
        let ended = container["lastState"]["terminated"]["reason"].as_str();
        (!STARTS.contains(&reason)).then_some((reason, ended))
    })?;
    let why: String = reason
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(LONGEST_REASON)
        .collect();
    let reason = match ended {
        Some("OOMKilled") => format!("{why} after OOMKilled"),
        _ => why,
    };
    let restarts = containers().filter_map(|container| whole(&container["restartCount"]));
    let restarts = restarts.fold(0, u32::saturating_add);
    Some(StuckPod { reason, restarts })
}

pub(super) fn hpa(found: &DynamicObject) -> HpaObject {
    let status = &found.data["status"];
    HpaObject {
        current: whole(&status["currentReplicas"]),
        observed: HpaObserved {
            desired: whole(&status["desiredReplicas"]),
            trouble: trouble(&status["conditions"]),
        },
    }
}

/// A job of a ScaledJob.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    /// The ScaledJob's name.
    pub of: String,
    /// Neither complete nor failed: KEDA subtracts it from what it starts.
    pub runs: bool,
}

pub(super) fn job(found: &DynamicObject) -> Option<Job> {
    let of = found.metadata.labels.as_ref()?.get(SCALED_JOB)?.clone();
    let conditions = found.data["status"]["conditions"].as_array();
    let ended = |condition: &Value| {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        matches!(text("type"), "Complete" | "Failed") && text("status") == "True"
    };
    let runs = !conditions.into_iter().flatten().any(ended);
    Some(Job { of, runs })
}

/// The first condition that keeps it from working. Being switched off at zero replicas is as it should be.
fn trouble(conditions: &Value) -> Option<String> {
    conditions.as_array()?.iter().find_map(|condition| {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        let hinders = matches!(text("type"), "AbleToScale" | "ScalingActive")
            && text("status") == "False"
            && text("reason") != "ScalingDisabled";
        let message: String = text("message").chars().take(LONGEST_MESSAGE).collect();
        hinders.then(|| format!("{}: {message}", text("reason")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(content: Value) -> DynamicObject {
        serde_json::from_value(content).unwrap_or_else(|error| panic!("{error}"))
    }

    type Count = Option<u32>;

    fn counts(group: &str, content: Value) -> Option<(u32, Count, Count, Count)> {
        let read = replicas(&Resource::guessed(group, "v1", "Thing"), &object(content)).ok()?;
        Some((read.current, read.asked, read.ready, read.updated))
    }

    #[test]
    fn counts_that_kubernetes_leaves_out_are_zero_and_those_of_other_kinds_unknown() {
        let full = json!({"spec": {"replicas": 8}, "status": {"replicas": 7, "readyReplicas": 5, "updatedReplicas": 6}});
        let expect = Some((7, Some(8), Some(5), Some(6)));
        assert_eq!(counts("apps", full.clone()), expect);
        assert_eq!(counts("argoproj.io", full), expect);
        let empty = json!({"spec": {"replicas": 0}, "status": {}});
        assert_eq!(
            counts("apps", empty.clone()),
            Some((0, Some(0), Some(0), Some(0)))
        );
        assert_eq!(counts("argoproj.io", empty), Some((0, Some(0), None, None)));
    }

    #[test]
    fn nonsense_is_no_count() {
        assert_eq!(counts("apps", json!({"spec": {"replicas": 8}})), None);
        for odd in [json!("many"), json!(-1), json!(1e12), json!(1.5)] {
            assert_eq!(counts("apps", json!({"status": {"replicas": odd}})), None);
        }
    }

    #[test]
    fn an_hpa_s_trouble_is_told_but_not_that_it_rests_at_zero() {
        let check = |reason: &str, expect: Option<&str>| {
            let condition = json!({"type": "ScalingActive", "status": "False", "reason": reason, "message": "no"});
            let found = object(
                json!({"status": {"desiredReplicas": 3, "currentReplicas": 2, "conditions": [condition]}}),
            );
            let read = hpa(&found);
            assert_eq!((read.current, read.observed.desired), (Some(2), Some(3)));
            assert_eq!(read.observed.trouble.as_deref(), expect);
        };
        check(
            "FailedGetExternalMetric",
            Some("FailedGetExternalMetric: no"),
        );
        check("ScalingDisabled", None);
    }

    #[test]
    fn a_pod_says_why_it_waits_but_not_that_it_starts() {
        let check = |containers: Value, expect: Option<(&str, u32)>| {
            let pod = object(json!({"status": {"containerStatuses": containers}}));
            let expect = expect.map(|(reason, restarts)| StuckPod {
                reason: reason.into(),
                restarts,
            });
            assert_eq!(stuck_pod(&pod), expect, "{containers}");
        };
        let container = |reason: &str, ended: &str| {
            json!({"restartCount": 4, "state": {"waiting": {"reason": reason}},
                "lastState": {"terminated": {"reason": ended}}})
        };
        let sidecar = json!({"restartCount": 1, "state": {"running": {}}});
        check(Value::Null, None);
        check(json!([sidecar]), None);
        check(json!([container("ContainerCreating", "")]), None);
        let crashes = container("CrashLoopBackOff", "Error");
        check(json!([sidecar, crashes]), Some(("CrashLoopBackOff", 5)));
        let reason = "CrashLoopBackOff after OOMKilled";
        check(
            json!([container("CrashLoopBackOff", "OOMKilled")]),
            Some((reason, 4)),
        );
        check(json!([container("a\u{1b}[31m b", "")]), Some(("a31mb", 4)));
    }

    #[test]
    fn pods_are_found_by_labels_alone() {
        let check = |of: Value, expect: Option<&str>| assert_eq!(selector(&of).as_deref(), expect);
        check(
            json!({"matchLabels": {"tier": "back", "app": "worker"}}),
            Some("app=worker,tier=back"),
        );
        check(json!({"matchLabels": {}}), None);
        check(
            json!({"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "k"}]}),
            None,
        );
    }
}
