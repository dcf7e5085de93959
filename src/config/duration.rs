//! Durations as users write them: `500ms`, `5s`, `1m30s`, `2h`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How often a group may be polled.
pub const POLL_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(300);

/// A regular expression for what [`parse`] accepts, for the JSON Schema.
pub(super) const PATTERN: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(ns|nsec|us|usec|ms|msec|millis|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\s*)+$";

/// Reads numbers with their units. Months and years are refused: an `M` is meant for minutes more often than for 30.44 days.
pub fn parse(text: &str) -> Option<Duration> {
    let found = humantime::parse_duration(text).ok()?;
    let mut units = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|unit| !unit.is_empty());
    let has_unit = units.clone().next().is_some();
    let is_calendar = |unit: &str| unit == "M" || unit.starts_with("mo") || unit.starts_with('y');
    (has_unit && !units.any(is_calendar)).then_some(found)
}

/// As [`parse`]; a bare number is seconds, as KEDA's users write it.
pub fn parse_metadata(text: &str) -> Option<Duration> {
    parse(text).or_else(|| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Duration::from_secs))?
    })
}

/// As the config would say it: `1m30s`, `24h`.
pub fn shown(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if seconds < 10 && millis > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(millis), "ms"),
    ];
    let said = parts.into_iter().filter(|(n, _)| *n > 0);
    let text: String = said.map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_with_their_units() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        };
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("1m30s", Some(90_000));
        check("1h 30min", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("7d", Some(604_800_000));
        for bad in [
            "",
            "0",
            "5",
            "s",
            "-5s",
            "+5s",
            "5x",
            "5M",
            "2months",
            "1y",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn in_metadata_a_bare_number_is_seconds() {
        assert_eq!(parse_metadata("30"), parse("30s"));
        assert_eq!(parse_metadata("30s"), parse("30s"));
        assert_eq!(parse_metadata("1m30s"), parse("90s"));
        assert_eq!(parse_metadata("+30"), None);
        assert_eq!(parse_metadata(""), None);
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for (text, millis) in [
            ("50ms", 50),
            ("1500ms", 1_500),
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("24h", 86_400_000),
            ("1h5m", 3_900_000),
        ] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
            assert_eq!(parse(text), Some(Duration::from_millis(millis)));
        }
        assert_eq!(shown(Duration::ZERO), "0s");
    }
}
