//! Who would hold what with another count of consumers: partitions are shared out by count, sticky, and by chance.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::policy::tuning::placement::TRIALS;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg32;

/// Holders and their partitions, as numbers into a list of loads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Those that hold most first.
    holders: Vec<Vec<usize>>,
    free: Vec<usize>,
    partitions: usize,
}

impl Placement {
    /// From the partitions' holders, in any order.
    pub fn new<'a>(owners: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut placement = Self::default();
        for (n, owner) in owners.enumerate() {
            placement.partitions += 1;
            match owner {
                Some(owner) => by_name.entry(owner).or_default().push(n),
                None => placement.free.push(n),
            }
        }
        placement.holders = by_name.into_values().collect();
        placement.holders.sort_by_key(|held| Reverse(held.len()));
        placement
    }

    /// Who holds what now.
    pub fn holders(&self) -> &[Vec<usize>] {
        &self.holders
    }

    /// Whether with so many consumers no one gets more than `most` of the loads, in at least `share` of the outcomes of chance.
    pub fn fits(&self, consumers: u32, loads: &[f64], most: f64, share: f64) -> bool {
        // Always the same outcomes, so that the same question has the same answer.
        let mut rng = Pcg32::seed_from_u64(u64::from(consumers));
        // More of them would hold nothing.
        let consumers = (consumers as usize).clamp(1, self.partitions.max(1));
        let may_fail = TRIALS - (share * TRIALS as f64).ceil() as usize;
        let mut failed = 0;
        let mut trial = Trial::default();
        for _ in 0..TRIALS {
            if trial.heaviest(self, consumers, loads, &mut rng) > most {
                failed += 1;
                if failed > may_fail {
                    return false;
                }
            }
        }
        true
    }
}

/// Space for one outcome of chance, used again for the next.
#[derive(Default)]
struct Trial {
    order: Vec<usize>,
    held: Vec<usize>,
    pool: Vec<usize>,
    /// (load so far, partitions to come)
    takers: Vec<(f64, usize)>,
}

impl Trial {
    fn heaviest(
        &mut self,
        now: &Placement,
        consumers: usize,
        loads: &[f64],
        rng: &mut Pcg32,
    ) -> f64 {
        self.pool.clone_from(&now.free);
        self.takers.clear();
        self.order.clear();
        self.order.extend(0..now.holders.len());
        if consumers < now.holders.len() {
            // Who has to go is not ours to choose.
            self.order.shuffle(rng);
            for gone in self.order.drain(consumers..) {
                self.pool.extend(&now.holders[gone]);
            }
            self.order.sort_unstable();
        }
        let (least, mut extra) = (now.partitions / consumers, now.partitions % consumers);
        for n in 0..consumers {
            let quota = least + usize::from(extra > 0);
            extra = extra.saturating_sub(1);
            self.held.clear();
            if let Some(holder) = self.order.get(n) {
                self.held.extend(&now.holders[*holder]);
            }
            if self.held.len() > quota {
                self.held.shuffle(rng);
                self.pool.extend(self.held.drain(quota..));
            }
            let load = self.held.iter().map(|p| loads[*p]).sum();
            self.takers.push((load, quota - self.held.len()));
        }
        self.pool.shuffle(rng);
        let mut pool = self.pool.iter();
        let loads = self.takers.iter().map(|(load, missing)| {
            load + pool.by_ref().take(*missing).map(|p| loads[*p]).sum::<f64>()
        });
        loads.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Partitions held as the letters say; a dot is held by nobody.
    fn placement(owners: &str) -> Placement {
        let names: Vec<String> = owners.chars().map(String::from).collect();
        Placement::new(names.iter().map(|n| Some(n.as_str()).filter(|n| *n != ".")))
    }

    #[test]
    fn the_present_count_of_balanced_holders_moves_nothing() {
        let now = placement("aabbcc");
        let loads = [60.0, 40.0, 50.0, 50.0, 10.0, 90.0];
        assert!(now.fits(3, &loads, 100.0, 1.0));
        assert!(!now.fits(3, &loads, 99.0, 0.1), "a and b and c get 100");
    }

    #[test]
    fn partitions_that_nobody_holds_go_to_those_with_fewest() {
        let loads = [50.0, 50.0, 50.0, 50.0];
        assert!(placement("ab..").fits(2, &loads, 100.0, 1.0));
        assert!(!placement("aab.").fits(2, &loads, 99.0, 0.1));
        assert!(placement("....").fits(4, &loads, 50.0, 1.0));
    }

    #[test]
    fn one_of_two_that_meet_by_chance_is_told_by_the_share_of_outcomes() {
        // Two hot partitions, shared out anew over two consumers of six partitions each: they meet in about half of the outcomes.
        let loads: Vec<f64> = (0..12).map(|n| if n < 2 { 60.0 } else { 0.0 }).collect();
        let nobody = placement("............");
        assert!(nobody.fits(2, &loads, 100.0, 0.1));
        assert!(!nobody.fits(2, &loads, 100.0, 0.95));
        assert!(nobody.fits(12, &loads, 100.0, 1.0));
    }

    proptest! {
        #[test]
        fn no_load_is_lost_and_every_consumer_gets_its_share_of_partitions(
            owners in prop::collection::vec(prop::option::of(0_u8..6), 1..30), consumers in 1_u32..40,
        ) {
            let names: Vec<Option<String>> = owners.iter().map(|o| o.map(|n| n.to_string())).collect();
            let now = Placement::new(names.iter().map(Option::as_deref));
            let partitions = owners.len();
            let even = partitions.div_ceil(consumers as usize) as f64;
            // With loads of 1 each, somebody holds the largest share, and nobody more.
            let loads = vec![1.0; partitions];
            prop_assert!(now.fits(consumers, &loads, even, 1.0));
            prop_assert!(!now.fits(consumers, &loads, even - 0.5, 1.0 / 16.0));
        }
    }
}
