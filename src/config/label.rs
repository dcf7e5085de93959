//! Names and label values: which are accepted, and how foreign text is shown.

/// The longest label value, in bytes.
const MAX_BYTES: usize = 128;

/// Whether a text may name a source or a group.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_BYTES).contains(&text.len()) && text.chars().all(allowed)
}

/// What a name must look like.
pub(super) const NAME: &str = "must be 1 to 128 of the characters A-Z a-z 0-9 . _ -";

/// Why a text cannot be a label value, if it cannot.
pub(super) fn label_fault(text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        Some("is longer than 128 bytes: shorten it, it becomes a label")
    } else if text.chars().any(char::is_control) {
        Some("contains a control character: remove it, the text becomes a label")
    } else {
        None
    }
}

/// A foreign key as errors show it: short and on one line.
pub(super) fn shown(key: &str) -> String {
    let plain: String = key.chars().take(64).collect();
    let dots = if plain.len() < key.len() { "…" } else { "" };
    format!("{}{dots}", plain.escape_debug())
}
