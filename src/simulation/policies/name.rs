//! Policies by name: `keda-lag:128`, `flink`, `static:12`, …

use std::fmt;
use std::str::FromStr;

use crate::autoscaler::hpa::HpaSpec;
use crate::autoscaler::keda::ScaledObjectSpec;
use crate::model::identity::{Assignment, PartitionId};
use crate::policy::spec::TargetSpec;
use crate::simulation::plant::PlantSpec;
use crate::simulation::workload::Workload;

use super::{Clairvoyant, Cpu, Flink, KedaLag, Numaflow, Ours, OursSpec, Policy, Static};

/// A policy with its setting.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyName {
    /// This product's, with these settings.
    Streamgauge {
        /// `streamgauge`, and what differs from the defaults.
        label: String,
        /// The settings.
        target: Box<TargetSpec>,
        /// Whether it has seen the workload once before.
        learned: bool,
    },
    /// KEDA's built-in scalers with so many messages per replica.
    KedaLag(u64),
    /// Flink's autoscaler, tuned for latency.
    Flink,
    /// Flink's autoscaler with its defaults.
    FlinkDefault,
    /// Numaflow's autoscaler.
    Numaflow,
    /// A fixed count.
    Static(u32),
    /// The HPA on so many percent of CPU.
    Cpu(u32),
    /// Who knows what comes.
    Clairvoyant,
}

/// What [`PolicyName::from_str`] says of anything else. Settings of `streamgauge` and the best `keda-lag` are read by the command.
const KNOWN: &str = "streamgauge, streamgauge:KEY=VALUE,…, keda-lag:MESSAGES, keda-lag, flink, flink-default, numaflow, static:REPLICAS, cpu:PERCENT, clairvoyant";

/// The ScaledObject that every policy behind KEDA stands on.
fn scaled_object(partitions: &[PartitionId], plant: &PlantSpec) -> ScaledObjectSpec {
    let max_replicas = match plant.assignment {
        Assignment::Exclusive => plant.max_replicas.min(partitions.len() as u32),
        Assignment::Shared => plant.max_replicas,
    };
    let usual = ScaledObjectSpec::default();
    let cluster = plant.cluster.as_ref();
    ScaledObjectSpec {
        min_replicas: plant.min_replicas,
        polling_interval: cluster.map_or(usual.polling_interval, |c| c.polling_interval),
        cooldown: cluster.map_or(usual.cooldown, |c| c.cooldown),
        hpa: HpaSpec {
            max_replicas,
            min_replicas: plant.min_replicas.max(1),
            // Who sets none gets none from KEDA.
            has_behavior: cluster.is_none(),
            ..HpaSpec::default()
        },
        ..usual
    }
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let number = |what: &str| {
            value
                .and_then(|value| value.parse::<u32>().ok())
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("{name} needs {what} above 0, as in `{name}:10`"))
        };
        let plain = |policy: Self| match value {
            None => Ok(policy),
            Some(_) => Err(format!("{name} takes no value")),
        };
        match name {
            "streamgauge" => plain(Self::streamgauge(
                "streamgauge".into(),
                TargetSpec::default(),
            )),
            "keda-lag" => number("messages per replica").map(|n| Self::KedaLag(n.into())),
            "flink" => plain(Self::Flink),
            "flink-default" => plain(Self::FlinkDefault),
            "numaflow" => plain(Self::Numaflow),
            "clairvoyant" => plain(Self::Clairvoyant),
            "static" => number("a count").map(Self::Static),
            "cpu" => number("percent").map(Self::Cpu),
            _ => Err(format!("unknown policy `{name}`; must be one of: {KNOWN}")),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streamgauge { label, .. } => f.write_str(label),
            Self::KedaLag(threshold) => write!(f, "keda-lag:{threshold}"),
            Self::Flink => f.write_str("flink"),
            Self::FlinkDefault => f.write_str("flink-default"),
            Self::Numaflow => f.write_str("numaflow"),
            Self::Static(count) => write!(f, "static:{count}"),
            Self::Cpu(percent) => write!(f, "cpu:{percent}"),
            Self::Clairvoyant => f.write_str("clairvoyant"),
        }
    }
}

impl PolicyName {
    /// This product's policy with settings, under a name that tells them.
    pub fn streamgauge(label: String, target: TargetSpec) -> Self {
        Self::Streamgauge {
            label,
            target: Box::new(target),
            learned: false,
        }
    }

    /// The same, but it has seen the workload once before. Others have nothing to learn.
    #[must_use]
    pub fn having_learned(self) -> Self {
        match self {
            Self::Streamgauge { label, target, .. } => Self::Streamgauge {
                label,
                target,
                learned: true,
            },
            other => other,
        }
    }

    /// This product's policy, ready to run on such a plant.
    pub fn ours(target: TargetSpec, partitions: &[PartitionId], plant: &PlantSpec) -> Ours {
        Self::build_ours(target, false, partitions, plant)
    }

    fn build_ours(
        target: TargetSpec,
        learned: bool,
        partitions: &[PartitionId],
        plant: &PlantSpec,
    ) -> Ours {
        let target = TargetSpec {
            assignment: plant.assignment,
            min_replicas: target.min_replicas.max(plant.min_replicas),
            max_replicas: target.max_replicas.min(plant.max_replicas),
            ..target
        };
        let spec = OursSpec {
            poll_interval: plant.poll_interval,
            learned,
            ..OursSpec::new(target, scaled_object(partitions, plant))
        };
        let spec = match plant.cluster {
            Some(_) => spec.as_in_the_manifests(),
            None => spec,
        };
        Ours::new(spec, partitions)
    }

    /// The policy, ready to run `workload` on such a plant.
    pub fn build(&self, workload: &Workload, plant: &PlantSpec) -> Box<dyn Policy> {
        let partitions = workload.trace.partitions();
        let object = scaled_object(partitions, plant);
        let hpa = object.hpa.clone();
        match self {
            Self::Streamgauge {
                target, learned, ..
            } => {
                let target = (**target).clone();
                Box::new(Self::build_ours(target, *learned, partitions, plant))
            }
            Self::KedaLag(threshold) => Box::new(KedaLag::new(*threshold, object)),
            Self::Flink => Box::new(Flink::tuned()),
            Self::FlinkDefault => Box::new(Flink::default()),
            Self::Numaflow => Box::new(Numaflow::default()),
            Self::Static(count) => Box::new(Static(*count)),
            Self::Cpu(percent) => Box::new(Cpu::new(f64::from(*percent), hpa)),
            Self::Clairvoyant => Box::new(Clairvoyant::new(workload.trace.clone())),
        }
    }
}
