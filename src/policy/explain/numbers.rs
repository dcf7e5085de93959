//! Numbers as people read them.

use std::time::Duration;

use crate::model::quantity::Quantity;

/// `1 replica`, `12 replicas`.
pub(super) fn count(n: u32, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n.into()))
}

/// With thousands separators from 10,000 on.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    if n < 10_000 {
        return digits;
    }
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count that may be a lower bound.
pub(super) fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Exact(n) => grouped(n),
        Quantity::AtLeast(n) => format!("at least {}", grouped(n)),
    }
}

/// Whole from 10 per second on, two decimals below 1.
pub(super) fn rate(per_second: f64) -> String {
    if per_second >= 9.95 || per_second == 0.0 {
        grouped(per_second.round() as u64)
    } else if per_second >= 0.995 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.2}")
    }
}

/// Whole from 10 s on.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else {
        format!("{} s", grouped(seconds.round() as u64))
    }
}

/// `0.9` as `90 %`.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// `45 s`, `5 min`, `1 min 30 s`, `2 h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = parts.into_iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = parts.map(|(n, unit)| format!("{n} {unit}")).collect();
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_separators_and_times_have_units() {
        let all = [9_999, 10_000, 123_456, 1_234_567].map(grouped);
        assert_eq!(all, ["9999", "10,000", "123,456", "1,234,567"]);
        let times = [0, 45, 60, 90, 300, 7_200, 3_661].map(|s| duration(Duration::from_secs(s)));
        let words = [
            "0 s",
            "45 s",
            "1 min",
            "1 min 30 s",
            "5 min",
            "2 h",
            "1 h 1 min 1 s",
        ];
        assert_eq!(times, words);
        assert_eq!(
            [0.0, 0.25, 9.4, 9.96, 12_345.6].map(rate),
            ["0", "0.25", "9.4", "10", "12,346"]
        );
        assert_eq!(count(1, "job"), "1 job");
    }
}
