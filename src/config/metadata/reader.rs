//! Trigger metadata as a reader of keys: notes faults by key and never repeats a value.

use std::collections::HashMap;

use crate::config::keys::{self, Kind};
use crate::config::label::shown;

use super::error::{MetadataErrors, MetadataProblem};
use super::keys::{camel, in_camel_case, refusal};

/// More suggestions than an error has room for. Looking for one compares the key with every known one, and metadata may have thousands
/// of unknown keys.
const SUGGESTIONS: usize = 24;

/// The metadata with the faults found so far.
pub(super) struct MetadataReader<'m> {
    metadata: &'m HashMap<String, String>,
    known: Vec<String>,
    problems: Vec<MetadataProblem>,
}

impl<'m> MetadataReader<'m> {
    pub fn new(metadata: &'m HashMap<String, String>) -> Self {
        Self {
            metadata,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes every key that nobody asked for: unknown, not supported yet, or not for here, as a server's address where none is named
    /// by it.
    pub fn refuse_foreign_keys(&mut self, names_server: bool) {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let mut keys: Vec<&String> = self.metadata.keys().collect();
        keys.sort_unstable();
        let before = self.problems.len();
        for key in keys {
            let is_suggested = self.problems.len() < before + SUGGESTIONS;
            if let Some(text) = refusal(key, &known, names_server, is_suggested) {
                self.problems.push(MetadataProblem {
                    key: shown(key),
                    text,
                });
            }
        }
    }

    /// Notes a fault of a key, in camelCase.
    pub fn problem(&mut self, key: &str, text: &str) {
        self.problems.push(MetadataProblem {
            key: key.to_owned(),
            text: text.to_owned(),
        });
    }

    /// Notes a fault of a policy field that is named in snake_case; a field that already has one keeps it.
    pub fn problem_of_field(&mut self, field: &str, text: &str) {
        let (key, text) = (in_camel_case(field), in_camel_case(text));
        if !self.problems.iter().any(|problem| problem.key == key) {
            self.problems.push(MetadataProblem { key, text });
        }
    }

    /// All faults, if there are any.
    pub fn finish(self) -> Result<(), MetadataErrors> {
        MetadataErrors::unless_empty(self.problems)
    }

    /// Whether a key, in camelCase, is there and says something.
    pub fn has_key(&self, key: &str) -> bool {
        self.text(key).is_some()
    }

    /// The text of a key, in camelCase; an empty one is absence, as Helm charts write it.
    pub fn text(&self, key: &str) -> Option<&'m str> {
        self.metadata
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }
}

impl keys::KeyReader for MetadataReader<'_> {
    fn has(&self, name: &str) -> bool {
        self.has_key(&camel(name))
    }

    fn value<K: Kind>(&mut self, name: &'static str, kind: &K) -> Option<K::Value> {
        let key = camel(name);
        let found = self.text(&key).map(|text| kind.read_text(text));
        let found = found.transpose();
        let found = found.map_err(|fault| self.problem(&key, &fault));
        self.known.push(key);
        found.ok().flatten()
    }

    fn missing(&mut self, name: &'static str, advice: &str) {
        self.problem(&camel(name), &format!("is missing: {advice}"));
    }
}
