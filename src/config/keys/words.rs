//! Closed sets of words.

use serde_json::{Value as Json, json};
use serde_yaml::Value;

use super::scalar::{Raw, Scalar};
use crate::config::choices::Enabled;

/// `true` or `false`.
pub struct Flag;

impl Scalar for Flag {
    type Value = bool;

    fn read_raw(&self, raw: Raw<'_>) -> Result<bool, String> {
        raw.flag().ok_or_else(|| "must be true or false".into())
    }

    fn write(&self, value: &bool) -> Value {
        (*value).into()
    }

    fn json(&self) -> Json {
        json!({ "type": "boolean" })
    }
}

/// `true`, `false` or `auto`.
pub struct Switch;

impl Scalar for Switch {
    type Value = Enabled;

    fn read_raw(&self, raw: Raw<'_>) -> Result<Enabled, String> {
        match (raw.flag(), raw.text()) {
            (Some(true), _) => Ok(Enabled::Yes),
            (Some(false), _) => Ok(Enabled::No),
            (None, Some("auto")) => Ok(Enabled::Auto),
            (None, _) => Err("must be true, false or auto".into()),
        }
    }

    fn write(&self, value: &Enabled) -> Value {
        match value {
            Enabled::Yes => true.into(),
            Enabled::No => false.into(),
            Enabled::Auto => "auto".into(),
        }
    }

    fn json(&self) -> Json {
        json!({ "enum": [true, false, "auto"] })
    }
}

/// One of some words.
pub struct Words<T: 'static> {
    words: &'static [(&'static str, T)],
}

impl<T> Words<T> {
    /// These words and what each means.
    pub const fn of(words: &'static [(&'static str, T)]) -> Self {
        Self { words }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|(name, _)| *name)
    }
}

impl<T: Copy + PartialEq> Scalar for Words<T> {
    type Value = T;

    fn read_raw(&self, raw: Raw<'_>) -> Result<T, String> {
        let text = raw.text().map(str::trim);
        let meant = self.words.iter().find(|(name, _)| Some(*name) == text);
        meant.map(|(_, value)| *value).ok_or_else(|| {
            let known = one_of(&self.names().collect::<Vec<_>>());
            format!("must be {known}")
        })
    }

    fn write(&self, value: &T) -> Value {
        let found = self.words.iter().find(|(_, meant)| meant == value);
        found.map_or(Value::Null, |(name, _)| (*name).into())
    }

    fn json(&self) -> Json {
        json!({ "enum": self.names().collect::<Vec<_>>() })
    }

    fn bounds(&self) -> Option<String> {
        let quoted: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
        Some(format!("{}.", one_of(&quoted)))
    }
}

/// `a, b or c`.
fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
