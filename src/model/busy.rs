//! How many of a group's consumers have something in hand: the share of its time that one of them works.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::sample::Holder;
use super::time::Timestamp;
use crate::model::tuning::busy::{AT_WORK_MILLIS, LEAST_LOOKS, WINDOW};

/// Looks at consumers of the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusyShare {
    /// When, consumers with something in hand, consumers at work.
    looks: VecDeque<(Timestamp, u32, u32)>,
}

impl BusyShare {
    /// Takes in who holds what. Another number of consumers is another share: what was seen before says nothing of it.
    pub fn observe(&mut self, at: Timestamp, holders: Option<&BTreeMap<String, Holder>>) {
        let Some(holders) = holders else {
            return self.looks.clear();
        };
        let at_work = |holder: &&Holder| holder.silent_millis < AT_WORK_MILLIS;
        let (mut busy, mut all) = (0, 0);
        for holder in holders.values().filter(at_work) {
            busy += u32::from(holder.pending > 0);
            all += 1;
        }
        let is_old = |then: &(Timestamp, u32, u32)| then.2 != all || at.since(then.0) > WINDOW;
        while self.looks.front().is_some_and(is_old) {
            self.looks.pop_front();
        }
        self.looks.push_back((at, busy, all));
    }

    /// Between 0 and 1; `None` before consumers were looked at often enough.
    pub fn ratio(&self) -> Option<f64> {
        let sum = |(busy, all): (u32, u32), look: &(Timestamp, u32, u32)| {
            (busy.saturating_add(look.1), all.saturating_add(look.2))
        };
        let (busy, all) = self.looks.iter().fold((0, 0), sum);
        (all >= LEAST_LOOKS).then(|| f64::from(busy) / f64::from(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumers(busy: usize, all: usize) -> BTreeMap<String, Holder> {
        let holder = |n: usize| Holder {
            pending: u64::from(n < busy),
            silent_millis: 5,
        };
        (0..all).map(|n| (n.to_string(), holder(n))).collect()
    }

    #[test]
    fn it_is_the_mean_over_minutes_with_the_same_consumers() {
        let mut share = BusyShare::default();
        let mut look = |poll: u64, busy, all| {
            let holders = consumers(busy, all);
            share.observe(Timestamp::from_millis(poll * 5_000), Some(&holders));
            share.ratio()
        };
        assert_eq!(look(0, 9, 10), None);
        assert_eq!(look(1, 9, 10), None);
        assert_eq!(look(2, 6, 10), Some(0.8));
        assert_eq!(look(3, 6, 12), None, "as two came");
        for poll in 4..60 {
            look(poll, 3, 12);
        }
        assert_eq!(look(60, 3, 12), Some(0.25), "what is older does not count");
    }

    #[test]
    fn who_is_gone_is_not_idle() {
        let mut holders = consumers(2, 2);
        let gone = Holder {
            pending: 0,
            silent_millis: 61_000,
        };
        holders.insert("gone".to_owned(), gone);
        let mut share = BusyShare::default();
        for poll in 0..20 {
            share.observe(Timestamp::from_millis(poll * 5_000), Some(&holders));
        }
        assert_eq!(share.ratio(), Some(1.0));
        share.observe(Timestamp::from_millis(100_000), None);
        assert_eq!(share.ratio(), None);
    }
}
