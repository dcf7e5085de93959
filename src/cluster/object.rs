//! A ScaledObject or ScaledJob, taken apart: its settings, its triggers, what it scales, which HPA works for it.

use std::collections::HashMap;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::config::metadata::fingerprint;
use crate::scaled_object::{FallbackBehavior, ObjectKind, ObjectSettings, Pause, Unread};

use super::failure::misunderstood;
use super::resource::Resource;

/// Namespace and name of a ScaledObject or ScaledJob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What somebody wrote.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    pub settings: ObjectSettings,
    /// The metadata of its external triggers, in the order of the spec, by fingerprint.
    pub triggers: Vec<u64>,
    /// What it scales; a ScaledJob scales nothing.
    pub target: Option<ScaleTarget>,
    pub hpa_name: Option<String>,
}

/// What is scaled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScaleTarget {
    pub resource: Resource,
    pub name: String,
}

pub(super) fn describe(kind: ObjectKind, found: &DynamicObject) -> Result<Described, Unread> {
    let word = match kind {
        ObjectKind::ScaledObject => "ScaledObject",
        ObjectKind::ScaledJob => "ScaledJob",
    };
    let odd = |why: &str| {
        let metadata = &found.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        misunderstood(&format!("{word} {namespace}/{name}"), why)
    };
    let spec = &found.data["spec"];
    if !spec.is_object() {
        return Err(odd("has no spec"));
    }
    let target = match kind {
        ObjectKind::ScaledObject => Some(
            target(spec, &found.data["status"])
                .ok_or_else(|| odd("names no scale target that streamgauge can look up"))?,
        ),
        ObjectKind::ScaledJob => None,
    };
    Ok(Described {
        settings: settings(kind, found),
        triggers: external(spec).map(metadata_of).collect(),
        target,
        hpa_name: plain(&found.data["status"]["hpaName"]),
    })
}

/// Triggers that ask an external scaler, streamgauge or another one.
fn external(spec: &Value) -> impl Iterator<Item = &Value> {
    let triggers = spec["triggers"].as_array().into_iter().flatten();
    triggers.filter(|trigger| {
        let kind = trigger["type"].as_str();
        matches!(kind, Some("external" | "external-push"))
    })
}

/// KEDA passes it on as it stands.
fn metadata_of(trigger: &Value) -> u64 {
    let pairs = trigger["metadata"].as_object().into_iter().flatten();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    fingerprint(&pairs.filter_map(text).collect::<HashMap<_, _>>())
}

/// By the status, in which KEDA resolved the kind; before that, by the reference itself.
fn target(spec: &Value, status: &Value) -> Option<ScaleTarget> {
    let reference = &spec["scaleTargetRef"];
    let name = plain(&reference["name"])?;
    let resolved = &status["scaleTargetGVKR"];
    let of_status = || {
        Some(Resource::new(
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

fn of_reference(reference: &Value) -> Option<Resource> {
    let version = reference["apiVersion"].as_str().unwrap_or("apps/v1");
    let (group, version) = version.split_once('/')?;
    let kind = match &reference["kind"] {
        Value::Null => "Deployment",
        kind => word(kind)?,
    };
    let plain_parts = is_plain(group) && is_plain(version);
    plain_parts.then(|| Resource::guessed(group, version, kind))
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

fn settings(kind: ObjectKind, found: &DynamicObject) -> ObjectSettings {
    let spec = &found.data["spec"];
    let default = ObjectSettings::default();
    let advanced = &spec["advanced"];
    let behavior = &advanced["horizontalPodAutoscalerConfig"]["behavior"];
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let formula = advanced["scalingModifiers"]["formula"].as_str();
    ObjectSettings {
        kind,
        triggers: u32::try_from(count(&spec["triggers"])).unwrap_or(u32::MAX),
        has_formula: formula.is_some_and(|formula| !formula.trim().is_empty()),
        has_value_metric: external(spec).any(|trigger| trigger["metricType"] == "Value"),
        min_replicas: whole(&spec["minReplicaCount"]).unwrap_or(default.min_replicas),
        max_replicas: whole(&spec["maxReplicaCount"]).unwrap_or(default.max_replicas),
        paused: pause(found),
        fallback_replicas: whole(&spec["fallback"]["replicas"]),
        fallback_behavior: fallback_behavior(&spec["fallback"]["behavior"]),
        polling_interval_seconds: whole(&spec["pollingInterval"]),
        cooldown_seconds: whole(&spec["cooldownPeriod"]),
        scale_down_window_seconds: whole(&behavior["scaleDown"]["stabilizationWindowSeconds"]),
        tolerance_up_milli: milli(&behavior["scaleUp"]["tolerance"]),
        tolerance_down_milli: milli(&behavior["scaleDown"]["tolerance"]),
    }
}

/// KEDA takes an unknown word for `static`, too.
fn fallback_behavior(word: &Value) -> FallbackBehavior {
    match word.as_str() {
        Some("currentReplicas") => FallbackBehavior::CurrentReplicas,
        Some("currentReplicasIfHigher") => FallbackBehavior::CurrentReplicasIfHigher,
        Some("currentReplicasIfLower") => FallbackBehavior::CurrentReplicasIfLower,
        Some("scalingModifiers") => FallbackBehavior::ScalingModifiers,
        _ => FallbackBehavior::Static,
    }
}

/// A Kubernetes quantity in thousandths: `0`, `0.05`, `50m`; what is finer is rounded up, as Kubernetes does.
fn milli(value: &Value) -> Option<u32> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (digits, unit) = match text.strip_suffix('m') {
        Some(digits) => (digits, 1.0),
        None => (text.as_str(), 1_000.0),
    };
    let number: f64 = digits.parse().ok()?;
    // A sum of tenths is no whole number of thousandths to the last bit.
    let milli = (number * unit - 1e-9).ceil();
    (0.0..=1e6).contains(&milli).then_some(milli as u32)
}

/// A whole number that can be a count of replicas or of seconds.
pub(super) fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok())
}

/// As KEDA reads its annotations: a count goes before a flag, and a flag that is not a boolean means yes.
fn pause(found: &DynamicObject) -> Option<Pause> {
    let annotations = found.metadata.annotations.as_ref()?;
    let annotation = |name: &str| annotations.get(&format!("autoscaling.keda.sh/{name}"));
    let set = |name: &str| annotation(name).is_some_and(|v| v.parse().unwrap_or(true));
    if let Some(at) = annotation("paused-replicas").and_then(|v| v.parse().ok()) {
        Some(Pause::At(at))
    } else if set("paused") {
        Some(Pause::AsItIs)
    } else if set("paused-scale-in") {
        Some(Pause::ScaleIn)
    } else if set("paused-scale-out") {
        Some(Pause::ScaleOut)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
