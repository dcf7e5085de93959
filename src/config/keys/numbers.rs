//! Numbers and durations with their bounds.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Value as Json, json};
use serde_yaml::Value;

use super::scalar::{Raw, Scalar};
use crate::config::duration;

/// A whole number within bounds.
pub struct Whole<T> {
    least: u64,
    most: Option<u64>,
    note: &'static str,
    of: PhantomData<T>,
}

impl<T> Whole<T> {
    /// At least so much.
    pub const fn from(least: u64) -> Self {
        let (most, note, of) = (None, "", PhantomData);
        Self {
            least,
            most,
            note,
            of,
        }
    }

    /// At most so much.
    pub const fn to(self, most: u64) -> Self {
        let most = Some(most);
        Self { most, ..self }
    }

    /// The upper bound, if anyone could come near it.
    fn said_most(&self) -> Option<u64> {
        self.most.filter(|most| *most < i64::MAX as u64)
    }

    /// What an error adds: a unit, a reason.
    pub const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

impl<T: Copy + TryFrom<u64> + TryInto<u64>> Scalar for Whole<T> {
    type Value = T;

    fn read_raw(&self, raw: Raw<'_>) -> Result<T, String> {
        let within = |n: &u64| *n >= self.least && self.most.is_none_or(|most| *n <= most);
        let found = raw.whole().filter(within).and_then(|n| T::try_from(n).ok());
        found.ok_or_else(|| {
            let bounds = match self.said_most() {
                Some(most) => format!(" between {} and {}", self.least, thousands(most)),
                None => format!(" of at least {}", self.least),
            };
            format!("must be a whole number{bounds}{}", self.note)
        })
    }

    fn write(&self, value: &T) -> Value {
        (*value).try_into().map_or(Value::Null, |n: u64| n.into())
    }

    fn json(&self) -> Json {
        let mut schema = json!({ "type": "integer", "minimum": self.least });
        if let Some(most) = self.said_most() {
            schema["maximum"] = most.into();
        }
        schema
    }

    fn bounds(&self) -> Option<String> {
        match (self.least, self.said_most()) {
            (least, Some(most)) => Some(format!("{least} to {}.", thousands(most))),
            (0, None) => None,
            (least, None) => Some(format!("At least {least}.")),
        }
    }
}

/// With separators from 10,000 on.
fn thousands(n: u64) -> String {
    match (n / 1_000, n % 1_000) {
        (head @ 10.., tail) => format!("{},{tail:03}", thousands_of(head)),
        _ => n.to_string(),
    }
}

fn thousands_of(n: u64) -> String {
    match (n / 1_000, n % 1_000) {
        (0, tail) => tail.to_string(),
        (head, tail) => format!("{},{tail:03}", thousands_of(head)),
    }
}

/// A number above 0; the error adds `note`.
pub struct Number {
    /// A unit, what to do without.
    pub note: &'static str,
}

impl Scalar for Number {
    type Value = f64;

    fn read_raw(&self, raw: Raw<'_>) -> Result<f64, String> {
        let found = raw.number().filter(|n| n.is_finite() && *n > 0.0);
        found.ok_or_else(|| format!("must be greater than 0{}", self.note))
    }

    fn write(&self, value: &f64) -> Value {
        (*value).into()
    }

    fn json(&self) -> Json {
        json!({ "type": "number", "exclusiveMinimum": 0 })
    }
}

/// A duration within bounds.
pub struct DurationRange {
    least: Duration,
    most: Option<Duration>,
}

impl DurationRange {
    /// Longer than nothing.
    pub const POSITIVE: Self = Self {
        least: Duration::from_millis(1),
        most: None,
    };

    /// How often a group may be read.
    pub const POLL_INTERVAL: Self = Self::between(
        *duration::POLL_INTERVAL.start(),
        *duration::POLL_INTERVAL.end(),
    );

    /// From the first to the second.
    pub const fn between(least: Duration, most: Duration) -> Self {
        let most = Some(most);
        Self { least, most }
    }

    /// Longer than nothing, at most so long.
    pub const fn up_to(most: Duration) -> Self {
        Self::between(Duration::from_millis(1), most)
    }
}

impl Scalar for DurationRange {
    type Value = Duration;

    fn read_raw(&self, raw: Raw<'_>) -> Result<Duration, String> {
        let expected = match raw {
            Raw::Yaml(_) => "must be a duration with a unit, such as 500ms, 5s, 1m30s or 2h",
            Raw::Text(_) => "must be a number of seconds or a duration, such as 30, 500ms or 1m30s",
        };
        let found = raw.duration().ok_or(expected)?;
        if found >= self.least && self.most.is_none_or(|most| found <= most) {
            return Ok(found);
        }
        let [least, most] = [Some(self.least), self.most].map(|bound| bound.map(duration::shown));
        Err(match (least.unwrap_or_default(), most) {
            (least, Some(most)) if least != "1ms" => format!("must be between {least} and {most}"),
            (_, Some(most)) => format!("must be longer than 0s and at most {most}"),
            (_, None) => "must be longer than 0s".into(),
        })
    }

    fn write(&self, value: &Duration) -> Value {
        duration::shown(*value).into()
    }

    fn json(&self) -> Json {
        json!({ "type": "string", "pattern": duration::PATTERN })
    }

    fn bounds(&self) -> Option<String> {
        let [least, most] = [Some(self.least), self.most].map(|bound| bound.map(duration::shown));
        match (least?, most) {
            (least, Some(most)) if least != "1ms" => Some(format!("`{least}` to `{most}`.")),
            (_, most) => most.map(|most| format!("At most `{most}`.")),
        }
    }
}
