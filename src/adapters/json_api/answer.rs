//! What answers have in common: which groups they are about, and why a request is refused.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::adapters::view::{self, GroupView};
use crate::adapters::views::HttpState;
use crate::publish::archive::PastError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("group {0:?} does not exist; GET /api/v1/groups lists all groups")]
    NoSuchGroup(String),
    #[error("{0}")]
    Path(#[from] PathRejection),
    #[error("{0}")]
    Query(#[from] QueryRejection),
    #[error(
        "streamgauge keeps no journal, so it cannot show the past: set state.dir in the config, and do not disable state.journal"
    )]
    NoJournal,
    #[error("{0}")]
    Past(PastError),
    #[error("limit must be 1 to {MOST}, not {0}")]
    Limit(usize),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoSuchGroup(_)
            | Self::NoJournal
            | Self::Past(PastError::NotKept { .. } | PastError::NoSuchGroup(_)) => {
                StatusCode::NOT_FOUND
            }
            Self::Past(PastError::Unreadable(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Past(PastError::TooLong) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Path(rejection) => rejection.status(),
            Self::Query(_) | Self::Limit(_) | Self::Past(PastError::Future { .. }) => {
                StatusCode::BAD_REQUEST
            }
        };
        let error = serde_json::json!({ "error": self.to_string() });
        (status, Json(error)).into_response()
    }
}

/// Decisions or incidents in an answer, at most.
pub(super) const MOST: usize = 1_000;

/// Every group, as of now.
pub(super) fn views(state: &HttpState) -> Vec<GroupView> {
    view::groups(&state.registry, (state.now)())
}
