//! Names and label values: which are accepted, and how foreign text is shown.

/// The longest label value, in bytes.
pub(super) const MAX_BYTES: usize = 128;

/// Whether a text may name a source or a group.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_BYTES).contains(&text.len()) && text.chars().all(allowed)
}

/// What a name must look like.
pub(super) const NAME: &str = "must have 1 to 128 characters, each one of A-Z a-z 0-9 . _ -";

/// Why a text cannot be a label value, if it cannot.
pub(super) fn label_fault(text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        Some("is longer than 128 bytes, the most that a metric label may have: shorten it")
    } else {
        control_fault(text)
    }
}

/// Why a text cannot even in part be a label value, if it cannot.
pub(super) fn control_fault(text: &str) -> Option<&'static str> {
    text.chars()
        .any(char::is_control)
        .then_some("contains a control character, which a metric label must not have: remove it")
}

/// The label value for a text that nobody can shorten: itself, or its start with `note` and a hash of all of it.
pub(super) fn shortened(text: &str, start: &str, note: &str) -> String {
    const ROOM: usize = 96;
    if text.len() <= MAX_BYTES {
        return text.to_owned();
    }
    let cut = (0..=start.len().min(ROOM))
        .rev()
        .find(|n| start.is_char_boundary(*n));
    let start = &start[..cut.unwrap_or(0)];
    format!("{start}{note}#{:08x}", fnv1a(text.as_bytes()))
}

/// FNV-1a, folded to 32 bits: the same on every machine and in every version, unlike the standard library's hasher.
fn fnv1a(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) as u32 ^ hash as u32
}

/// A foreign key as errors show it: short and on one line.
pub(super) fn shown(key: &str) -> String {
    let plain: String = key.chars().take(64).collect();
    let dots = if plain.len() < key.len() { "…" } else { "" };
    format!("{}{dots}", plain.escape_debug())
}
