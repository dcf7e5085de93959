//! Which partitions make up a stream: one key, a template, a list, or a pattern.

use serde::{Deserialize, Serialize};

use super::identity::PartitionId;

/// The most partitions that a template or list may name.
pub const MAX_PARTITIONS: usize = 10_000;

/// A stream as users write it, expanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamSelector {
    /// Keys known beforehand, each with the name of its partition.
    Keys(Vec<(String, PartitionId)>),
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
        "is empty: give a key, a pattern such as \"orders:*\", a template such as \"orders:{{0..15}}\", or a list of keys"
    )]
    Empty,
    /// A template whose end lies before its start.
    #[error("the template {{{0}..{1}}} ends before it starts: write the smaller number first")]
    Backwards(u64, u64),
    /// Too many partitions.
    #[error("names {0} partitions, more than {MAX_PARTITIONS}: split it into several groups")]
    TooMany(u64),
    /// The same key twice in a list.
    #[error("names {0:?} twice: list every key once")]
    Duplicate(String),
    /// A pattern within a list.
    #[error(
        "{0:?} in a list looks like a pattern: a list holds plain keys, a pattern stands alone"
    )]
    PatternInList(String),
}

impl StreamSelector {
    /// Reads one expression: `orders:{0..15}` is a template (only `{int..int}` expands, so hash tags stay), anything
    /// with an unescaped `*`, `?` or `[` is a pattern, the rest is one key.
    pub fn parse(text: &str) -> Result<Self, StreamError> {
        if text.is_empty() {
            return Err(StreamError::Empty);
        }
        if let Some((prefix, from, to, suffix)) = template(text) {
            return expand(prefix, from, to, suffix);
        }
        if is_pattern(text) {
            return Ok(Self::Pattern(text.to_owned()));
        }
        Ok(Self::Keys(vec![(text.to_owned(), PartitionId::new(text))]))
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
            if is_pattern(key) || template(key).is_some() {
                return Err(StreamError::PatternInList(key.clone()));
            }
            if !seen.insert(key) {
                return Err(StreamError::Duplicate(key.clone()));
            }
            named.push((key.clone(), PartitionId::new(key.as_str())));
        }
        Ok(Self::Keys(named))
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

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The first `{int..int}` in the text: what stands before it, both numbers, what stands after it.
fn template(text: &str) -> Option<(&str, u64, u64, &str)> {
    text.match_indices('{').find_map(|(open, _)| {
        let rest = &text[open + 1..];
        let close = rest.find('}')?;
        let (from, to) = rest[..close].split_once("..")?;
        Some((
            &text[..open],
            from.parse().ok()?,
            to.parse().ok()?,
            &rest[close + 1..],
        ))
    })
}

fn expand(prefix: &str, from: u64, to: u64, suffix: &str) -> Result<StreamSelector, StreamError> {
    if to < from {
        return Err(StreamError::Backwards(from, to));
    }
    if to - from >= MAX_PARTITIONS as u64 {
        return Err(StreamError::TooMany((to - from).saturating_add(1)));
    }
    let keys = (from..=to)
        .map(|n| {
            (
                format!("{prefix}{n}{suffix}"),
                PartitionId::new(n.to_string()),
            )
        })
        .collect();
    Ok(StreamSelector::Keys(keys))
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
        check("o:{a..b}", &[("o:{a..b}", "o:{a..b}")]);
    }

    #[test]
    fn bad_expressions_say_what_to_write_instead() {
        assert_eq!(StreamSelector::parse(""), Err(StreamError::Empty));
        assert_eq!(
            StreamSelector::parse("o:{3..1}"),
            Err(StreamError::Backwards(3, 1))
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
