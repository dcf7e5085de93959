//! Time spans as users write them: `500ms`, `5s`, `2m`, `1h`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How often a group may be polled.
pub const POLL_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(300);

/// What a time span has to look like, for errors.
pub const EXPECTED: &str = "a whole number with its unit, such as 500ms, 5s, 2m or 1h";

/// Reads a whole number with its unit (`ms`, `s`, `m`, `h`).
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3_600).map(Duration::from_secs),
        _ => None,
    }
}

/// As [`parse`]; a bare number is seconds, as KEDA's users write it.
pub fn parse_metadata(text: &str) -> Option<Duration> {
    parse(text).or_else(|| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Duration::from_secs))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_with_its_unit() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        };
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "1.5s",
            "5 s",
            "5d",
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
        assert_eq!(parse_metadata("+30"), None);
        assert_eq!(parse_metadata(""), None);
    }
}
