//! Sizes as users write them: `128MiB`, `1GiB`.

use super::keys::Parsed;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// Less holds nothing worth keeping.
const LEAST: u64 = 1 << 20;

impl ByteSize {
    /// How it is read and written.
    pub(super) const KIND: Parsed<Self> = Parsed::new(
        Self::parse,
        Self::shown,
        r"^\s*[0-9]+\s*([GMK]i|[GMk])B\s*$",
    );

    /// So many times 1,048,576 bytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let size = UNITS.iter().find_map(|(unit, bytes)| {
            let number = text.trim().strip_suffix(unit)?.trim_end();
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| number.parse::<u64>().ok()?.checked_mul(*bytes))?
        });
        let size = size.filter(|size| *size >= LEAST && *size <= i64::MAX as u64);
        size.map(Self)
            .ok_or("must be a size of at least 1MiB, such as 128MiB or 1GiB")
    }

    fn shown(&self) -> String {
        let fits = |bytes: &u64| self.0.is_multiple_of(*bytes);
        let unit = UNITS.iter().find(|(_, bytes)| fits(bytes));
        // What was read has a unit.
        let (unit, bytes) = unit.unwrap_or(&("kB", 1_000));
        format!("{}{unit}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_its_unit() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(
                ByteSize::parse(text).ok().map(ByteSize::bytes),
                bytes,
                "{text}"
            );
        };
        check("128MiB", Some(128 << 20));
        check(" 1 GiB ", Some(1 << 30));
        check("2048KiB", Some(2 << 20));
        check("5MB", Some(5_000_000));
        check("1100kB", Some(1_100_000));
        for wrong in [
            "",
            "5",
            "5M",
            "MiB",
            "-5MiB",
            "1.5GiB",
            "1023KiB",
            "99999999999GiB",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["128MiB", "1GiB", "3MB", "1100kB", "1025KiB"] {
            let size = ByteSize::parse(text).expect("a size");
            assert_eq!(ByteSize::parse(&size.shown()), Ok(size), "{text}");
        }
    }
}
