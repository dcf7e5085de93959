//! What inline metadata may name. Nobody may name anything unless a rule says so.

use crate::model::stream::StreamSelector;

use super::types::AllowRule;

/// Whether a ScaledObject of `namespace` may ask for this stream expression and consumer group.
///
/// A pattern must lie within a rule as a whole: since `*` is its only wildcard, that is so if the rule matches the
/// pattern's own text. Of a template, one rule must match every key.
pub fn allowed(rules: &[AllowRule], namespace: &str, stream: &str, consumer_group: &str) -> bool {
    let Ok(selector) = StreamSelector::parse(stream) else {
        return false;
    };
    rules.iter().any(|rule| {
        any_matches(&rule.namespaces, namespace)
            && any_matches(&rule.consumer_groups, consumer_group)
            && covers(&rule.streams, &selector)
    })
}

/// The same for an event hub, whose names and consumer groups count without regard to case.
pub fn allowed_of_hub(
    rules: &[AllowRule],
    namespace: &str,
    event_hub: &str,
    consumer_group: &str,
) -> bool {
    let lower = |texts: &[String]| texts.iter().map(|text| text.to_ascii_lowercase()).collect();
    let rules: Vec<AllowRule> = rules
        .iter()
        .map(|rule| AllowRule {
            namespaces: rule.namespaces.clone(),
            streams: lower(&rule.streams),
            consumer_groups: lower(&rule.consumer_groups),
        })
        .collect();
    let event_hub = event_hub.to_ascii_lowercase();
    let consumer_group = consumer_group.to_ascii_lowercase();
    allowed(&rules, namespace, &event_hub, &consumer_group)
}

fn covers(globs: &[String], selector: &StreamSelector) -> bool {
    match selector {
        StreamSelector::Keys(keys) => keys.iter().all(|(key, _)| any_matches(globs, key)),
        StreamSelector::Pattern(pattern) => is_simple(pattern) && any_matches(globs, pattern),
        // Never what an expression says: an event hub is named like a key.
        StreamSelector::Whole => false,
    }
}

/// Whether `*` is the only special character.
pub(super) fn is_simple(pattern: &str) -> bool {
    !pattern.contains(['?', '[', '\\'])
}

fn any_matches(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| matches(glob, text))
}

/// Whether `text` matches a glob in which only `*` is special. Linear in the worst case times the stars' retries.
fn matches(glob: &str, text: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut left) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        // The leftmost place is the best one: it leaves the most for the parts to come.
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(stream: &str) -> Vec<AllowRule> {
        vec![AllowRule {
            namespaces: vec!["shop".into(), "team-*".into()],
            streams: vec![stream.into()],
            consumer_groups: vec!["*".into()],
        }]
    }

    #[test]
    fn a_request_is_allowed_only_if_everything_it_could_read_is() {
        let check = |glob: &str, stream: &str, expect: bool| {
            assert_eq!(
                allowed(&rule(glob), "shop", stream, "g"),
                expect,
                "{glob} {stream}"
            );
        };
        check("orders:*", "orders:7", true);
        check("orders:*", "orders:*", true);
        check("orders:*", "orders:a*", true);
        check("orders:*", "*", false);
        check("orders:*", "order*", false);
        check("orders:*", "orders*", false);
        check("orders:*", "orders:{0..3}", true);
        check("orders:?", "orders:{0..3}", false);
        check("orders:1*", "orders:{0..3}", false);
        check("orders:*", "orders:[a-z]", false);
        // The one key that is called so.
        check("orders:*", "orders:\\*", true);
        check("orders:1", "orders:\\*", false);
        check("orders:*", "", false);
        check("*:x", "a:*:x", true);
        check("a*b*c", "abbc", true);
        check("a*b*c", "acb", false);
        check("ab*ba", "aba", false);
        check("orders", "orders", true);
    }

    #[test]
    fn namespace_and_consumer_group_must_match_as_well() {
        let mut rules = rule("*");
        assert!(allowed(&rules, "team-a", "x", ""));
        assert!(!allowed(&rules, "other", "x", "g"));
        rules[0].consumer_groups = vec!["billing".into()];
        assert!(allowed(&rules, "shop", "x", "billing"));
        assert!(
            !allowed(&rules, "shop", "x", ""),
            "the stream's length is not the group's"
        );
        assert!(!allowed(&[], "shop", "x", "billing"), "no rule, nobody");
    }

    #[test]
    fn parts_of_different_rules_do_not_add_up() {
        let mut rules = rule("a:*");
        rules.push(AllowRule {
            namespaces: vec!["else".into()],
            ..rule("b:*")[0].clone()
        });
        assert!(!allowed(&rules, "shop", "b:1", "g"));
        assert!(!allowed(&rules, "else", "a:1", "g"));
    }

    proptest! {
        /// Whatever key an allowed pattern can match, the rule matches that key, too.
        #[test]
        fn an_allowed_pattern_reads_nothing_that_the_rule_does_not_allow(
            glob in "[ab:*]{0,6}", pattern in "[ab*]{1,6}", fill in prop::collection::vec("[ab:]{0,3}", 6),
        ) {
            let mut fill = fill.into_iter();
            let key: String = pattern
                .chars()
                .map(|c| if c == '*' { fill.next().unwrap_or_default() } else { c.to_string() })
                .collect();
            prop_assume!(matches(&pattern, &key));
            if pattern.contains('*') && allowed(&rule(&glob), "shop", &pattern, "g") {
                prop_assert!(matches(&glob, &key), "{glob} allows {pattern}, but not its {key}");
            }
        }

        #[test]
        fn matching_agrees_with_the_definition(glob in "[ab*]{0,6}", text in "[ab]{0,6}") {
            prop_assert_eq!(matches(&glob, &text), by_definition(glob.as_bytes(), text.as_bytes()));
        }
    }

    fn by_definition(glob: &[u8], text: &[u8]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                by_definition(rest, text) || (!text.is_empty() && by_definition(glob, &text[1..]))
            }
            (Some((g, glob)), Some((t, text))) => g == t && by_definition(glob, text),
            _ => false,
        }
    }
}
