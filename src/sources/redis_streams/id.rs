//! Entry ids: `<milliseconds>-<sequence>`, compared as numbers.

use crate::model::sample::Position;

/// Ids whose milliseconds lie before 2001 were not generated from a clock.
const EARLIEST_PLAUSIBLE_MILLIS: u64 = 1_000_000_000_000;

/// Clocks of old primaries and clients may run ahead by so much.
const PLAUSIBLE_LEAD_MILLIS: u64 = 60_000;

/// Reads `ms-seq`.
pub fn parse(text: &[u8]) -> Option<Position> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once('-')?;
    Some(Position {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

/// Writes `ms-seq`.
pub fn text(id: Position) -> String {
    format!("{}-{}", id.major, id.minor)
}

/// Whether something can have happened at that time by a clock.
pub const fn is_plausible_time(millis: u64) -> bool {
    millis >= EARLIEST_PLAUSIBLE_MILLIS
}

/// Milliseconds since the entry was added, if its id can have come from a clock.
pub fn age_millis(id: Position, now_millis: u64) -> Option<u64> {
    let plausible = id.major >= EARLIEST_PLAUSIBLE_MILLIS
        && id.major <= now_millis.saturating_add(PLAUSIBLE_LEAD_MILLIS);
    plausible.then(|| now_millis.saturating_sub(id.major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_from_a_clock_have_an_age() {
        let check = |id: &str, expect| {
            let id = parse(id.as_bytes()).expect("an id");
            assert_eq!(age_millis(id, 1_700_000_000_000), expect);
        };
        check("1699999999000-3", Some(1000));
        check("1700000030000-0", Some(0));
        check("1700000060001-0", None);
        check("1-0", None);
        assert_eq!(parse(b"12"), None);
        assert_eq!(parse(b"a-b"), None);
    }
}
