//! Who gets which partition: count-balanced and sticky, in three styles of getting there.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

/// How partitions move when replicas come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rebalance {
    /// At once, as a group coordinator does it.
    #[default]
    Sticky,
    /// At the next cycle of 10 s every replica claims all of its share; what a crashed one held expires after 2 minutes.
    Greedy,
    /// At every cycle of 10 s each replica claims one partition at most; expiry as in `Greedy`.
    Balanced,
}

/// The partitions' holders after a rebalance, and which partitions changed hands.
///
/// `owners` holds a replica's number per partition; `ready` are the replicas that may hold some. Quotas are ⌊N÷n⌋ or one more;
/// who has more already keeps it. `claims` is the most that each replica may take now.
pub fn rebalance(
    owners: &mut [Option<u32>],
    free: &[bool],
    ready: &[u32],
    claims: usize,
    rng: &mut Pcg64,
) -> Vec<usize> {
    let mut held: Vec<Vec<usize>> = vec![Vec::new(); ready.len()];
    let mut unowned: Vec<usize> = Vec::new();
    for (partition, owner) in owners.iter().enumerate() {
        match owner.and_then(|owner| ready.iter().position(|r| *r == owner)) {
            Some(slot) => held[slot].push(partition),
            None if free[partition] => unowned.push(partition),
            None => {}
        }
    }
    if ready.is_empty() {
        return Vec::new();
    }
    let quotas = quotas(&held, owners.len());
    let mut moved = Vec::new();
    let mut takers: Vec<usize> = (0..ready.len())
        .filter(|slot| held[*slot].len() < quotas[*slot])
        .collect();
    // The emptiest first; equals in random order.
    takers.shuffle(rng);
    takers.sort_by_key(|slot| held[*slot].len());
    unowned.shuffle(rng);
    for slot in takers {
        let wanted = (quotas[slot] - held[slot].len()).min(claims);
        for _ in 0..wanted {
            let partition = unowned.pop().or_else(|| surplus(&mut held, &quotas, rng));
            let Some(partition) = partition else { break };
            owners[partition] = Some(ready[slot]);
            held[slot].push(partition);
            moved.push(partition);
        }
    }
    moved
}

/// ⌊N÷n⌋ for each, one more for as many as it takes, those first that hold the most.
fn quotas(held: &[Vec<usize>], partitions: usize) -> Vec<usize> {
    let (least, mut extra) = (partitions / held.len(), partitions % held.len());
    let mut order: Vec<usize> = (0..held.len()).collect();
    order.sort_by_key(|slot| std::cmp::Reverse(held[*slot].len()));
    let mut quotas = vec![least; held.len()];
    for slot in order {
        if extra == 0 {
            break;
        }
        quotas[slot] += 1;
        extra -= 1;
    }
    quotas
}

/// Takes a partition, any, from whoever holds most above its quota.
fn surplus(held: &mut [Vec<usize>], quotas: &[usize], rng: &mut Pcg64) -> Option<usize> {
    let slot = (0..held.len())
        .filter(|slot| held[*slot].len() > quotas[*slot])
        .max_by_key(|slot| held[*slot].len() - quotas[*slot])?;
    let n = rng.random_range(0..held[slot].len());
    Some(held[slot].swap_remove(n))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn counts_differ_by_one_at_most_and_no_more_partitions_move_than_have_to(
            partitions in 1_usize..40, before in 1_u32..20, after in 1_u32..20, seed in any::<u64>(),
        ) {
            let mut rng = Pcg64::seed_from_u64(seed);
            let mut owners = vec![None; partitions];
            let free = vec![true; partitions];
            let first: Vec<u32> = (0..before).collect();
            rebalance(&mut owners, &free, &first, usize::MAX, &mut rng);
            let was = owners.clone();
            let second: Vec<u32> = (0..after).collect();
            let moved = rebalance(&mut owners, &free, &second, usize::MAX, &mut rng);
            let counts: Vec<usize> = second.iter().map(|r| owners.iter().filter(|o| **o == Some(*r)).count()).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), partitions);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            let changed = (0..partitions).filter(|p| was[*p] != owners[*p]).count();
            prop_assert_eq!(moved.len(), changed);
            let count_before = |r: u32| was.iter().filter(|o| **o == Some(r)).count();
            let least: usize = second.iter().map(|r| {
                let now = owners.iter().filter(|o| **o == Some(*r)).count();
                now.saturating_sub(count_before(*r))
            }).sum();
            prop_assert_eq!(moved.len(), least);
        }
    }
}
