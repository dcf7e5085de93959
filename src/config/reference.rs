//! The table of keys for readers: its sections for the docs, and the JSON Schema for editors.

use serde_json::{Value as Json, json};

pub use super::keys::{InnerKeys, KeyInfo, Standard, shown};

use super::keys::{Keys, schema};
use super::metadata::camel;
use super::table::{FileKeys, TriggerKeys};

/// A mapping of the file.
#[derive(Clone, Debug)]
pub struct SectionInfo {
    /// Where it stands, such as `sources[].redis`; empty for the file itself.
    pub path: String,
    /// Its keys.
    pub keys: Vec<KeyInfo>,
}

/// Every mapping of the file, from top to bottom.
pub fn sections() -> Vec<SectionInfo> {
    let mut all = Vec::new();
    collect(String::new(), FileKeys::describe(), &mut all);
    all
}

fn collect(path: String, keys: Vec<KeyInfo>, all: &mut Vec<SectionInfo>) {
    let at = all.len();
    for key in &keys {
        if let Some(inner) = &key.inner {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}{}", key.name, inner.suffix);
            collect(path, inner.keys.clone(), all);
        }
    }
    all.insert(at, SectionInfo { path, keys });
}

/// The keys of trigger metadata, each with its name there.
pub fn trigger_keys() -> Vec<(String, KeyInfo)> {
    let named = |key: KeyInfo| (camel(key.name), key);
    TriggerKeys::describe().into_iter().map(named).collect()
}

/// The JSON Schema of the file. It knows the form of each key; what keys mean together, only the program checks.
pub fn json_schema() -> Json {
    let mut whole = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "streamgauge configuration",
    });
    if let (Some(whole), Json::Object(keys)) = (whole.as_object_mut(), schema::<FileKeys>()) {
        whole.extend(keys);
    }
    whole
}

/// As [`json_schema`], as a file.
pub fn json_schema_text() -> String {
    let text = serde_json::to_string_pretty(&json_schema());
    format!("{}\n", text.unwrap_or_default())
}
