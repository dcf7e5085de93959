//! What is wrong with a configuration: the file, the place in it, the fault and the cure.

use std::fmt;

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

fn lines(file: &str, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("{file}: {p}")).collect();
    lines.join("\n")
}
