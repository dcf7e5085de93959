//! Which partitions make up a stream: one key, a template, a list, or a pattern.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::identity::PartitionId;
use crate::model::tuning::stream::MAX_PARTITIONS;

/// A stream as users write it, expanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamSelector {
    /// Keys known beforehand, each with the name of its partition.
    Keys(Arc<[(String, PartitionId)]>),
    /// Keys to be found by a pattern in the source's own glob syntax.
    Pattern(String),
    /// All partitions of the one stream that the source holds: an event hub.
    Whole,
}

/// Why a stream expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Nothing named.
    #[error(
        "is empty: set it to a key, a pattern such as \"orders:*\", a template such as \"orders:{{0..15}}\", or a list of keys"
    )]
    Empty,
    /// A template whose end lies before its start.
    #[error("the template {{{0}..{1}}} ends before it starts: write the smaller number first")]
    Backwards(u64, u64),
    /// A template that is none.
    #[error(
        "the template {{{0}}} is invalid: use whole numbers, such as {{0..15}}; if the braces are part of a key, put the key in a list"
    )]
    Template(String),
    /// More than one template.
    #[error("has more than one template: use only one, and split the stream into several groups")]
    TwoTemplates,
    /// Too many partitions.
    #[error("has more than 10,000 partitions, which is the limit: split it into several groups")]
    TooMany(u64),
    /// The same key twice in a list.
    #[error("lists {0:?} twice: list each key once")]
    Duplicate(String),
    /// A pattern within a list.
    #[error(
        "lists {0:?}, which is a pattern or a template: list only plain keys, or give the pattern a group of its own"
    )]
    PatternInList(String),
}

impl StreamSelector {
    /// Reads one expression: `orders:{0..15}` is a template (only `{int..int}` expands, so hash tags stay; `{00..15}` keeps its
    /// zeros), anything with an unescaped `*`, `?` or `[` is a pattern, the rest is one key, in which `\\*` is a star.
    pub fn parse(text: &str) -> Result<Self, StreamError> {
        if text.is_empty() {
            return Err(StreamError::Empty);
        }
        if let Some(template) = template(text)? {
            return template.expand();
        }
        if is_pattern(text) {
            return Ok(Self::Pattern(text.to_owned()));
        }
        let key = unescaped(text);
        let id = PartitionId::new(key.as_str());
        Ok(Self::Keys([(key, id)].into()))
    }

    /// Reads a list of plain keys; each is its own partition's name.
    pub fn list(keys: &[String]) -> Result<Self, StreamError> {
        if keys.is_empty() {
            return Err(StreamError::Empty);
        }
        if keys.len() > MAX_PARTITIONS {
            return Err(StreamError::TooMany(keys.len() as u64));
        }
        let mut named = Vec::with_capacity(keys.len());
        let mut seen = std::collections::BTreeSet::new();
        for key in keys {
            if key.is_empty() {
                return Err(StreamError::Empty);
            }
            if is_pattern(key) || matches!(template(key), Ok(Some(_))) {
                return Err(StreamError::PatternInList(key.clone()));
            }
            let key = unescaped(key);
            if !seen.insert(key.clone()) {
                return Err(StreamError::Duplicate(key));
            }
            let id = PartitionId::new(key.as_str());
            named.push((key, id));
        }
        Ok(Self::Keys(named.into()))
    }

    /// How many partitions it names; 0 where they have to be found.
    pub fn listed(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Pattern(_) | Self::Whole => 0,
        }
    }

    /// The name of the partition that `key` is: the part that varies in a pattern, else the key itself.
    pub fn partition_of(&self, key: &str) -> PartitionId {
        match self {
            Self::Keys(keys) => keys
                .iter()
                .find(|(known, _)| known == key)
                .map_or_else(|| PartitionId::new(key), |(_, id)| id.clone()),
            Self::Pattern(pattern) => PartitionId::new(varying_part(pattern, key)),
            Self::Whole => PartitionId::new(key),
        }
    }
}

/// Whether an unescaped wildcard stands in it.
fn is_pattern(text: &str) -> bool {
    let mut escaped = false;
    text.chars().any(|c| {
        let is_wildcard = !escaped && matches!(c, '*' | '?' | '[');
        escaped = !escaped && c == '\\';
        is_wildcard
    })
}

/// The key that a text without wildcards means. A backslash escapes only where one is needed for that: else it is a part of the key.
fn unescaped(text: &str) -> String {
    let needed = [r"\*", r"\?", r"\["];
    if !needed.iter().any(|escape| text.contains(escape)) {
        return text.to_owned();
    }
    let mut escaped = false;
    let kept = |c: &char| {
        escaped = !escaped && *c == '\\';
        !escaped
    };
    text.chars().filter(kept).collect()
}

/// A `{int..int}` in a text.
struct Template<'a> {
    prefix: &'a str,
    from: u64,
    to: u64,
    /// Digits that every number has at least.
    width: usize,
    suffix: &'a str,
}

