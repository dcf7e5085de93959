//! YAML as kubectl reads it too. Its parser still knows words of YAML 1.1: a bare `on` is a boolean for it, and `1_000` a number.

use serde_yaml::{Mapping, Value};

/// Words that are booleans in YAML 1.1 and text in 1.2, in lower case.
const WORDS: [&str; 6] = ["y", "yes", "n", "no", "on", "off"];

/// The value as YAML; text that an older parser would take for something else is in quotes.
pub(super) fn yaml(value: &Value) -> String {
    let mut quoted = Vec::new();
    let marked = marked(value, &mut quoted);
    // Nothing of a manifest is beyond what YAML can say: it was read from it.
    let text = serde_yaml::to_string(&marked).unwrap_or_default();
    let texts = quoted.iter().enumerate();
    texts.fold(text, |text, (n, quoted)| {
        text.replace(&mark(n), &format!("{quoted:?}"))
    })
}

fn mark(n: usize) -> String {
    format!("streamgauge_quotes_{n}_here")
}

/// The value with a mark in the place of each text that is to be quoted.
fn marked(value: &Value, quoted: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) if is_ambiguous(text) => {
            quoted.push(text.clone());
            Value::String(mark(quoted.len() - 1))
        }
        Value::Sequence(items) => items.iter().map(|item| marked(item, quoted)).collect(),
        Value::Mapping(pairs) => {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(key, value)| (marked(key, quoted), marked(value, quoted)));
            Value::Mapping(pairs.collect::<Mapping>())
        }
        _ => value.clone(),
    }
}

/// Whether the library would write it bare, and an older parser would not read it as text. Quotes too many harm nothing.
fn is_ambiguous(text: &str) -> bool {
    let like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_graphic() && !"\"\\".contains(c));
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    let is_bare = || serde_yaml::to_string(text).is_ok_and(|written| written.trim_end() == text);
    is_plain && (like_a_number || is_word) && is_bare()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_1_1_would_misread_is_quoted_and_reads_back_the_same() {
        for text in [
            "on",
            "Off",
            "yes",
            "NO",
            "y",
            "1_000",
            "0o17",
            "12:30:45",
            "2026-11-30",
        ] {
            let value: Value = [(Value::from(text), Value::from(vec![text]))]
                .into_iter()
                .collect::<Mapping>()
                .into();
            let written = yaml(&value);
            let of_word = written.matches(text).count();
            let in_quotes = ["'", "\""].map(|q| written.matches(&format!("{q}{text}{q}")).count());
            assert_eq!(of_word, in_quotes.iter().sum::<usize>(), "{written}");
            assert_eq!(serde_yaml::from_str::<Value>(&written).ok(), Some(value));
        }
        assert_eq!(yaml(&Value::from("orders")), "orders\n");
        assert_eq!(yaml(&Value::from("onward")), "onward\n");
    }
}
