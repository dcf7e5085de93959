//! Typed access to trigger metadata that notes faults by key and never repeats a value.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::config::duration;
use crate::config::label::shown;

use super::error::{MetadataErrors, MetadataProblem};
use super::keys::{in_camel_case, refusal};

/// The metadata with the faults found so far.
pub(super) struct Reader<'m> {
    metadata: &'m HashMap<String, String>,
    problems: Vec<MetadataProblem>,
}

impl<'m> Reader<'m> {
    pub fn new(metadata: &'m HashMap<String, String>) -> Self {
        Self {
            metadata,
            problems: Vec::new(),
        }
    }

    /// Notes every key that is unknown, not supported yet, or must not be here, as a server's address where none is named by it.
    pub fn refuse_foreign_keys(&mut self, names_server: bool) {
        for key in self.metadata.keys() {
            if let Some(text) = refusal(key, names_server) {
                self.problems.push(MetadataProblem {
                    key: shown(key),
                    text,
                });
            }
        }
    }

    /// Notes a fault.
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

    /// Whether a key is there and says something.
    pub fn has(&self, key: &str) -> bool {
        self.metadata
            .get(key)
            .is_some_and(|value| !value.trim().is_empty())
    }

    /// The text of a key; an empty one is absence, as Helm charts write it.
    pub fn text(&self, key: &str) -> Option<&'m str> {
        self.metadata
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    /// As [`Self::text`], but it has to be there.
    pub fn required(&mut self, key: &str, advice: &str) -> Option<&'m str> {
        let found = self.text(key);
        if found.is_none() {
            self.problem(key, &format!("is missing: {advice}"));
        }
        found
    }

    fn value<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.text(key)?.trim());
        if found.is_none() {
            self.problem(key, &format!("must be {expected}"));
        }
        found
    }

    /// A whole number that fits `T`.
    pub fn whole<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.value(key, "a whole number, 0 or more, within range", |text| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok())?
        })
    }

    /// Whether a key says 0.
    pub fn is_0(&self, key: &str) -> bool {
        self.text(key)
            .is_some_and(|text| text.trim().parse() == Ok(0_u64))
    }

    /// Messages per replica: at least 1.
    pub fn threshold(&mut self, key: &str) -> Option<u64> {
        self.value(
            key,
            "a whole number of messages per replica, at least 1",
            |text| {
                text.parse()
                    .ok()
                    .filter(|n| (1..=i64::MAX as u64).contains(n))
            },
        )
    }

    /// A number above 0.
    pub fn number(&mut self, key: &str) -> Option<f64> {
        self.value(key, "a number above 0", |text| {
            text.parse()
                .ok()
                .filter(|n: &f64| n.is_finite() && *n > 0.0)
        })
    }

    /// A time span; a bare number is seconds.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.value(
            key,
            "seconds, or a whole number with its unit, such as 30, 500ms or 2m",
            duration::parse_metadata,
        )
    }

    /// One of the words.
    pub fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        self.value(key, &names.join(" or "), |text| {
            words
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| *value)
        })
    }
}
