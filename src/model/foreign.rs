//! Text that others wrote (keys, names of consumers, what servers say): cut and escaped once, where it enters, so that no log, label,
//! answer or terminal ever has to.

use crate::model::tuning::foreign::{LABEL_BYTES, LABEL_START_BYTES, TEXT_BYTES};

/// A text for people: on one line, of a bounded length.
pub fn text(foreign: impl Into<String>) -> String {
    let foreign = foreign.into();
    if foreign.len() <= TEXT_BYTES && !foreign.contains(is_unfit) {
        return foreign;
    }
    let mut shown = String::new();
    for (at, c) in foreign.char_indices() {
        if shown.len() >= TEXT_BYTES {
            return format!("{shown}… (and {} bytes more)", foreign.len() - at);
        }
        push(&mut shown, c);
    }
    shown
}

/// The value of a label: as it is where it fits, else its start and a hash of all of it.
pub fn label(foreign: &str) -> String {
    let end = foreign.char_indices().nth(LABEL_BYTES + 1);
    let shown = escaped(&foreign[..end.map_or(foreign.len(), |(at, _)| at)]);
    shortened(&shown, foreign, &shown, "…")
}

/// A value that nobody can shorten: `value`, or where that does not fit, its `start` with `note` and a hash of `all` that it stands for.
pub fn shortened(value: &str, all: &str, start: &str, note: &str) -> String {
    if value.len() <= LABEL_BYTES {
        return value.to_owned();
    }
    let mut cuts = (0..=LABEL_START_BYTES.min(start.len())).rev();
    let cut = cuts.find(|at| start.is_char_boundary(*at));
    let start = &start[..cut.unwrap_or(0)];
    format!("{start}{note}#{:08x}", fnv1a(all.as_bytes()))
}

/// Whether a label would show it as it is.
pub fn is_label(text: &str) -> bool {
    text.len() <= LABEL_BYTES && !text.contains(is_unfit)
}

/// All of it, with what is not to be seen shown by its code.
pub fn escaped(foreign: &str) -> String {
    let mut shown = String::with_capacity(foreign.len());
    foreign.chars().for_each(|c| push(&mut shown, c));
    shown
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        c if is_unfit(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// Moves a cursor, starts a line, turns the direction of writing, or is not to be seen.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// FNV-1a, folded to 32 bits: the same on every machine and in every version, unlike the standard library's hasher.
fn fnv1a(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) as u32 ^ hash as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_a_cursor_or_turns_the_writing_is_shown_by_its_code() {
        assert_eq!(text("plain: café, 10 €"), "plain: café, 10 €");
        assert_eq!(text("a\u{1b}[2Jb\r\nc"), "a\\u{1b}[2Jb\\u{d}\\nc");
        assert_eq!(label("or\u{202e}sredro"), "or\\u{202e}sredro");
        let long = text("x".repeat(3_000_000));
        assert!(
            long.ends_with("… (and 2999200 bytes more)") && long.len() < 1_100,
            "{}",
            long.len()
        );
    }

    #[test]
    fn long_names_stay_apart() {
        let name = |end: &str| label(&format!("{}{end}", "k".repeat(1_000_000)));
        assert_ne!(name("a"), name("b"));
        assert_eq!(label(&"k".repeat(128)), "k".repeat(128));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_enters_fits(foreign in prop_oneof![any::<String>(), "[\u{1b}\u{202e}\n€a]{0,2000}"]) {
            let (as_label, as_text) = (label(&foreign), text(foreign.clone()));
            prop_assert!(is_label(&as_label), "{as_label:?}");
            prop_assert!(as_text.len() < TEXT_BYTES + 50 && !as_text.contains(is_unfit), "{as_text:?}");
            prop_assert_eq!(label(&as_label), as_label.as_str(), "once is enough");
            if is_label(&foreign) {
                prop_assert_eq!(as_label, foreign);
            }
        }
    }
}
