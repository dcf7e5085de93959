//! Where in the file something is, and the faults found there.

use crate::config::error::Problem;

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
