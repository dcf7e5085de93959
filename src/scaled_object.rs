//! What Kubernetes and KEDA say of a ScaledObject or ScaledJob and of what it scales, in their words; pure. What follows from it
//! is decided elsewhere.

use serde::{Deserialize, Serialize};

/// A ScaledObject and what it scales, as read at one moment. What could not be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasObserved {
    /// Pods that exist, ready or not (`status.replicas` of the scale target, which is what the HPA divides by).
    pub current: Option<u32>,
    /// Pods asked for (`spec.replicas`).
    pub asked: Option<u32>,
    /// Pods that are ready.
    pub ready: Option<u32>,
    /// Pods of the newest template: they grow in number while a rollout goes on.
    pub updated: Option<u32>,
    /// The HPA that KEDA made; `None` if there is none or it cannot be read.
    pub hpa: Option<HpaObserved>,
    /// The settings of the ScaledObject itself.
    pub object: ObjectSettings,
    /// Why the scale target itself could not be read, although the ScaledObject was: then nobody knows what is ready.
    pub unread: Option<Unread>,
    /// Why pods do not become ready, where that can be read.
    #[serde(default)]
    pub waiting: Option<PodsWaiting>,
}

/// Pods whose containers Kubernetes does not get to run, for the reason that most of them have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodsWaiting {
    /// In its own words: `CrashLoopBackOff`, `ImagePullBackOff`.
    pub reason: String,
    /// How many pods.
    pub pods: u32,
    /// How often their containers were restarted, together.
    pub restarts: u32,
}

impl std::fmt::Display for PodsWaiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.pods, self.reason)?;
        match self.restarts {
            0 => Ok(()),
            1 => f.write_str(", 1 restart"),
            restarts => write!(f, ", {restarts} restarts"),
        }
    }
}

/// The state of an HPA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpaObserved {
    /// What it wants.
    pub desired: Option<u32>,
    /// What it complains of, in its own words.
    pub trouble: Option<String>,
}

/// What a ScaledObject says beside its triggers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSettings {
    /// What asks: an object that scales a workload, or one that starts jobs.
    pub kind: ObjectKind,
    /// Triggers of any type.
    pub triggers: u32,
    /// Whether `advanced.scalingModifiers` composes them by a formula.
    pub has_formula: bool,
    /// Whether one of its external triggers has `metricType: Value`.
    pub has_value_metric: bool,
    /// `minReplicaCount`.
    pub min_replicas: u32,
    /// `maxReplicaCount`.
    pub max_replicas: u32,
    /// Whether the ScaledObject tells KEDA not to scale the target.
    pub paused: Option<Pause>,
    /// `fallback.replicas`.
    pub fallback_replicas: Option<u32>,
    /// `fallback.behavior`.
    pub fallback_behavior: FallbackBehavior,
    /// `pollingInterval`.
    pub polling_interval_seconds: Option<u32>,
    /// `cooldownPeriod`.
    pub cooldown_seconds: Option<u32>,
    /// `behavior.scaleDown.stabilizationWindowSeconds`; `None` leaves the HPA at its default.
    pub scale_down_window_seconds: Option<u32>,
    /// `behavior.scaleUp.tolerance`, in thousandths; `None` leaves the HPA at its default, a tenth.
    pub tolerance_up_milli: Option<u32>,
    /// `behavior.scaleDown.tolerance`, likewise.
    pub tolerance_down_milli: Option<u32>,
}

impl Default for ObjectSettings {
    /// KEDA's own defaults.
    fn default() -> Self {
        Self {
            kind: ObjectKind::ScaledObject,
            triggers: 1,
            has_formula: false,
            has_value_metric: false,
            min_replicas: 0,
            max_replicas: 100,
            paused: None,
            fallback_replicas: None,
            fallback_behavior: FallbackBehavior::Static,
            polling_interval_seconds: None,
            cooldown_seconds: None,
            scale_down_window_seconds: None,
            tolerance_up_milli: None,
            tolerance_down_milli: None,
        }
    }
}

/// What KEDA makes of `fallback.replicas` while a scaler fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackBehavior {
    /// That many, whatever runs.
    #[default]
    Static,
    /// The count that runs.
    CurrentReplicas,
    /// The count that runs, where it is higher.
    CurrentReplicasIfHigher,
    /// The count that runs, where it is lower.
    CurrentReplicasIfLower,
    /// Left to the formula of `advanced.scalingModifiers`.
    ScalingModifiers,
}

/// The kinds of KEDA's objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// Scales a workload through an HPA.
    #[default]
    ScaledObject,
    /// Starts jobs.
    ScaledJob,
}

/// How a ScaledObject is paused, by an annotation of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// `paused`: at the count it has.
    AsItIs,
    /// `paused-replicas`: at this count.
    At(u32),
    /// `paused-scale-in`: it may only rise.
    ScaleIn,
    /// `paused-scale-out`: it may only fall.
    ScaleOut,
}

impl Pause {
    /// That KEDA does not follow, as a sentence.
    pub fn sentence(self) -> String {
        match self {
            Self::AsItIs => {
                "The ScaledObject is paused (autoscaling.keda.sh/paused): KEDA does not apply the replica count.".to_owned()
            }
            Self::At(replicas) => format!(
                "The ScaledObject is paused at {replicas} (autoscaling.keda.sh/paused-replicas): KEDA does not apply the replica count."
            ),
            Self::ScaleIn => {
                "Scale-in is paused (autoscaling.keda.sh/paused-scale-in): KEDA only scales out.".to_owned()
            }
            Self::ScaleOut => {
                "Scale-out is paused (autoscaling.keda.sh/paused-scale-out): KEDA only scales in.".to_owned()
            }
        }
    }
}

/// Why the Kubernetes API told nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Unread {
    /// The class.
    pub kind: UnreadKind,
    /// What happened and what to do.
    pub text: String,
}

/// Classes of failed readings. A closed set: it is a label value. Words as for sources where they mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadKind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The API server answers, but not with data now.
    Transient,
    /// The API server asks to be asked less often.
    Throttled,
    /// Not allowed to read this.
    Auth,
    /// There is no such object.
    NotFound,
    /// The answer could not be understood.
    Protocol,
    /// There is no usable address or credential to ask with.
    Misconfigured,
}

impl UnreadKind {
    /// Every class, in label order.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Transient,
        Self::Throttled,
        Self::Auth,
        Self::NotFound,
        Self::Protocol,
        Self::Misconfigured,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Protocol => "protocol",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether the API server itself is in trouble, so that asking it for the next object is pointless now.
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Transient | Self::Throttled
        )
    }
}
