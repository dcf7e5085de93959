//! `/api/v1`: groups, decisions, incidents and sources as JSON. Field names are fixed by CONTRACT; what is unknown is null.

mod decision;
mod group;
pub(super) mod incident;
mod signal;
mod source;
pub(super) mod values;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::publish::DecisionRecord;

use self::decision::DecisionShape;
use self::group::GroupShape;
use self::incident::IncidentShape;
use self::source::SourceShape;
use super::http::HttpState;
use super::view::{self, GroupView};

/// Decisions or incidents in an answer, unless the query says otherwise.
const USUAL: usize = 100;
/// … and at most.
const MOST: usize = 1_000;

/// The routes of the API.
pub fn routes(state: HttpState) -> Router {
    Router::new()
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/groups/{name}", get(group))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/sources", get(sources))
        .with_state(state)
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("there is no group {0:?}; GET /api/v1/groups lists all")]
    NoSuchGroup(String),
    #[error("{0}")]
    Path(#[from] PathRejection),
    #[error("{0}")]
    Query(#[from] QueryRejection),
    #[error("limit must be 1 to {MOST}, is {0}")]
    Limit(usize),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoSuchGroup(_) => StatusCode::NOT_FOUND,
            Self::Path(rejection) => rejection.status(),
            Self::Query(_) | Self::Limit(_) => StatusCode::BAD_REQUEST,
        };
        let error = serde_json::json!({ "error": self.to_string() });
        (status, Json(error)).into_response()
    }
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupShape>,
}

async fn groups(State(state): State<HttpState>) -> Json<Groups> {
    let labels = state.registry.labels();
    let groups = views(&state)
        .iter()
        .map(|group| GroupShape::of(group, &labels))
        .collect();
    Json(Groups { groups })
}

async fn group(
    State(state): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<GroupShape>, ApiError> {
    let Path(name) = name?;
    let labels = state.registry.labels();
    views(&state)
        .iter()
        .find(|group| group.definition().name == name)
        .map(|group| Json(GroupShape::of(group, &labels)))
        .ok_or(ApiError::NoSuchGroup(name))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    group: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Decisions {
    decisions: Vec<DecisionShape>,
}

async fn decisions(
    State(state): State<HttpState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Decisions>, ApiError> {
    let Query(query) = query?;
    let (groups, limit) = asked_for(&state, query)?;
    let labels = state.registry.labels();
    let decisions = newest(&groups, limit)
        .into_iter()
        .map(|(name, record)| DecisionShape::of(name, &record, &labels))
        .collect();
    Ok(Json(Decisions { decisions }))
}

/// The newest decisions of all these groups, newest first.
fn newest(groups: &[GroupView], limit: usize) -> Vec<(&str, DecisionRecord)> {
    let mut all: Vec<(&str, DecisionRecord)> = groups
        .iter()
        .flat_map(|group| {
            let name = group.definition().name.as_str();
            let newest = group.history().into_iter().take(limit);
            newest.map(move |record| (name, record))
        })
        .collect();
    // Stable: within a group and a millisecond the newest stays first.
    all.sort_by_key(|(_, record)| std::cmp::Reverse(record.decision.at));
    all.truncate(limit);
    all
}

/// The groups that a query is about, and how many entries it wants.
fn asked_for(state: &HttpState, query: HistoryQuery) -> Result<(Vec<GroupView>, usize), ApiError> {
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::Limit(limit));
    }
    let mut groups = views(state);
    if let Some(wanted) = query.group {
        groups.retain(|group| group.definition().name == wanted);
        if groups.is_empty() {
            return Err(ApiError::NoSuchGroup(wanted));
        }
    }
    Ok((groups, limit))
}

#[derive(Serialize)]
struct Incidents {
    incidents: Vec<IncidentShape>,
}

/// Newest first.
async fn incidents(
    State(state): State<HttpState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Incidents>, ApiError> {
    let Query(query) = query?;
    let (groups, limit) = asked_for(&state, query)?;
    let of_group = |group: &GroupView| {
        let name = group.definition().name.clone();
        let all = group.snapshot().incidents.clone();
        all.into_iter()
            .map(move |incident| (name.clone(), incident))
    };
    let mut all: Vec<_> = groups.iter().flat_map(of_group).collect();
    all.sort_by_key(|(_, incident)| std::cmp::Reverse((incident.noticed_at, incident.number)));
    all.truncate(limit);
    let shapes = all
        .iter()
        .map(|(name, incident)| IncidentShape::of(name, incident));
    Ok(Json(Incidents {
        incidents: shapes.collect(),
    }))
}

#[derive(Serialize)]
struct Sources {
    sources: Vec<SourceShape>,
}

async fn sources(State(state): State<HttpState>) -> Json<Sources> {
    let sources = (state.views.sources)()
        .iter()
        .map(SourceShape::of)
        .collect();
    Json(Sources { sources })
}

fn views(state: &HttpState) -> Vec<GroupView> {
    view::groups(&state.registry, (state.now)())
}
