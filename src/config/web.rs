//! Addresses of HTTP servers, and time spans with bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::section::Section;

/// The address of an HTTP server that paths are added to.
pub(super) fn read_address(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
) -> Option<Url> {
    let text = section.text(key)?;
    let found = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = found.filter(|url| url.query().is_none() && url.fragment().is_none()) else {
        section.problem(
            key,
            format!("must be an http or https address without parameters, such as {example}"),
        );
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        section.problem(
            key,
            "must not hold a user or password: put them into username and password",
        );
        return None;
    }
    Some(url)
}

/// A time span within bounds; `words` say which.
pub(super) fn read_between(
    section: &mut Section<'_>,
    key: &'static str,
    bounds: &RangeInclusive<Duration>,
    words: &str,
) -> Option<Duration> {
    let found = section.duration(key)?;
    if bounds.contains(&found) {
        return Some(found);
    }
    section.problem(key, format!("must be {words}"));
    None
}
