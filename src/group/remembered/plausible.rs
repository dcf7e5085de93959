//! Whether numbers that were kept can be what the program wrote: nothing that it counts or measures is larger.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Milliseconds since 1970 stay below it until the year 33658, counters of a million messages a second for thirty years.
/// Beside them there is only the largest number of 32 bits, for "none yet".
const LARGEST: f64 = 1e15;

/// Any JSON without a number beyond that.
#[derive(Debug)]
pub(super) struct Plausible;

impl<'de> Deserialize<'de> for Plausible {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

fn check<E: Error>(number: f64) -> Result<Plausible, E> {
    if number.abs() <= LARGEST || number == f64::from(f32::MAX) {
        Ok(Plausible)
    } else {
        Err(E::custom(format!(
            "{number:e} is outside the range of saved numbers"
        )))
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Plausible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Plausible, E> {
        check(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Plausible, E> {
        check(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Plausible, E> {
        check(number as f64)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plausible, E> {
        Ok(Plausible)
    }

    fn visit_str<E>(self, _: &str) -> Result<Plausible, E> {
        Ok(Plausible)
    }

    fn visit_unit<E>(self) -> Result<Plausible, E> {
        Ok(Plausible)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plausible, A::Error> {
        while items.next_element::<Plausible>()?.is_some() {}
        Ok(Plausible)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Plausible, A::Error> {
        // Keys are names.
        while entries
            .next_entry::<serde::de::IgnoredAny, Plausible>()?
            .is_some()
        {}
        Ok(Plausible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_all_bounds_are_found_wherever_they_stand() {
        let check = |text: &str, expect: bool| {
            let read = serde_json::from_str::<Plausible>(text);
            assert_eq!(read.is_ok(), expect, "{text}: {read:?}");
        };
        check(
            "{\"a\": [1, -2.5, null, true, \"1e300\", {\"1e300\": 1700000000000}]}",
            true,
        );
        check("{\"a\": {\"b\": [0.5, 1e300]}}", false);
        check("[-1e300]", false);
        check("[18446744073709551615]", false);
        check("[1e999]", false);
    }
}
