//! One mapping of the configuration: takes known keys out of it, notes every fault, refuses what is left over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_yaml::Value;

use super::duration::{self, POLL_INTERVAL};
use super::error::Problem;
use super::kubernetes::Enabled;
use super::label::shown;
use super::suggest::did_you_mean;

/// A mapping and its place. Every key asked for is a known key: what is left at [`Section::finish`] is unknown.
pub(super) struct Section<'p> {
    path: String,
    entries: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Section<'p> {
    /// `None`, with the fault noted, if the value is no mapping with text keys.
    pub fn open(path: String, value: Value, problems: &'p mut Vec<Problem>) -> Option<Self> {
        let Value::Mapping(mapping) = value else {
            let what = if value.is_null() {
                "is empty"
            } else {
                "is of another shape"
            };
            problems.push(Problem::new(
                path,
                format!("{what}: must be a mapping, lines of `key: value`"),
            ));
            return None;
        };
        let mut entries = BTreeMap::new();
        for (key, value) in mapping {
            match key {
                Value::String(key) => {
                    entries.insert(key, value);
                }
                _ => problems.push(Problem::new(
                    path.clone(),
                    "has a key that is no text: put it in quotes",
                )),
            }
        }
        Some(Self {
            path,
            entries,
            known: Vec::new(),
            problems,
        })
    }

    /// The place of a key.
    pub fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    /// Notes a fault of one key; an empty key is the section itself.
    pub fn problem(&mut self, key: &str, text: impl Into<String>) {
        let path = self.path_of(key);
        self.problems.push(Problem::new(path, text));
    }

    /// Notes that a key is not there and what to do about it.
    pub fn missing(&mut self, key: &str, advice: &str) {
        self.problem(key, format!("is missing: {advice}"));
    }

    /// Whether a key is there, be its value right or wrong. To be asked before it is taken.
    pub fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|value| !value.is_null())
    }

    /// Whether the value of a key is a mapping. To be asked before it is taken.
    pub fn is_mapping(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(Value::is_mapping)
    }

    /// Whether a fault of a key was noted.
    pub fn has_problem(&self, key: &str) -> bool {
        let path = self.path_of(key);
        self.problems.iter().any(|problem| problem.path == path)
    }

    /// Whether a fault of a key, or of anything within it, was noted.
    pub fn has_problem_within(&self, key: &str) -> bool {
        let path = self.path_of(key);
        let within = |problem: &Problem| {
            let rest = problem.path.strip_prefix(&path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.problems.iter().any(within)
    }

    /// Where faults of parts are noted.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// The value of a key as it stands; `null` is absence.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.entries.remove(key).filter(|value| !value.is_null())
    }

    /// Refuses keys that the interface names but the program does not support yet. Returns whether any was there.
    pub fn later(&mut self, keys: &[&str]) -> bool {
        let mut any = false;
        for key in keys {
            if self.entries.remove(*key).is_some() {
                self.problem(key, "not supported yet: remove it");
                any = true;
            }
        }
        any
    }

    fn scalar<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let found = read(&value);
        if found.is_none() {
            self.problem(key, format!("must be {expected}"));
        }
        found
    }

    /// Text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.scalar(key, "text: put it in quotes", |v| {
            v.as_str().map(str::to_owned)
        })
    }

    /// The path of a file.
    pub fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        self.scalar(key, "the path of a file", |v| {
            v.as_str().filter(|path| !path.is_empty()).map(Into::into)
        })
    }

    /// Text that has to be there; its absence is noted with `advice`.
    pub fn required_text(&mut self, key: &'static str, advice: &str) -> Option<String> {
        if !self.has(key) {
            self.missing(key, advice);
        }
        self.text(key)
    }

    /// A whole number that fits `T`.
    pub fn whole<T: TryFrom<u64>>(&mut self, key: &'static str) -> Option<T> {
        self.scalar(key, "a whole number, 0 or more, within range", |v| {
            v.as_u64().and_then(|n| T::try_from(n).ok())
        })
    }

    /// A number.
    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        self.scalar(key, "a number", Value::as_f64)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.scalar(key, "true or false", Value::as_bool)
    }

    /// `true`, `false` or `auto`.
    pub fn switch(&mut self, key: &'static str) -> Option<Enabled> {
        self.scalar(key, "true, false or auto", |v| {
            match (v.as_bool(), v.as_str()) {
                (Some(true), _) => Some(Enabled::Yes),
                (Some(false), _) => Some(Enabled::No),
                (_, Some("auto")) => Some(Enabled::Auto),
                _ => None,
            }
        })
    }

    /// An address to listen on.
    pub fn address(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.scalar(key, "an IP address and a port, such as 0.0.0.0:9090", |v| {
            v.as_str()?.parse().ok()
        })
    }

    /// One of the words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        self.scalar(key, &names.join(" or "), |v| {
            let text = v.as_str()?;
            words
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| *value)
        })
    }

    /// A time span with its unit.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.scalar(key, duration::EXPECTED, |v| duration::parse(v.as_str()?))
    }

    /// The `poll_interval`, within its bounds.
    pub fn poll_interval(&mut self) -> Option<Duration> {
        let found = self.duration("poll_interval")?;
        if POLL_INTERVAL.contains(&found) {
            return Some(found);
        }
        self.problem("poll_interval", "must be between 50ms and 5m");
        None
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.scalar(key, "a list of texts, such as [\"orders:*\"]", as_texts)
    }

    /// The items of a list, each with its place.
    pub fn items(&mut self, key: &'static str) -> Option<Vec<(String, Value)>> {
        let items = self.scalar(key, "a list: items that start with `- `", |v| {
            v.as_sequence().cloned()
        })?;
        let path = self.path_of(key);
        let place = |(n, item)| (format!("{path}[{n}]"), item);
        Some(items.into_iter().enumerate().map(place).collect())
    }

    /// A part that is a mapping itself.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'_>> {
        let value = self.take(key)?;
        let path = self.path_of(key);
        Section::open(path, value, self.problems)
    }

    /// Refuses every key that nobody asked for.
    pub fn finish(self) {
        for key in self.entries.keys() {
            let path = match self.path.as_str() {
                "" => shown(key),
                path => format!("{path}.{}", shown(key)),
            };
            let text = format!("unknown key: {}", did_you_mean(key, &self.known));
            self.problems.push(Problem::new(path, text));
        }
    }
}

/// A list of texts, if it is one.
pub(super) fn as_texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_sequence()?;
    items
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}
