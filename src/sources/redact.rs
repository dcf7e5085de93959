//! Takes out of a text whatever could be a secret, before anybody sees it.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const HIDDEN: &str = "***";

/// What a secret stands behind, in lower case. It ends at the next of [`ENDS`].
const MARKERS: [&str; 13] = [
    "sig=",
    "sig%3d",
    "accountkey=",
    "sharedaccesskey=",
    "sharedaccesssignature=",
    "sharedaccesssignature ",
    "secret=",
    "client_assertion=",
    "token=",
    "password=",
    "bearer ",
    "sharedkey ",
    "eyj",
];

const ENDS: [char; 12] = [
    ' ', '\t', '\r', '\n', '"', '\'', '<', '>', '(', ')', '`', '|',
];

/// The text without the given secrets (as they are or percent-encoded), without queries of URLs, without what stands behind
/// a word that announces a secret, and without anything that looks like a token.
pub fn redact(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let encoded = Cow::from(utf8_percent_encode(secret, NON_ALPHANUMERIC));
        text = text.replace(secret.as_str(), HIDDEN);
        text = text.replace(&*encoded, HIDDEN);
        text = text.replace(&encoded.to_lowercase(), HIDDEN);
    }
    let text = without_queries(&text);
    MARKERS
        .iter()
        .fold(text, |text, marker| without_value(&text, marker))
}

/// As [`redact`], and without words that make no sense to a reader, at most 300 characters: for what a server says, which may
/// repeat anything that was sent.
pub fn redact_words(text: &str) -> String {
    let ends_word = |c: char| c.is_whitespace() || ";&=,'\"<>(){}[]".contains(c);
    let text = redact(text, &[]);
    let mut kept = String::new();
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        kept.push_str(if is_opaque(word) { HIDDEN } else { word });
        kept.push_str(&piece[word.len()..]);
    }
    kept.trim().chars().take(300).collect()
}

/// Long and without any sense to a reader; hosts and the service's tracking ids, which support asks for, are kept.
fn is_opaque(word: &str) -> bool {
    let id = word.rsplit(':').next().unwrap_or(word);
    let hexadecimal = |c: char| c.is_ascii_hexdigit() || c == '-';
    let tracking = id.len() >= 36 && id.chars().take(36).all(hexadecimal);
    let host = word.contains('.')
        && !word.contains(|c: char| c.is_ascii_uppercase() || "+/%~".contains(c));
    let mixed = word.contains(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase())
        && word.contains(|c: char| c.is_ascii_digit());
    let long = word.len() >= 32 || (word.len() >= 20 && mixed);
    long && !tracking && !host && !word.contains("://")
}

/// Cuts what follows the marker, wherever it stands.
fn without_value(text: &str, marker: &str) -> String {
    // Lower case in ASCII only: positions stay the same.
    let lower = text.to_ascii_lowercase();
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = lower[at..].find(marker) {
        let value = at + found + marker.len();
        let end = text[value..]
            .find(ENDS)
            .map_or(text.len(), |len| value + len);
        kept.push_str(&text[at..value]);
        if end > value {
            kept.push_str(HIDDEN);
        }
        at = end;
    }
    kept.push_str(&text[at..]);
    kept
}

/// Cuts everything behind the `?` of every URL.
fn without_queries(text: &str) -> String {
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = text[at..].find("://") {
        let start = at + found;
        let end = text[start..]
            .find(ENDS)
            .map_or(text.len(), |len| start + len);
        match text[start..end].find('?') {
            Some(query) => {
                kept.push_str(&text[at..=start + query]);
                kept.push_str(HIDDEN);
            }
            None => kept.push_str(&text[at..end]),
        }
        at = end;
    }
    kept.push_str(&text[at..]);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_libraries_say_loses_its_secrets() {
        let check = |said: &str, kept: &str| assert_eq!(redact(said, &[]), kept);
        check(
            "error for url (https://a.blob.core.windows.net/c?comp=list&sig=abc%2F): refused",
            "error for url (https://a.blob.core.windows.net/c?***): refused",
        );
        check(
            "AccountName=a;AccountKey=Zm9v==;x",
            "AccountName=a;AccountKey=***",
        );
        check("sv=2024&SIG=abc, said it", "sv=2024&SIG=*** said it");
        check(
            "Authorization: Bearer abc.def, no",
            "Authorization: Bearer *** no",
        );
        check("SharedKey a:Zm9v=\nnext", "SharedKey ***\nnext");
        check(
            "token eyJhbGciOi.J9.x was refused",
            "token eyJ*** was refused",
        );
        check(
            "connection refused (os error 111)",
            "connection refused (os error 111)",
        );
    }

    #[test]
    fn known_secrets_go_wherever_they_stand() {
        let secrets = ["a+b/c==".to_owned()];
        assert_eq!(redact("xa+b/c==y", &secrets), "x***y");
        assert_eq!(redact("x a%2Bb%2Fc%3D%3D y", &secrets), "x *** y");
        assert_eq!(
            redact("x a%2bb%2fc%3d%3d y", &secrets),
            "x a%2bb%2fc%3d%3d y".replace("a%2bb%2fc%3d%3d", "***")
        );
    }

    proptest! {
        #[test]
        fn no_signature_or_key_survives(
            secret in "[A-Za-z0-9+/]{24,64}={0,2}",
            host in "[a-z]{1,8}",
            before in ".{0,20}",
            after in ".{0,20}",
            shape in 0_usize..8,
        ) {
            let encoded: String = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            let said = match shape {
                0 => format!("{before} https://{host}/c/b?sv=1&sig={encoded}&se=2 {after}"),
                1 => format!("{before} (https://{host}/c/b?sv=1&sig={secret}): {after}"),
                2 => format!("{before} ?sig={encoded}&sp=r {after}"),
                3 => format!("{before};AccountKey={secret};{after}"),
                4 => format!("{before} SharedAccessSignature=sv=1&sig={encoded};{after}"),
                5 => format!("{before} Bearer {secret} {after}"),
                6 => format!("{before} SharedKey {host}:{secret} {after}"),
                _ => format!("{before} http://{host}?{secret} {after}"),
            };
            let told = redact(&said, &[]);
            prop_assert!(!told.contains(&secret) && !told.contains(&encoded), "{}", told);
        }

        #[test]
        fn a_known_secret_never_survives(secret in "[A-Za-z0-9+/=]{8,64}", text in ".{0,40}", tail in ".{0,40}") {
            let told = redact(&format!("{text}{secret}{tail}"), std::slice::from_ref(&secret));
            prop_assert!(!told.contains(&secret), "{}", told);
        }
    }
}
