//! How much a YAML text expands to: an alias repeats what it stands for, so a few lines can become gigabytes.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Values of a config, at most: 10,000 keys for each of many groups.
const MOST_VALUES: u32 = 1_000_000;

/// Reads the text without keeping anything of it.
///
/// # Errors
/// It is no YAML, or expands to too many values.
pub(super) fn check(text: &str) -> Result<(), serde_yaml::Error> {
    let left = Cell::new(MOST_VALUES);
    CountedDown(&left).deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Counts every value down.
#[derive(Clone, Copy)]
struct CountedDown<'a>(&'a Cell<u32>);

impl CountedDown<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| {
            E::custom(format!(
                "the file has more than {MOST_VALUES} values once its aliases are expanded: remove aliases"
            ))
        })?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CountedDown<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CountedDown<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.count()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.count()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.count()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.count()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.count()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.count()?;
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.count()?;
        while entries.next_key_seed(self)?.is_some() {
            entries.next_value_seed(self)?;
        }
        Ok(())
    }

    /// A tag.
    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        use serde::de::VariantAccess;
        let ((), value) = tagged.variant_seed(self)?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_told_before_it_goes_off() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..=6 {
            let part = format!("*a{}", n - 1);
            let parts = [part.as_str(); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{parts}]\n");
        }
        let error = check(&bomb).expect_err("a bomb").to_string();
        assert!(
            error.contains("repetition") || error.contains("aliases"),
            "{error}"
        );
        let wide = "- *x0\n".repeat(200_000);
        let bomb = format!("x: &x0 [{}]\ny:\n{wide}", ["1"; 1_000].join(","));
        let error = check(&bomb).expect_err("a bomb").to_string();
        assert!(error.contains("once its aliases are expanded"), "{error}");
    }

    #[test]
    fn aliases_and_tags_of_everyday_use_pass() {
        check("base: &base { a: 1, b: [1.5, x, ~] }\nmore:\n  <<: *base\n  c: !Tag { d: true }\n")
            .expect("fine");
    }
}
