//! `/api/v1`: groups and their past, decisions, incidents, sources, the service and its config as JSON, and changes as events. Field names: docs/api.md; what is unknown is null.

mod answer;
mod config;
mod decision;
mod events;
mod group;
pub(super) mod incident;
mod past;
mod service;
mod source;
mod target;
pub(super) mod values;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Router, middleware};
use serde::{Deserialize, Serialize};

use crate::inbound::seats::Seats;
use crate::publish::DecisionRecord;

use self::answer::{ApiError, MOST, views};
use self::config::ConfigShape;
use self::decision::DecisionShape;
use self::group::GroupShape;
use self::incident::IncidentShape;
use self::service::ServiceShape;
use self::source::SourceShape;
use self::target::Askers;
use super::packed::{Answers, PackedJson, by_turns};
use super::view::GroupView;
use super::views::HttpState;

/// Decisions or incidents in an answer, unless the query says otherwise.
const USUAL: usize = 100;

/// The routes of the API.
pub fn routes(state: HttpState, answers: Answers) -> Router {
    let listeners = Arc::new(Seats::new(events::MOST_LISTENERS));
    let listening = Router::new()
        .route("/api/v1/events", get(events::events))
        .with_state((state.clone(), listeners));
    Router::new()
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/groups/{name}", get(group))
        .route("/api/v1/groups/{name}/history", get(past::history))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/service", get(service))
        .route("/api/v1/config", get(config))
        .with_state(state)
        .layer(middleware::from_fn_with_state(answers, by_turns))
        // A line that stands for long is no answer: it neither takes a turn nor waits for one.
        .merge(listening)
}

#[derive(Serialize)]
struct GroupsBody {
    groups: Vec<GroupShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsQuery {
    partitions: Option<bool>,
}

async fn groups(
    State(state): State<HttpState>,
    query: Result<Query<GroupsQuery>, QueryRejection>,
) -> Result<PackedJson<GroupsBody>, ApiError> {
    let Query(query) = query?;
    let shape = match query.partitions {
        None | Some(true) => GroupShape::of,
        Some(false) => GroupShape::summary,
    };
    let askers = Askers::of(&state);
    let groups = views(&state);
    let groups = groups.iter().map(|group| shape(group, &askers));
    Ok(PackedJson(GroupsBody {
        groups: groups.collect(),
    }))
}

async fn group(
    State(state): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<PackedJson<GroupShape>, ApiError> {
    let Path(name) = name?;
    let askers = Askers::of(&state);
    views(&state)
        .iter()
        .find(|group| group.definition().name == name)
        .map(|group| PackedJson(GroupShape::of(group, &askers)))
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
) -> Result<PackedJson<Decisions>, ApiError> {
    let Query(query) = query?;
    let (groups, limit) = asked_for(&state, query)?;
    let labels = state.registry.labels();
    let decisions = newest(&groups, limit)
        .into_iter()
        .map(|(name, record)| DecisionShape::of(name, &record, &labels))
        .collect();
    Ok(PackedJson(Decisions { decisions }))
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
struct IncidentsBody {
    incidents: Vec<IncidentShape>,
}

/// Newest first.
async fn incidents(
    State(state): State<HttpState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<PackedJson<IncidentsBody>, ApiError> {
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
    Ok(PackedJson(IncidentsBody {
        incidents: shapes.collect(),
    }))
}

#[derive(Serialize)]
struct SourcesBody {
    sources: Vec<SourceShape>,
}

async fn sources(State(state): State<HttpState>) -> PackedJson<SourcesBody> {
    let sources = (state.views.sources)()
        .iter()
        .map(SourceShape::of)
        .collect();
    PackedJson(SourcesBody { sources })
}

async fn service(State(state): State<HttpState>) -> PackedJson<ServiceShape> {
    PackedJson(ServiceShape::of(&state))
}

async fn config(State(state): State<HttpState>) -> PackedJson<ConfigShape> {
    PackedJson(ConfigShape::of(&state.registry.config()))
}
