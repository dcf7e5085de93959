//! How adapters see the recording: a count, taken when somebody asks.

use std::sync::Arc;

/// Rows that could not be written since the start; `None` where nothing is recorded.
pub type RecordingView = Arc<dyn Fn() -> Option<u64> + Send + Sync>;
