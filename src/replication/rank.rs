//! Which replica a group belongs to: rendezvous hashing (Thaler and Ravishankar, 1996). Every replica has a score for every group, and the
//! highest wins, so that a replica that comes or goes moves only the groups that it gets or had.

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use crate::model::identity::GroupKey;

/// The replicas in the order in which they are to have the group.
pub(super) fn ranking<'m>(
    replicas: impl IntoIterator<Item = &'m str>,
    group: &GroupKey,
) -> Vec<&'m str> {
    let mut ranking: Vec<&str> = replicas.into_iter().collect();
    // Where two scores are equal, the name decides.
    ranking.sort_by_cached_key(|replica| (Reverse(score(replica, group)), *replica));
    ranking
}

/// The same on every machine and in every version.
fn score(replica: &str, group: &GroupKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(replica);
    for part in group.parts() {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn group(n: u32) -> GroupKey {
        GroupKey {
            source: "main".into(),
            stream: format!("orders:{n}"),
            consumer_group: "billing".into(),
        }
    }

    proptest! {
        #[test]
        fn who_leaves_or_comes_moves_only_its_own_groups(
            names in proptest::collection::btree_set("[a-z]{1,8}", 2..7),
            leaves in 0_usize..7,
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let gone = names[leaves % names.len()];
            for n in 0..50 {
                let group = group(n);
                let mut before = ranking(names.iter().copied(), &group);
                let after = ranking(names.iter().copied().filter(|name| *name != gone), &group);
                before.retain(|name| *name != gone);
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn every_replica_has_about_its_share_of_groups_and_of_places_as_the_standby() {
        let names = ["streamgauge-0", "streamgauge-1", "streamgauge-2"];
        for place in 0..2 {
            let mut counts = BTreeMap::new();
            for n in 0..3_000 {
                *counts.entry(ranking(names, &group(n))[place]).or_insert(0) += 1;
            }
            for count in counts.values() {
                assert!((900..1_100).contains(count), "{counts:?}");
            }
        }
    }
}
