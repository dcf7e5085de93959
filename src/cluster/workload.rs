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
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Replicas {
    pub current: u32,
    pub asked: Option<u32>,
    pub ready: Option<u32>,
    pub updated: Option<u32>,
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
}