/// The template in the text, if there is one.
fn template(text: &str) -> Result<Option<Template<'_>>, StreamError> {
    let mut found = None;
    for (open, _) in text.match_indices('{') {
        let rest = &text[open + 1..];
        let Some(close) = rest.find('}') else {
            break;
        };
        let Some((from, to)) = rest[..close].split_once("..") else {
            continue;
        };
        if found.is_some() {
            return Err(StreamError::TwoTemplates);
        }
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| plain)
        };
        let (Some(first), Some(last)) = (number(from), number(to)) else {
            return Err(StreamError::Template(rest[..close].to_owned()));
        };
        let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
        let padded = is_padded(from) || is_padded(to);
        found = Some(Template {
            prefix: &text[..open],
            from: first,
            to: last,
            width: if padded { from.len().max(to.len()) } else { 0 },
            suffix: &rest[close + 1..],
        });
    }
    Ok(found)
}

impl Template<'_> {
    fn expand(&self) -> Result<StreamSelector, StreamError> {
        let (from, to, width) = (self.from, self.to, self.width);
        if to < from {
            return Err(StreamError::Backwards(from, to));
        }
        if to - from >= MAX_PARTITIONS as u64 {
            return Err(StreamError::TooMany((to - from).saturating_add(1)));
        }
        let named = |n: u64| {
            let n = format!("{n:0width$}");
            let key = format!("{}{n}{}", self.prefix, self.suffix);
            (key, PartitionId::new(n))
        };
        Ok(StreamSelector::Keys((from..=to).map(named).collect()))
    }
}

/// What a pattern's wildcards stand for in `key`: everything between the literal start and the literal end.
fn varying_part<'a>(pattern: &str, key: &'a str) -> &'a str {
    let special = ['*', '?', '[', '\\'];
    let prefix = pattern.split(special).next().unwrap_or_default();
    let suffix = pattern.rsplit(['*', '?', ']']).next().unwrap_or_default();
    key.strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix))
        .filter(|part| !part.is_empty())
        .unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integer_templates_expand_and_hash_tags_stay() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let expect = expect
                .iter()
                .map(|(key, id)| ((*key).to_owned(), PartitionId::new(*id)))
                .collect();
            assert_eq!(
                StreamSelector::parse(text),
                Ok(StreamSelector::Keys(expect)),
                "{text}"
            );
        };
        check("orders", &[("orders", "orders")]);
        check("o:{1..2}", &[("o:1", "1"), ("o:2", "2")]);
        check(
            "{tag}:o:{9..10}:x",
            &[("{tag}:o:9:x", "9"), ("{tag}:o:10:x", "10")],
        );
        check("{tag}", &[("{tag}", "{tag}")]);
        check(
            "o:{08..10}",
            &[("o:08", "08"), ("o:09", "09"), ("o:10", "10")],
        );
        check(r"a\[1\]", &[("a[1]", "a[1]")]);
        check(r"a\*\\b", &[(r"a*\b", r"a*\b")]);
        check(r"a\b", &[(r"a\b", r"a\b")]);
    }

    #[test]
    fn bad_expressions_say_what_to_write_instead() {
        assert_eq!(StreamSelector::parse(""), Err(StreamError::Empty));
        assert_eq!(
            StreamSelector::parse("o:{3..1}"),
            Err(StreamError::Backwards(3, 1))
        );
        for wrong in [
            "-5..5", "a..b", "0..", "0...5", " 0..5", "0..10..2", "+1..3",
        ] {
            assert_eq!(
                StreamSelector::parse(&format!("o:{{{wrong}}}")),
                Err(StreamError::Template(wrong.to_owned()))
            );
        }
        assert_eq!(
            StreamSelector::parse("{0..3}:{0..3}"),
            Err(StreamError::TwoTemplates)
        );
        assert_eq!(
            StreamSelector::parse("o:{0..10000}"),
            Err(StreamError::TooMany(10_001))
        );
        let list = |keys: &[&str]| {
            StreamSelector::list(&keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(list(&[]), Err(StreamError::Empty));
        assert_eq!(list(&["a", "a"]), Err(StreamError::Duplicate("a".into())));
        assert_eq!(
            list(&["a", "b*"]),
            Err(StreamError::PatternInList("b*".into()))
        );
    }

    #[test]
    fn a_partition_is_named_by_the_part_that_varies() {
        let check = |pattern: &str, key: &str, expect: &str| {
            let selector = StreamSelector::parse(pattern).expect("a pattern");
            assert_eq!(
                selector.partition_of(key).as_str(),
                expect,
                "{pattern} {key}"
            );
        };
        check("orders:*", "orders:7", "7");
        check("a:*:b", "a:7:b", "7");
        check("a:*:b:*", "a:1:b:2", "1:b:2");
        check("*", "x", "x");
        check("orders*", "orders", "orders");
    }
}
