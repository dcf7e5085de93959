//! `/api/v1`: groups and their past, decisions, incidents, sources, the service and its config as JSON, and changes as events. Field names: docs/api.md; what is unknown is null.

mod answer;
mod config;
mod decision;
mod events;
mod group;
pub(super) mod incident;
mod looking_back;
mod past;
mod service;
mod source;
mod target;
pub(super) mod values;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde::{Deserialize, Serialize};

use crate::inbound::seats::Seats;
use crate::publish::DecisionRecord;

use self::answer::{ApiError, MOST};
use self::config::ConfigShape;
use self::decision::DecisionShape;
use self::group::GroupShape;
use self::incident::IncidentShape;
use self::looking_back::{PastTime, answer, by_turns_now};
use self::past::USUAL_REACH;
use self::service::ServiceShape;
use self::source::SourceShape;
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
    let now_or_then = Router::new()
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/groups/{name}", get(group))
        .route("/api/v1/groups/{name}/history", get(past::history))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/incidents", get(incidents))
        .with_state(state.clone());
    let turns = middleware::from_fn_with_state(answers.clone(), by_turns_now);
    let now_or_then = now_or_then.layer(turns);
    Router::new()
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/service", get(service))
        .route("/api/v1/config", get(config))
        .with_state(state)
        .layer(middleware::from_fn_with_state(answers, by_turns))
        .merge(now_or_then)
        // A line that stands for long is no answer: it neither takes a turn nor waits for one.
        .merge(listening)
}

#[derive(Serialize)]
struct GroupsBody {
    groups: Vec<GroupShape>,
    /// Why others are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsQuery {
    partitions: Option<bool>,
    at: Option<PastTime>,
}

async fn groups(
    State(state): State<HttpState>,
    query: Result<Query<GroupsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let shape = match query.partitions {
        None | Some(true) => GroupShape::of,
        Some(false) => GroupShape::summary,
    };
    answer(state, query.at, Duration::ZERO, move |shown| {
        let mut problems = Vec::new();
        let groups = shown.groups(None)?.filter_map(|group| {
            let group = group.map_err(|error| problems.push(error.to_string()));
            Some(shape(&group.ok()?, &shown.askers))
        });
        let groups = groups.collect();
        Ok(PackedJson(GroupsBody { groups, problems }).into_response())
    })
    .await
}

#[derive(Deserialize)]
struct GroupQuery {
    at: Option<PastTime>,
}

async fn group(
    State(state): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<GroupQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let (Path(name), Query(query)) = (name?, query?);
    answer(state, query.at, USUAL_REACH, move |shown| {
        let group = shown.group(&name)?;
        Ok(PackedJson(GroupShape::of(&group, &shown.askers)).into_response())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    group: Option<String>,
    limit: Option<usize>,
    at: Option<PastTime>,
}

impl HistoryQuery {
    /// How many entries it wants.
    fn limit(&self) -> Result<usize, ApiError> {
        match self.limit.unwrap_or(USUAL) {
            limit if (1..=MOST).contains(&limit) => Ok(limit),
            limit => Err(ApiError::Limit(limit)),
        }
    }

    /// The same as for the group itself, so that it need not be computed twice.
    fn reach(&self) -> Duration {
        self.group.as_ref().map_or(Duration::ZERO, |_| USUAL_REACH)
    }
}

#[derive(Serialize)]
struct Decisions {
    decisions: Vec<DecisionShape>,
}

async fn decisions(
    State(state): State<HttpState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let limit = query.limit()?;
    answer(state, query.at, query.reach(), move |shown| {
        let groups = shown.groups(query.group.as_deref())?;
        let groups: Vec<GroupView> = groups.collect::<Result<_, _>>()?;
        let decisions = newest(&groups, limit)
            .into_iter()
            .map(|(name, record)| DecisionShape::of(name, &record, shown.askers.labels()))
            .collect();
        Ok(PackedJson(Decisions { decisions }).into_response())
    })
    .await
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

#[derive(Serialize)]
struct IncidentsBody {
    incidents: Vec<IncidentShape>,
}

/// Newest first.
async fn incidents(
    State(state): State<HttpState>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let limit = query.limit()?;
    answer(state, query.at, query.reach(), move |shown| {
        let mut all = Vec::new();
        for group in shown.groups(query.group.as_deref())? {
            let group = group?;
            let name = group.definition().name.clone();
            let of_group = group.snapshot().incidents.iter().cloned();
            all.extend(of_group.map(|incident| (name.clone(), incident)));
        }
        all.sort_by_key(|(_, incident)| std::cmp::Reverse((incident.noticed_at, incident.number)));
        all.truncate(limit);
        let shapes = all
            .iter()
            .map(|(name, incident)| IncidentShape::of(name, incident));
        let incidents = shapes.collect();
        Ok(PackedJson(IncidentsBody { incidents }).into_response())
    })
    .await
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
