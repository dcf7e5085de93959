//! Secrets by reference: where one is, and its value at the moment it is needed.

use std::fmt;
use std::path::PathBuf;

use crate::files;

/// Of a secret; a connection string has a few hundred.
const MOST_BYTES: u64 = 64 * 1024;

/// Where a secret is to be found. The value itself is never kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; a trailing line break is not part of the secret.
    File(PathBuf),
}

/// Why a secret cannot be had. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("environment variable {0} is not set: set it, or use {{ file: /path }}")]
    Unset(String),
    /// The variable is no text.
    #[error("environment variable {0} is not valid UTF-8")]
    NotText(String),
    /// The file cannot be read.
    #[error("secret file {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
}

impl Secret {
    /// The value now; a trailing line break and a byte order mark, as editors on Windows write it, are not part of it. Read anew each time, so that rotation works.
    ///
    /// # Errors
    /// The variable is not set or the file cannot be read.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => SecretError::Unset(name.clone()),
                std::env::VarError::NotUnicode(_) => SecretError::NotText(name.clone()),
            })?,
            Self::File(path) => {
                let text = files::read_text(path, MOST_BYTES)
                    .map_err(|error| SecretError::Unreadable(path.clone(), error))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        Ok(text.trim_start_matches('\u{feff}').to_owned())
    }
}

impl fmt::Display for Secret {
    /// Where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// How to refer to one.
pub(super) const SHAPE: &str = "write { env: NAME } or { file: /path }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_and_loses_its_line_break() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("password");
        let secret = Secret::File(path.clone());
        std::fs::write(&path, "one\n").expect("written");
        assert_eq!(secret.read().expect("read"), "one");
        std::fs::write(&path, "two two \r\n").expect("written");
        assert_eq!(secret.read().expect("read"), "two two ");
        std::fs::write(&path, "\u{feff}Endpoint=sb://x\r\n").expect("written");
        assert_eq!(secret.read().expect("read"), "Endpoint=sb://x");
    }

    #[test]
    fn what_is_missing_is_named() {
        let unset = Secret::Env("STREAMGAUGE_TEST_NOT_SET".into())
            .read()
            .expect_err("unset");
        assert_eq!(
            unset.to_string(),
            "environment variable STREAMGAUGE_TEST_NOT_SET is not set: set it, or use { file: /path }"
        );
        let missing = Secret::File("/nonexistent/x".into())
            .read()
            .expect_err("missing");
        assert!(
            missing
                .to_string()
                .starts_with("secret file /nonexistent/x cannot be read: ")
        );
    }
}
