//! How the API server answers: lists in pages, watches, refusals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::TOKEN;
use super::state::Cluster;

/// What is there even if nothing is in it.
const COLLECTIONS: [&str; 6] = [
    "/scaledobjects",
    "/scaledjobs",
    "/horizontalpodautoscalers",
    "/deployments",
    "/statefulsets",
    "/jobs",
];

pub async fn answer(
    State(shared): State<Arc<Mutex<Cluster>>>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let verb = match query.get("watch").map(String::as_str) {
        Some("true" | "1") => "watch",
        _ => "list",
    };
    let mut state = shared.lock().expect("the cluster");
    state.asked.push((verb.to_owned(), path.clone()));
    let token = request.headers().get(header::AUTHORIZATION);
    if token.is_none_or(|token| token.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return status(401, "Unauthorized");
    }
    if request.method() != Method::GET || state.objects.contains_key(&path) {
        return status(405, "MethodNotAllowed");
    }
    match state.fault(&path, verb) {
        Some((code, "")) => return status(code, "Fault"),
        Some((code, body)) => {
            let code = StatusCode::from_u16(code).expect("a status");
            return (code, body).into_response();
        }
        None => {}
    }
    let prefix = format!("{path}/");
    let is_there = COLLECTIONS.iter().any(|end| path.ends_with(end))
        || state.objects.keys().any(|of| of.starts_with(&prefix));
    if !is_there {
        return status(404, "NotFound");
    }
    if verb == "list" {
        return list(&state, &prefix, &query);
    }
    let from: u64 = query["resourceVersion"].parse().expect("a version");
    if from < state.oldest {
        return status(410, "Expired");
    }
    let seconds: u64 = query["timeoutSeconds"].parse().expect("a timeout");
    let end = Instant::now() + Duration::from_secs(seconds);
    state.watches += 1;
    let number = state.watches;
    drop(state);
    let (out, lines) = mpsc::channel(16);
    tokio::spawn(changes(shared, prefix, (from, number), end, out));
    Body::from_stream(ReceiverStream::new(lines)).into_response()
}

fn list(state: &Cluster, prefix: &str, query: &BTreeMap<String, String>) -> Response {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let (skip, limit) = (
        number("continue").unwrap_or(0),
        number("limit").unwrap_or(usize::MAX),
    );
    let label = query.get("labelSelector");
    let selected = |object: &&Value| {
        let labels = &object["metadata"]["labels"];
        label.is_none_or(|label| match label.split_once('=') {
            Some((key, value)) => labels[key] == value,
            None => labels[label].is_string(),
        })
    };
    let objects = state
        .objects
        .iter()
        .filter(|(path, _)| path.starts_with(prefix));
    let all: Vec<&Value> = objects.map(|(_, object)| object).filter(selected).collect();
    let page: Vec<&&Value> = all.iter().skip(skip).take(limit).collect();
    let next = skip + page.len();
    let next = match next < all.len() {
        true => next.to_string(),
        false => String::new(),
    };
    let version = state.version.to_string();
    axum::Json(json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": version, "continue": next}, "items": page,
    }))
    .into_response()
}

/// Sends every change below `prefix` until the time is over, the history is forgotten or a fault comes up.
async fn changes(
    shared: Arc<Mutex<Cluster>>,
    prefix: String,
    (mut from, number): (u64, u64),
    end: Instant,
    out: mpsc::Sender<Result<String, std::io::Error>>,
) {
    loop {
        let (news, lines) = {
            let state = shared.lock().expect("the cluster");
            if number <= state.watches_since || state.fault(&prefix, "watch").is_some() {
                return;
            }
            let changed = state.history.iter();
            let new = changed.filter(|(at, path, ..)| *at > from && path.starts_with(&prefix));
            let line = |(_, _, kind, object): &(u64, String, &str, Value)| {
                format!("{}\n", json!({"type": kind, "object": object}))
            };
            let lines: Vec<String> = new.map(line).collect();
            from = state.version;
            (Arc::clone(&state.changed).notified_owned(), lines)
        };
        for line in lines {
            if out.send(Ok(line)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(end) => return,
            () = out.closed() => return,
        }
    }
}

/// As the real one says it.
fn status(code: u16, reason: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).expect("a status");
    (code, axum::Json(body)).into_response()
}
