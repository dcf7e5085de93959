//! Kubernetes manifests as text and as values, document by document.

use serde::Deserialize as _;
use serde_yaml::{Deserializer, Value};

use super::emit;

/// One object.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// As it stands in the file, comments included.
    pub(super) text: String,
    /// What it says.
    pub(super) value: Value,
}

/// A file that is no YAML.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file}, document {document}: not valid YAML: {reason} (a Helm template has to be rendered first: helm template)"
)]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// Counted from 1; the reason counts lines within it.
    pub document: usize,
    /// What the parser said.
    pub reason: serde_yaml::Error,
}

/// What the API server adds to an object, and does not take back.
const OF_THE_SERVER: [&str; 5] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// The objects of a file; those of a `List` (as `kubectl get -o yaml` prints it) one by one.
///
/// # Errors
/// A document is no YAML.
pub fn read(file: &str, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut found = Vec::new();
    for (n, text) in documents(text).into_iter().enumerate() {
        let error = |reason| ManifestError {
            file: file.to_owned(),
            document: n + 1,
            reason,
        };
        let mut value = Value::deserialize(Deserializer::from_str(&text)).map_err(error)?;
        // `<<: *defaults`
        value.apply_merge().map_err(error)?;
        match field(&value, "items").and_then(Value::as_sequence) {
            Some(items) => found.extend(items.iter().map(of_a_list)),
            None if value.is_null() => {}
            None => found.push(Manifest { text, value }),
        }
    }
    Ok(found)
}

fn of_a_list(item: &Value) -> Manifest {
    let mut value = item.clone();
    if let Some(object) = value.as_mapping_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_mapping_mut) {
        for key in OF_THE_SERVER {
            metadata.remove(key);
        }
    }
    let text = emit::yaml(&value);
    Manifest { text, value }
}

/// The documents of a YAML stream, as they stand there.
fn documents(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in text.lines() {
        let starts = line.trim_end() == "---" || line.starts_with("--- ");
        if starts {
            found.push(String::new());
        } else if let Some(document) = found.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    found.retain(|document| !document.trim().is_empty());
    found
}

/// A key of a mapping, if it is one.
pub(super) fn field<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.as_mapping()?.get(key)
}

/// The value at the end of a path of keys.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| field(value, key))
}

/// A scalar as Kubernetes' tools would print it.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

impl Manifest {
    pub(super) fn kind(&self) -> &str {
        self.word(&["kind"]).unwrap_or_default()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.word(&["metadata", "name"])
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.word(&["metadata", "namespace"])
    }

    fn word(&self, path: &[&str]) -> Option<&str> {
        at(&self.value, path)?.as_str()
    }
}
