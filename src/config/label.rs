//! Names and label values: which are accepted, and how foreign text is shown.

use crate::model::foreign::is_label;
use crate::model::tuning::foreign::LABEL_BYTES;

/// Whether a text may name a source or a group.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=LABEL_BYTES).contains(&text.len()) && text.chars().all(allowed)
}

/// What a name must look like.
pub(super) const NAME: &str = "must have 1 to 128 characters, each one of A-Z a-z 0-9 . _ -";

/// Why a text cannot be a label value, if it cannot.
pub(super) fn label_fault(text: &str) -> Option<&'static str> {
    if text.len() > LABEL_BYTES {
        return Some("is longer than 128 bytes, the most that a metric label may have: shorten it");
    }
    let invisible =
        "contains an invisible character, which a metric label must not have: remove it";
    control_fault(text).or((!is_label(text)).then_some(invisible))
}

/// Why a text cannot even in part be a label value, if it cannot.
pub(super) fn control_fault(text: &str) -> Option<&'static str> {
    text.chars()
        .any(char::is_control)
        .then_some("contains a control character, which a metric label must not have: remove it")
}

/// A foreign key as errors show it: short and on one line.
pub(super) fn shown(key: &str) -> String {
    let plain: String = key.chars().take(64).collect();
    let dots = if plain.len() < key.len() { "…" } else { "" };
    format!("{}{dots}", plain.escape_debug())
}
