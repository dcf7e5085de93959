//! What is wrong with metadata: the key, the fault, the cure; never a value.

use std::fmt;

use super::keys::in_camel_case;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataProblem {
    /// The key, shortened if it is an overlong unknown one.
    pub key: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for MetadataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Every fault of one trigger's metadata, sorted by key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trigger metadata: {}", joined(.problems))]
pub struct MetadataErrors {
    /// At least one.
    pub problems: Vec<MetadataProblem>,
}

impl MetadataErrors {
    pub(in crate::config) fn single(key: &str, text: &str) -> Self {
        let problem = MetadataProblem {
            key: key.to_owned(),
            text: text.to_owned(),
        };
        Self {
            problems: vec![problem],
        }
    }

    /// A fault of settings, whose fields are written in camelCase here.
    pub(super) fn of_field((field, text): (&'static str, String)) -> Self {
        Self::single(&in_camel_case(field), &in_camel_case(&text))
    }

    pub(super) fn unless_empty(mut problems: Vec<MetadataProblem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| a.key.cmp(&b.key));
        Err(Self { problems })
    }
}

/// The texts reach the user as an event, which holds 1,024 bytes together with KEDA's own words.
const MOST_BYTES: usize = 700;

/// The first of them, and how many more.
fn joined(problems: &[MetadataProblem]) -> String {
    let mut text = String::new();
    for (n, problem) in problems.iter().enumerate() {
        let next = problem.to_string();
        if n > 0 && text.len() + next.len() > MOST_BYTES {
            return format!("{text}; and {} more", problems.len() - n);
        }
        if n > 0 {
            text.push_str("; ");
        }
        text.push_str(&next);
    }
    text
}
