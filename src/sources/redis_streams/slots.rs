//! Which node of a cluster has which keys.

use crc::{CRC_16_XMODEM, Crc};

use super::key;

/// Slots of a cluster: keys are spread over them.
const SLOTS: u16 = 16_384;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of a key, by the cluster's specification: only what stands between the first `{` and the next `}` counts, if anything.
pub fn slot_of(key: &str) -> u16 {
    let key = key::sent(key);
    CHECKSUM.checksum(hash_tag(&key).unwrap_or(&key)) % SLOTS
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let rest = &key[key.iter().position(|byte| *byte == b'{')? + 1..];
    let tag = &rest[..rest.iter().position(|byte| *byte == b'}')?];
    (!tag.is_empty()).then_some(tag)
}

/// Ranges of slots, each with what has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap<N> {
    /// First slot, last slot, owner; in order.
    ranges: Vec<(u16, u16, N)>,
}

impl<N> SlotMap<N> {
    /// Of these ranges, in any order.
    pub fn new(mut ranges: Vec<(u16, u16, N)>) -> Self {
        ranges.sort_by_key(|(first, ..)| *first);
        Self { ranges }
    }

    /// What has the slot; `None` if nothing has.
    pub fn owner(&self, slot: u16) -> Option<&N> {
        let after = self.ranges.partition_point(|(first, ..)| *first <= slot);
        let (_, last, owner) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(owner)
    }

    /// Whether every slot has an owner.
    pub fn is_whole(&self) -> bool {
        let mut next = 0;
        for (first, last, _) in &self.ranges {
            if *first > next {
                return false;
            }
            next = next.max(last.saturating_add(1));
        }
        next >= SLOTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_key_is_the_servers() {
        // From CLUSTER KEYSLOT.
        for (key, slot) in [
            ("", 0),
            ("foo", 12_182),
            ("{foo}.bar", 12_182),
            ("x{foo}{bar}", 12_182),
            ("123456789", 12_739),
            ("foo{}{bar}", 8_363),
            ("{", 4_092),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }

    #[test]
    fn a_slot_belongs_to_the_range_it_lies_in_and_a_gap_to_nobody() {
        let map = SlotMap::new(vec![(10_000, 16_383, 'b'), (0, 4_999, 'a')]);
        let owners = [0, 4_999, 5_000, 9_999, 10_000, 16_383].map(|slot| map.owner(slot));
        assert_eq!(
            owners,
            [Some(&'a'), Some(&'a'), None, None, Some(&'b'), Some(&'b')]
        );
        assert!(!map.is_whole());
        assert!(SlotMap::new(vec![(5_000, 16_383, 'b'), (0, 4_999, 'a')]).is_whole());
        assert!(!SlotMap::new(vec![(0, 16_382, 'a')]).is_whole());
        assert!(!SlotMap::<char>::new(Vec::new()).is_whole());
    }
}
