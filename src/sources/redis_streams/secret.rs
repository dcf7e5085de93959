//! Reads a secret where the config says it is, at the moment it is needed.

use crate::config::types::Secret;
use crate::model::sample::{Failure, FailureKind};

/// The secret's value. The failure names the place, never the value.
pub fn read(secret: &Secret) -> Result<String, Failure> {
    match secret {
        Secret::Env(name) => std::env::var(name).map_err(|_| {
            Failure::new(
                FailureKind::Auth,
                format!("the password's environment variable {name} is not set (or not UTF-8)"),
            )
        }),
        Secret::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(
                    FailureKind::Auth,
                    format!(
                        "the password file {} cannot be read: {error}",
                        path.display()
                    ),
                )
            })?;
            Ok(without_line_break(&text).to_owned())
        }
    }
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_line_break_is_not_part_of_a_secret() {
        assert_eq!(without_line_break("s3\n"), "s3");
        assert_eq!(without_line_break("s3\r\n"), "s3");
        assert_eq!(without_line_break("s 3 "), "s 3 ");
        assert_eq!(without_line_break("s3\n\n"), "s3\n");
    }
}
