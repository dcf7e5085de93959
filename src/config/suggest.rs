//! "Did you mean": the known key nearest to a mistyped one.

use strsim::osa_distance;

/// What to write instead of an unknown key: the nearest known one, or all of them.
pub(super) fn did_you_mean(key: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(key, known) {
        Some(candidate) => format!("did you mean {candidate}? Known keys: {all}"),
        None => format!("remove it. Known keys: {all}"),
    }
}

/// The known key that was most likely meant, if one is near.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = fold(key);
    let candidates = known.iter();
    let (distance, nearest) = candidates
        .map(|candidate| (osa_distance(&folded, &fold(candidate)), *candidate))
        .min()?;
    (distance <= 1 + nearest.len() / 5).then_some(nearest)
}

/// Without case and separators, so that `targetDelay` is near `target_delay`.
fn fold(text: &str) -> String {
    let plain = text.chars().filter(|c| !matches!(c, '_' | '-'));
    plain.flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_key_that_was_meant() {
        let check = |key: &str, expect: &str| {
            assert_eq!(
                did_you_mean(key, &["target_delay", "mode"]),
                expect,
                "{key}"
            );
        };
        let all = "target_delay, mode";
        check(
            "target_dealy",
            &format!("did you mean target_delay? Known keys: {all}"),
        );
        check(
            "targetDelay",
            &format!("did you mean target_delay? Known keys: {all}"),
        );
        check("colour", &format!("remove it. Known keys: {all}"));
    }
}
