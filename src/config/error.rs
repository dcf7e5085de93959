//! What is wrong with a configuration: the file, the place in it, the fault and the cure.

use std::fmt;

use serde_yaml::Value;

use super::label::shown;

/// One fault of a configuration's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `sources[0].redis.url`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to do. Carries no secret.
    pub text: String,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.path, self.text)
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// The file could not be read.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The file is not YAML.
    #[error("{file}:{line}:{column}: not valid YAML: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// Everything that is wrong with the contents.
    #[error("{}", lines(file, problems))]
    Invalid {
        /// The file.
        file: String,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigErrors {
    pub(super) fn syntax(file: &str, error: &serde_yaml::Error) -> Self {
        let (line, column) = error
            .location()
            .map_or((1, 1), |place| (place.line(), place.column()));
        let text = error.to_string();
        // The parser repeats the place at the end of its sentence; it already stands in front.
        let reason = text
            .rsplit_once(&format!(" at line {line} column {column}"))
            .map_or(text.clone(), |(before, after)| format!("{before}{after}"));
        Self::Syntax {
            file: file.to_owned(),
            line,
            column,
            reason,
        }
    }

    /// The faults of the contents; none if it never came to reading them.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unreadable { .. } | Self::Syntax { .. } => &[],
        }
    }
}

/// Every place of a file, from top to bottom.
pub(super) fn order(value: &Value) -> Vec<String> {
    let mut places = Vec::new();
    walk(value, String::new(), &mut places);
    places
}

fn walk(value: &Value, path: String, places: &mut Vec<String>) {
    places.push(path.clone());
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let key = shown(key.as_str().unwrap_or_default());
                let path = match path.as_str() {
                    "" => key,
                    path => format!("{path}.{key}"),
                };
                walk(value, path, places);
            }
        }
        Value::Sequence(items) => {
            for (n, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{n}]"), places);
            }
        }
        _ => {}
    }
}

/// Where a problem belongs among the places of its file: what is missing, to the mapping that should hold it.
pub(super) fn rank(order: &[String], path: &str) -> usize {
    let at = order.iter().position(|place| place == path);
    let cut = || path.rfind(['.', '[']).map_or("", |end| &path[..end]);
    match (at, path) {
        (Some(at), _) => at,
        (None, "") => 0,
        (None, _) => rank(order, cut()),
    }
}

/// Problems that are told one by one.
const MOST_TOLD: usize = 10;

fn lines(file: &str, problems: &[Problem]) -> String {
    let told = problems.iter().take(MOST_TOLD);
    let mut lines: Vec<String> = told.map(|p| format!("{file}: {p}")).collect();
    match problems.len().saturating_sub(MOST_TOLD) {
        0 => {}
        1 => lines.push(format!("{file}: and 1 problem more")),
        more => lines.push(format!("{file}: and {more} problems more")),
    }
    lines.join("\n")
}
