//! How an HPA is configured.

use std::time::Duration;

/// What an HPA is configured with. The defaults are Kubernetes' own.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSpec {
    /// Never fewer; at least 1.
    pub min_replicas: u32,
    /// Never more.
    pub max_replicas: u32,
    /// A ratio up to 1 + this stays where it is (`behavior.scaleUp.tolerance`).
    pub tolerance_up: f64,
    /// A ratio down to 1 − this stays where it is.
    pub tolerance_down: f64,
    /// The smallest recommendation of this time holds back a rise.
    pub stabilization_up: Duration,
    /// The largest recommendation of this time holds back a fall.
    pub stabilization_down: Duration,
    /// A rise within `scale_up_period` adds at most this share of the count at its start …
    pub scale_up_ratio: f64,
    /// … or so many pods, whichever is more.
    pub scale_up_pods: u32,
    /// The period of the two limits on rises. Falls are not limited (100 % per 15 s).
    pub scale_up_period: Duration,
    /// Whether there is a `behavior`. Without one a sync rises to twice the count or to 4, whichever is more, whatever the sync before did.
    pub has_behavior: bool,
}

impl Default for HpaSpec {
    fn default() -> Self {
        Self {
            min_replicas: 1,
            max_replicas: 100,
            tolerance_up: 0.1,
            tolerance_down: 0.1,
            stabilization_up: Duration::ZERO,
            stabilization_down: Duration::from_secs(300),
            scale_up_ratio: 1.0,
            scale_up_pods: 4,
            scale_up_period: Duration::from_secs(15),
            has_behavior: true,
        }
    }
}
