//! One mapping of the file as a reader of keys, and the place where its faults are noted.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{Kind, Reader};
use crate::config::error::Problem;
use crate::config::label::shown;
use crate::config::suggest::did_you_mean;

/// A place of the file, such as `sources[0].redis`, and the faults found so far.
pub struct Place<'p> {
    path: String,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Place<'p> {
    /// The file as a whole.
    pub fn root(problems: &'p mut Vec<Problem>) -> Self {
        let path = String::new();
        Self { path, problems }
    }

    /// The place of a key within this one; an empty key is the place itself.
    pub fn at(&mut self, key: &str) -> Place<'_> {
        Place {
            path: self.path_of(key),
            problems: self.problems,
        }
    }

    /// The place of an item of this list.
    pub fn item(&mut self, n: usize) -> Place<'_> {
        Place {
            path: format!("{}[{n}]", self.path),
            problems: self.problems,
        }
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    /// Notes a fault of this place.
    pub fn fault(&mut self, text: impl Into<String>) {
        self.problems.push(Problem::new(self.path.clone(), text));
    }

    /// Notes a fault of a key.
    pub fn fault_at(&mut self, key: &str, text: impl Into<String>) {
        self.at(key).fault(text);
    }

    /// Notes that a key is not there and what to do about it, unless its value is there and faulty.
    pub fn missing(&mut self, key: &str, advice: &str) {
        if !self.is_faulty(key) {
            self.fault_at(key, format!("is missing: {advice}"));
        }
    }

    /// Whether a fault of a key, or of anything within it, was noted.
    pub fn is_faulty(&self, key: &str) -> bool {
        let path = self.path_of(key);
        let within = |problem: &Problem| {
            let rest = problem.path.strip_prefix(&path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.problems.iter().any(within)
    }
}

/// A mapping and its place. Every key asked for is a known key: what is left at [`Section::finish`] is unknown.
pub struct Section<'p> {
    place: Place<'p>,
    entries: BTreeMap<String, Value>,
    known: Vec<&'static str>,
}

impl<'p> Section<'p> {
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

impl Reader for Section<'_> {
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
