//! The dashboards as files, and what they ask.

use std::path::PathBuf;

use serde_json::Value;

pub const NAMES: [&str; 4] = ["load-skew", "scaling", "baselines", "streamgauge"];

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

pub fn dashboard(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json")));
    serde_json::from_str(&text.expect("readable")).expect("JSON")
}

/// What a dashboard asks.
pub struct Query {
    /// The panel or annotation.
    pub place: String,
    pub expression: String,
    /// How many at most; `None`: this moment only.
    pub points: Option<u64>,
}

/// Of panels and annotations.
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let most = panel["maxDataPoints"].as_u64().unwrap_or(240);
            found.push(Query {
                place: text(&panel["title"]),
                expression: text(&target["expr"]),
                points: (target["instant"] != true).then_some(most),
            });
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        found.push(Query {
            place: text(&annotation["name"]),
            expression: text(&annotation["expr"]),
            points: Some(240),
        });
    }
    found
}

/// Their expressions, with where each stands.
pub fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let queries = queries(dashboard).into_iter();
    queries
        .map(|query| (query.place, query.expression))
        .collect()
}
