//! Stream expressions of config and metadata: the selector, and the one text that stands for it in labels.

use serde_yaml::Value;

use crate::model::foreign::{escaped, label, shortened};
use crate::model::stream::StreamSelector;

use super::label::control_fault;

/// A stream with the text that names it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedStream {
    /// As `GroupKey.stream` holds it.
    pub text: String,
    /// What is read.
    pub selector: StreamSelector,
}

/// Reads `stream:` of a config group: one expression or a list of keys.
pub(super) fn read(value: &Value) -> Result<NamedStream, String> {
    if let Some(text) = value.as_str() {
        return expression(text);
    }
    let keys: Vec<String> = value
        .as_sequence()
        .and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
        .ok_or("must be a string or a list of strings: put numbers in quotes")?;
    if let Some(fault) = keys.iter().find_map(|key| control_fault(key)) {
        return Err(format!("has a key that {fault}"));
    }
    let selector = StreamSelector::list(&keys).map_err(|error| error.to_string())?;
    Ok(NamedStream {
        text: list_text(&keys),
        selector,
    })
}

/// Reads one expression: a key, a pattern or a template.
pub(super) fn expression(text: &str) -> Result<NamedStream, String> {
    if let Some(fault) = control_fault(text) {
        return Err(fault.to_owned());
    }
    let selector = StreamSelector::parse(text).map_err(|error| error.to_string())?;
    if let StreamSelector::Keys(keys) = &selector
        && keys.len() > 1
        && keys.iter().any(|(key, _)| key.contains(['*', '?', '[']))
    {
        return Err("combines a template with a pattern: use only one of them".into());
    }
    Ok(NamedStream {
        text: label(text),
        selector,
    })
}

/// The stream of a source that is an event hub: the hub as a whole, which may be named but need not be.
pub(super) fn of_event_hub(event_hub: &str, named: Option<&str>) -> Result<NamedStream, String> {
    match named {
        Some(name) if !name.eq_ignore_ascii_case(event_hub) => Err(
            "is not the event hub of the source: remove it, or add a source for that event hub"
                .into(),
        ),
        _ => Ok(NamedStream {
            text: event_hub.to_owned(),
            selector: StreamSelector::Whole,
        }),
    }
}

/// A list's keys joined by commas; where that is too long for a label, its start, its size and a hash of all of it.
fn list_text(keys: &[String]) -> String {
    let first = keys.first().map_or("", String::as_str);
    let all = keys.join(",");
    let (shown, start) = (escaped(&all), escaped(first));
    shortened(&shown, &all, &start, &format!(",…(+{})", keys.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: impl Iterator<Item = String>) -> Result<NamedStream, String> {
        read(&Value::Sequence(keys.map(Value::String).collect()))
    }

    #[test]
    fn a_list_is_named_by_its_keys_and_a_long_one_by_start_size_and_hash() {
        let short = list(["a", "b"].map(String::from).into_iter()).expect("valid");
        assert_eq!(short.text, "a,b");
        let long = |to: u32| {
            list((0..to).map(|n| format!("orders:{n}")))
                .expect("valid")
                .text
        };
        assert_eq!(long(100), "orders:0,…(+99)#5496a889");
        assert_ne!(long(100), long(101));
        let wide = list((0..3).map(|n| format!("{n}{}", "ä".repeat(60))))
            .expect("valid")
            .text;
        assert!(wide.len() <= 128, "{} bytes", wide.len());
    }

    #[test]
    fn a_list_shows_what_is_not_to_be_seen_by_its_code() {
        let keys = ["a\u{202e}b", "c"].map(String::from);
        let stream = list(keys.into_iter()).expect("valid");
        assert_eq!(stream.text, "a\\u{202e}b,c");
    }

    #[test]
    fn a_key_that_is_too_long_for_a_label_is_read_all_the_same() {
        let key = "k".repeat(300);
        let stream = expression(&key).expect("valid");
        let StreamSelector::Keys(keys) = &stream.selector else {
            panic!("{stream:?}");
        };
        assert_eq!(keys[0].0, key);
        assert_eq!(keys[0].1.as_str(), stream.text);
        assert!(stream.text.len() <= 128, "{}", stream.text);
        let other = expression(&"k".repeat(301)).expect("valid");
        assert_ne!(stream.text, other.text);
    }

    #[test]
    fn expressions_that_cannot_be_read_are_refused() {
        let check = |text: &str, expect: &str| {
            assert_eq!(expression(text).expect_err(text), expect);
        };
        check(
            "o:{0..3}:*",
            "combines a template with a pattern: use only one of them",
        );
        check(
            "a\nb",
            "contains a control character, which a metric label must not have: remove it",
        );
        check(
            "o:{3..1}",
            "the template {3..1} ends before it starts: write the smaller number first",
        );
        assert_eq!(
            read(&Value::from(7)).expect_err("a number"),
            "must be a string or a list of strings: put numbers in quotes"
        );
    }
}
