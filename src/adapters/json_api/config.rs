//! The configuration in force, and what to write to use it.

use serde::Serialize;
use serde_yaml::Value;

use crate::config::types::{Config, GroupConfig};

/// What is in force, and what to write to use it.
#[derive(Serialize)]
pub(super) struct ConfigShape {
    config: Value,
    /// The same as text.
    yaml: String,
    /// Of every group of the config, a ScaledObject to start from.
    scaled_objects: Vec<ScaledObjectShape>,
}

#[derive(Serialize)]
struct ScaledObjectShape {
    group: String,
    yaml: String,
}

impl ConfigShape {
    pub(super) fn of(config: &Config) -> Self {
        let shape = config.to_yaml();
        let scaled_objects = config.groups.iter().map(|group| ScaledObjectShape {
            group: group.name.clone(),
            yaml: scaled_object(group),
        });
        Self {
            yaml: serde_yaml::to_string(&shape).unwrap_or_default(),
            scaled_objects: scaled_objects.collect(),
            config: shape,
        }
    }
}

/// A ScaledObject for a group of the config, to copy and fill in. Every line of it is meant; `manifests/scaledobject-example.yaml` says why.
fn scaled_object(group: &GroupConfig) -> String {
    let spec = group.policy.resolve();
    let (min, max) = (spec.min_replicas, spec.max_replicas);
    // A JSON text is a YAML text, too.
    let name = serde_json::to_string(&group.name).unwrap_or_default();
    let fallback = max.div_ceil(10).max(min).max(1);
    format!(
        "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: your-consumers
  namespace: your-namespace
spec:
  scaleTargetRef:
    name: your-consumers
  pollingInterval: 5
  cooldownPeriod: 60
  # The same bounds as the group's.
  minReplicaCount: {min}
  maxReplicaCount: {max}
  # Used while the backlog is unknown: set replicas to what must keep running, never to 0.
  fallback:
    failureThreshold: 3
    replicas: {fallback}
  triggers:
    - type: external-push
      metadata:
        scalerAddress: streamgauge.streamgauge.svc:9090
        group: {name}
  advanced:
    horizontalPodAutoscalerConfig:
      # The answer is already a replica count, and streamgauge holds scale-in itself.
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
        scaleDown:
          stabilizationWindowSeconds: 0
          policies:
            - type: Percent
              value: 100
              periodSeconds: 15
"
    )
}
