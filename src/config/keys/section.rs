//! One mapping of the file as a reader of keys.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::kind::{KeyReader, Kind};
use super::place::Place;
use crate::config::label::shown;
use crate::config::suggest::did_you_mean;

/// A mapping and its place. Every key asked for is a known key: what is left at [`OpenSection::finish`] is unknown.
pub struct OpenSection<'p> {
    place: Place<'p>,
    entries: BTreeMap<String, Value>,
    known: Vec<&'static str>,
}

impl<'p> OpenSection<'p> {
    /// `None`, with the fault noted, if the value is no mapping with text keys.
    pub fn open(value: Value, mut place: Place<'p>) -> Option<Self> {
        let Value::Mapping(mapping) = value else {
            let empty = if value.is_null() { "is empty: it " } else { "" };
            place.fault(format!(
                "{empty}must be a mapping, with one `key: value` per line"
            ));
            return None;
        };
        let mut entries = BTreeMap::new();
        for (key, value) in mapping {
            match key {
                Value::String(key) => drop(entries.insert(key, value)),
                _ => place.fault("has a key that is not a string: put it in quotes"),
            }
        }
        Some(Self {
            place,
            entries,
            known: Vec::new(),
        })
    }

    /// Refuses every key that nobody asked for; of those `later`, says that they are to come.
    pub fn finish(mut self, later: &[&str]) {
        for key in self.entries.keys() {
            let mut place = self.place.at(&shown(key));
            if later.contains(&key.as_str()) {
                place.fault("not supported yet: remove it");
            } else {
                place.fault(format!("unknown key: {}", did_you_mean(key, &self.known)));
            }
        }
    }
}

impl KeyReader for OpenSection<'_> {
    /// A key without a value is as good as none.
    fn has(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|value| !value.is_null())
    }

    fn value<K: Kind>(&mut self, name: &'static str, kind: &K) -> Option<K::Value> {
        self.known.push(name);
        let value = self.entries.remove(name)?;
        match value.is_null() {
            true => None,
            false => kind.read(value, &mut self.place.at(name)),
        }
    }

    fn missing(&mut self, name: &'static str, advice: &str) {
        self.place.missing(name, advice);
    }
}
