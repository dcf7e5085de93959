//! A count that knows whether it is exact or only a lower bound. Unknown is `None` around it, never 0.

use serde::{Deserialize, Serialize};

/// A number of messages: counted, or at least so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Quantity {
    /// Counted.
    Exact(u64),
    /// A lower bound: part of the truth could not be read.
    AtLeast(u64),
}

impl Quantity {
    /// The number, whatever its certainty.
    pub const fn value(self) -> u64 {
        match self {
            Self::Exact(n) | Self::AtLeast(n) => n,
        }
    }

    /// Whether the number is counted and not a bound.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// The exact number, if it is one.
    pub const fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(n) => Some(n),
            Self::AtLeast(_) => None,
        }
    }

    /// The sum; a bound if either part is one.
    pub const fn plus(self, other: Self) -> Self {
        let sum = self.value().saturating_add(other.value());
        if self.is_exact() && other.is_exact() {
            Self::Exact(sum)
        } else {
            Self::AtLeast(sum)
        }
    }

    /// Sums parts of which some may be unknown. An unknown part makes the sum a lower bound, and a lower bound of 0
    /// says nothing: it counts as unknown. No parts at all are exactly 0.
    pub fn sum(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let mut sum = Sum::default();
        parts.into_iter().for_each(|part| sum.add(part));
        sum.total()
    }
}

/// A sum in the making, as [`Quantity::sum`].
#[derive(Clone, Copy, Debug)]
pub struct Sum(Quantity);

impl Default for Sum {
    fn default() -> Self {
        Self(Quantity::Exact(0))
    }
}

impl Sum {
    /// Adds a part; `None`: unknown.
    pub fn add(&mut self, part: Option<Quantity>) {
        self.0 = self.0.plus(part.unwrap_or(Quantity::AtLeast(0)));
    }

    /// The sum of what was added.
    pub fn total(self) -> Option<Quantity> {
        (self.0 != Quantity::AtLeast(0)).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Quantity::{AtLeast, Exact};

    #[test]
    fn a_sum_with_unknown_or_partial_parts_is_a_lower_bound_and_a_bound_of_zero_is_unknown() {
        let check = |parts: &[Option<Quantity>], expect| {
            assert_eq!(Quantity::sum(parts.iter().copied()), expect, "{parts:?}");
        };
        check(&[], Some(Exact(0)));
        check(&[Some(Exact(2)), Some(Exact(3))], Some(Exact(5)));
        check(&[Some(Exact(2)), None], Some(AtLeast(2)));
        check(&[Some(Exact(2)), Some(AtLeast(3))], Some(AtLeast(5)));
        check(&[Some(Exact(0)), None], None);
        check(&[Some(AtLeast(0))], None);
        check(
            &[Some(Exact(u64::MAX)), Some(Exact(1))],
            Some(Exact(u64::MAX)),
        );
    }
}
