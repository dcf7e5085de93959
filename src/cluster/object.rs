//! A ScaledObject, taken apart: its settings, what it scales, which HPA works for it.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::model::time::Timestamp;
use crate::policy::replicas::{ObjectSettings, Pause, Unread};

use super::failure::{Asked, misunderstood};
use super::workload::Hpa;

/// Namespace and name of a ScaledObject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What changes only when somebody edits it, with the moment it was read at.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub at: Timestamp,
    pub settings: ObjectSettings,
    pub target: ScaleTarget,
    pub hpa_name: Option<String>,
    pub hpa: Option<Hpa>,
}

/// What is scaled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScaleTarget {
    pub resource: ApiResource,
    pub name: String,
}

pub(super) fn scaled_objects() -> ApiResource {
    resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
}

pub(super) fn autoscalers() -> ApiResource {
    let kind = "HorizontalPodAutoscaler";
    resource("autoscaling", "v2", kind, "horizontalpodautoscalers")
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

pub(super) fn describe(
    name: &ObjectName,
    at: Timestamp,
    found: &DynamicObject,
) -> Result<Described, Unread> {
    let odd = |why: &str| {
        let asked = Asked {
            resource: &scaled_objects(),
            namespace: &name.namespace,
            name: &name.name,
        };
        misunderstood(&asked, why)
    };
    let spec = &found.data["spec"];
    if !spec.is_object() {
        return Err(odd("has no spec"));
    }
    let target = target(spec, &found.data["status"])
        .ok_or_else(|| odd("names no scale target that can be asked for"))?;
    Ok(Described {
        at,
        settings: settings(found),
        target,
        hpa_name: plain(&found.data["status"]["hpaName"]),
        hpa: None,
    })
}

/// By the status, in which KEDA resolved the kind; before that, by the reference itself.
fn target(spec: &Value, status: &Value) -> Option<ScaleTarget> {
    let reference = &spec["scaleTargetRef"];
    let name = plain(&reference["name"])?;
    let resolved = &status["scaleTargetGVKR"];
    let of_status = || {
        Some(resource(
            &plain(&resolved["group"])?,
            &plain(&resolved["version"])?,
            word(&resolved["kind"])?,
            &plain(&resolved["resource"])?,
        ))
    };
    let resource = match of_status() {
        Some(resource) => resource,
        None => of_reference(reference)?,
    };
    Some(ScaleTarget { resource, name })
}

fn of_reference(reference: &Value) -> Option<ApiResource> {
    let version = reference["apiVersion"].as_str().unwrap_or("apps/v1");
    let (group, version) = version.split_once('/')?;
    let kind = match &reference["kind"] {
        Value::Null => "Deployment",
        kind => word(kind)?,
    };
    let plain_parts = is_plain(group) && is_plain(version);
    plain_parts.then(|| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

/// A name as Kubernetes allows it. Whoever writes ScaledObjects chooses these: they must not lead to another path.
fn plain(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    is_plain(text).then(|| text.to_owned())
}

fn is_plain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    text.len() <= 253
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes.iter().copied().all(inner)
}

impl ObjectName {
    /// Whether Kubernetes could have an object of that name.
    pub fn is_possible(&self) -> bool {
        is_plain(&self.namespace) && is_plain(&self.name)
    }
}

/// A kind, such as `StatefulSet`.
fn word(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let is_word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word.then_some(text)
}

fn settings(found: &DynamicObject) -> ObjectSettings {
    let spec = &found.data["spec"];
    let default = ObjectSettings::default();
    let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
    ObjectSettings {
        kind: default.kind,
        triggers: default.triggers,
        has_formula: default.has_formula,
        has_value_metric: default.has_value_metric,
        min_replicas: whole(&spec["minReplicaCount"]).unwrap_or(default.min_replicas),
        max_replicas: whole(&spec["maxReplicaCount"]).unwrap_or(default.max_replicas),
        paused: pause(found),
        fallback_replicas: whole(&spec["fallback"]["replicas"]),
        polling_interval_seconds: whole(&spec["pollingInterval"]),
        cooldown_seconds: whole(&spec["cooldownPeriod"]),
        scale_down_window_seconds: whole(&behavior["scaleDown"]["stabilizationWindowSeconds"]),
    }
}

/// A whole number that can be a count of replicas or of seconds.
pub(super) fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok())
}

/// As KEDA reads its annotations: a count goes before a flag, and a flag that is no boolean means yes.
fn pause(found: &DynamicObject) -> Option<Pause> {
    let annotations = found.metadata.annotations.as_ref()?;
    let annotation = |name: &str| annotations.get(&format!("autoscaling.keda.sh/{name}"));
    let set = |name: &str| annotation(name).is_some_and(|v| v.parse().unwrap_or(true));
    match () {
        () if let Some(at) = annotation("paused-replicas").and_then(|v| v.parse().ok()) => {
            Some(Pause::At(at))
        }
        () if set("paused") => Some(Pause::AsItIs),
        () if set("paused-scale-in") => Some(Pause::ScaleIn),
        () if set("paused-scale-out") => Some(Pause::ScaleOut),
        () => None,
    }
}

#[cfg(test)]
mod tests;
