//! How adapters see the Kubernetes API: a reading of its statistics, taken when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::policy::replicas::UnreadKind;

/// Statistics since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterView {
    /// Whether everything asked for could be read the last time; `None` while nothing was.
    pub up: Option<bool>,
    /// Calls.
    pub calls: u64,
    /// Failed calls by class.
    pub errors: BTreeMap<UnreadKind, u64>,
}

/// Reads them; `None` where the API is not read at all.
pub type ClusterViews = Arc<dyn Fn() -> Option<ClusterView> + Send + Sync>;
