//! How adapters see an API that is called: its statistics, read on demand.

use std::sync::Arc;

/// Statistics since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallsView {
    /// Whether the last read succeeded completely; `None` before the first one.
    pub up: Option<bool>,
    /// Calls.
    pub calls: u64,
    /// Failed calls of every class there is.
    pub errors: Vec<(&'static str, u64)>,
}

/// Reads them; `None` where the API is not called at all.
pub type CallsViews = Arc<dyn Fn() -> Option<CallsView> + Send + Sync>;
