//! The order in which people read names: numbers within them by value, so that `2` stands before `10`.

use std::cmp::Ordering;

/// Compares by runs of digits and runs of other bytes; equal values with leading zeros fall back to the plain order.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (None, _) | (_, None) => return left.len().cmp(&right.len()).then_with(|| a.cmp(b)),
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (n, left_rest) = split_number(left);
                let (m, right_rest) = split_number(right);
                match n.len().cmp(&m.len()).then_with(|| n.cmp(m)) {
                    Ordering::Equal => (left, right) = (left_rest, right_rest),
                    unequal => return unequal,
                }
            }
            (Some(x), Some(y)) if x != y => return x.cmp(y),
            _ => (left, right) = (&left[1..], &right[1..]),
        }
    }
}

/// The digits at the start without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value_wherever_they_stand() {
        let check = |sorted: &[&str]| {
            let mut names = sorted.to_vec();
            names.reverse();
            names.sort_by(|a, b| compare(a, b));
            assert_eq!(names, sorted);
        };
        check(&["0", "2", "10", "100"]);
        check(&["eu:2:a", "eu:10:a", "us:1:a"]);
        check(&["1", "1:2", "1:10", "a"]);
        check(&["007", "07", "7", "8"]);
        check(&["", "0", "99999999999999999998", "99999999999999999999"]);
    }
}
