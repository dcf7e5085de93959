//! Redis's glob patterns, matched here as the server does: one SCAN finds keys for several of them.

/// Whether the key matches: `*` any bytes, `?` one, `[a-z]` and `[^a-z]` one of these or none, `\` takes the next byte as it is.
pub fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut pattern, mut key) = (pattern, key);
    // What follows the last star, and the bytes before which it was tried: if it does not fit, the star takes one more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(after) = pattern.strip_prefix(b"*") {
            star = Some((after, key));
            pattern = after;
            continue;
        }
        let fits = match (pattern.is_empty(), key.split_first()) {
            (true, None) => return true,
            (false, Some((byte, rest))) => {
                let (takes, after) = takes(pattern, *byte);
                takes.then_some((after, rest))
            }
            _ => None,
        };
        if let Some(next) = fits {
            (pattern, key) = next;
            continue;
        }
        let Some((after, [_, rest @ ..])) = star else {
            return false;
        };
        star = Some((after, rest));
        (pattern, key) = (after, rest);
    }
}

/// Whether the first element of a pattern takes the byte, and what follows that element.
fn takes(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => takes_of_class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte, rest),
        [] => (false, pattern),
    }
}

/// The same for what follows a `[`. Without a `]` the class goes on to the end of the pattern.
fn takes_of_class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (is_negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [b'\\', literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => return (is_in != is_negated, rest),
            [from, b'-', to, rest @ ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
            [] => return (is_in != is_negated, rest),
        };
    }
}

/// One pattern that every key matches which matches any of these.
pub fn covering<'p>(patterns: impl IntoIterator<Item = &'p str>) -> String {
    let mut patterns = patterns.into_iter();
    let Some(first) = patterns.next() else {
        return String::new();
    };
    let mut common: Option<&str> = None;
    for pattern in patterns {
        let common = common.get_or_insert_with(|| literal_start(first));
        let both = common.char_indices().zip(pattern.char_indices());
        let same = both.take_while(|(one, other)| one == other).count();
        let same = literal_start(pattern).chars().count().min(same);
        let end = common.char_indices().nth(same).map(|(at, _)| at);
        *common = &common[..end.unwrap_or(common.len())];
    }
    common.map_or_else(|| first.to_owned(), |start| format!("{start}*"))
}

fn literal_start(pattern: &str) -> &str {
    let special = ['*', '?', '[', '\\'];
    pattern.split(special).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_the_server() {
        for (pattern, key, expect) in [
            ("*", "", true),
            ("orders:*", "orders:", true),
            ("orders:*", "order:1", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-c-", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            (r"[\]]", "]", true),
            ("[ab", "b", true),
            ("[", "[", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\", r"a\", true),
        ] {
            let matches = matches(pattern.as_bytes(), key.as_bytes());
            assert_eq!(matches, expect, "{pattern} {key}");
        }
    }

    #[test]
    fn several_patterns_are_covered_by_what_they_begin_with() {
        assert_eq!(covering(["a[0-9]"]), "a[0-9]");
        assert_eq!(covering(["orders:*", "orders:[0-9]", "ord*"]), "ord*");
        assert_eq!(covering(["é1*", "é2*"]), "é*");
        assert_eq!(covering(["a*", "b*"]), "*");
    }

    proptest! {
        #[test]
        fn a_key_that_matches_one_matches_what_covers_all(patterns in prop::collection::vec("[ab*?\\[\\]^\\\\-]{0,6}", 1..4), key in "[ab\\[\\]^-]{0,6}") {
            let covering = covering(patterns.iter().map(String::as_str));
            if patterns.iter().any(|pattern| matches(pattern.as_bytes(), key.as_bytes())) {
                prop_assert!(matches(covering.as_bytes(), key.as_bytes()), "{covering}");
            }
        }
    }
}
