//! Values of one piece, read alike from the file and from trigger metadata; and strings.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use serde_yaml::Value;

use super::kind::Kind;
use super::place::Place;
use crate::config::duration;
use crate::config::label::{NAME, is_name, label_fault};
use crate::model::tuning::foreign::LABEL_BYTES;

/// A value of one piece, as it is written.
#[derive(Clone, Copy)]
pub enum Raw<'v> {
    /// In the file.
    Yaml(&'v Value),
    /// In trigger metadata.
    Text(&'v str),
}

impl<'v> Raw<'v> {
    /// A string.
    pub fn text(self) -> Option<&'v str> {
        match self {
            Self::Yaml(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    /// A whole number, 0 or more.
    pub fn whole(self) -> Option<u64> {
        match self {
            Self::Yaml(value) => value.as_u64(),
            Self::Text(text) => {
                let digits = text.trim();
                let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
                is_plain.then(|| digits.parse().ok())?
            }
        }
    }

    /// A number.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Yaml(value) => value.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// `true` or `false`.
    pub fn flag(self) -> Option<bool> {
        match self {
            Self::Yaml(value) => value.as_bool(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// A duration; in metadata a bare number is seconds.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Yaml(value) => duration::parse(value.as_str()?),
            Self::Text(text) => duration::parse_metadata(text.trim()),
        }
    }
}

/// How a value of one piece is read and written.
pub trait Scalar {
    /// What it becomes.
    type Value;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong and what to write, without the value.
    fn read_raw(&self, raw: Raw<'_>) -> Result<Self::Value, String>;

    /// As it would be written in the file.
    fn write(&self, value: &Self::Value) -> Value;

    /// Its JSON Schema.
    fn json(&self) -> Json;

    /// Its bounds or words.
    fn bounds(&self) -> Option<String> {
        None
    }
}

impl<S: Scalar> Kind for S {
    type Value = <S as Scalar>::Value;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Self::Value> {
        let found = self.read_raw(Raw::Yaml(&value));
        found.map_err(|fault| at.fault(fault)).ok()
    }

    fn read_text(&self, text: &str) -> Result<Self::Value, String> {
        self.read_raw(Raw::Text(text))
    }

    fn print(&self, value: &Self::Value) -> Value {
        self.write(value)
    }

    fn schema(&self) -> Json {
        self.json()
    }

    fn limits(&self) -> Option<String> {
        self.bounds()
    }
}

/// A string.
pub struct Text {
    /// What to do about an empty one; `None`: it may be empty.
    pub if_empty: Option<&'static str>,
}

impl Text {
    /// Any string.
    pub const ANY: Self = Self { if_empty: None };

    /// One that is not blank; `advice` is for one that is.
    pub const fn filled(advice: &'static str) -> Self {
        let if_empty = Some(advice);
        Self { if_empty }
    }
}

impl Scalar for Text {
    type Value = String;

    fn read_raw(&self, raw: Raw<'_>) -> Result<String, String> {
        let text = raw.text().ok_or("must be a string: put it in quotes")?;
        match self.if_empty {
            Some(advice) if text.trim().is_empty() => Err(format!("is empty: {advice}")),
            _ => Ok(text.to_owned()),
        }
    }

    fn write(&self, value: &String) -> Value {
        value.as_str().into()
    }

    fn json(&self) -> Json {
        match self.if_empty {
            Some(_) => json!({ "type": "string", "pattern": "\\S" }),
            None => json!({ "type": "string" }),
        }
    }
}

/// A string of a certain form.
pub struct Parsed<T> {
    parse: fn(&str) -> Result<T, &'static str>,
    write: fn(&T) -> String,
    /// A regular expression that every accepted string matches; it may match others.
    pattern: &'static str,
}

impl<T> Parsed<T> {
    /// One that `parse` accepts, or says what it must be.
    pub const fn new(
        parse: fn(&str) -> Result<T, &'static str>,
        write: fn(&T) -> String,
        pattern: &'static str,
    ) -> Self {
        Self {
            parse,
            write,
            pattern,
        }
    }
}

impl<T> Scalar for Parsed<T> {
    type Value = T;

    fn read_raw(&self, raw: Raw<'_>) -> Result<T, String> {
        // What is said of an empty string says what a number should have been, too.
        let text = raw.text().unwrap_or_default();
        (self.parse)(text).map_err(str::to_owned)
    }

    fn write(&self, value: &T) -> Value {
        (self.write)(value).into()
    }

    fn json(&self) -> Json {
        json!({ "type": "string", "pattern": self.pattern })
    }
}

/// The name of a source or a group.
pub const fn name() -> Parsed<String> {
    let parse = |text: &str| is_name(text).then(|| text.to_owned()).ok_or(NAME);
    Parsed::new(parse, String::clone, "^[A-Za-z0-9._-]{1,128}$")
}

/// The path of a file or folder.
pub const fn file() -> Parsed<PathBuf> {
    let parse = |text: &str| match text {
        "" => Err("must be the path of a file or directory"),
        path => Ok(path.into()),
    };
    Parsed::new(parse, |path| path.display().to_string(), ".")
}

/// The name of an environment variable. Keeps a secret that was put there by mistake out of later errors.
pub const fn variable() -> Parsed<String> {
    let parse = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = text.starts_with(|c: char| !c.is_ascii_digit());
        let is_variable = starts_well && text.chars().all(allowed);
        let expected = "must be the name of an environment variable, such as REDIS_PASSWORD";
        is_variable.then(|| text.to_owned()).ok_or(expected)
    };
    Parsed::new(parse, String::clone, "^[A-Za-z_][A-Za-z0-9_]*$")
}

/// The name of a consumer group, which becomes a label.
pub struct GroupName;

impl Scalar for GroupName {
    type Value = String;

    fn read_raw(&self, raw: Raw<'_>) -> Result<String, String> {
        let text = Text::filled("set it to the consumer group whose backlog is to be read")
            .read_raw(raw)?;
        label_fault(&text).map_or(Ok(text), |fault| Err(fault.to_owned()))
    }

    fn write(&self, value: &String) -> Value {
        value.as_str().into()
    }

    fn json(&self) -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": LABEL_BYTES })
    }
}
