//! How long nothing happened on a partition, and when whoever held it must be through with what is there.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};

/// Who held a partition at a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// A consumer.
    Somebody,
    /// Nobody: what is there now waits, however long nothing happens.
    Nobody,
    /// Holders are not recorded, or could not be read.
    Untold,
}

/// A spell in which nothing arrived and the committed position stood still.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quiet {
    /// Since when, within it, a consumer held the partition at every poll.
    held_since: Option<Timestamp>,
    /// Since when, within it, no poll told who holds the partition.
    untold_since: Option<Timestamp>,
    is_over: bool,
}

impl Quiet {
    /// It begins with a poll at `at`.
    pub fn begin(at: Timestamp, holder: HeldBy) -> Self {
        Self {
            held_since: (holder == HeldBy::Somebody).then_some(at),
            untold_since: (holder == HeldBy::Untold).then_some(at),
            is_over: false,
        }
    }

    /// It was still quiet at `at`. Once it is over it stays so whoever comes or leaves; before that, who comes next starts over.
    pub fn go_on(self, at: Timestamp, holder: HeldBy) -> Self {
        let anew = Self::begin(at, holder);
        let held_since = anew.held_since.and(self.held_since.or(Some(at)));
        let untold_since = anew.untold_since.and(self.untold_since.or(Some(at)));
        let lasts =
            |since: Option<Timestamp>, long| since.is_some_and(|then| at.since(then) >= long);
        Self {
            held_since,
            untold_since,
            is_over: self.is_over
                || lasts(held_since, SETTLES_OWNED)
                || lasts(untold_since, SETTLES_UNTOLD),
        }
    }

    /// Whether whoever held the partition must be through with it.
    pub const fn is_over(self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is over at the last of these polls, 15 s apart: held (`o`), held by nobody (`.`), or not told (`?`).
    fn is_over(polls: &str) -> bool {
        let at = |n: usize| Timestamp::from_millis(n as u64 * 15_000);
        let holder = |c| match c {
            'o' => HeldBy::Somebody,
            '.' => HeldBy::Nobody,
            _ => HeldBy::Untold,
        };
        let mut holders = polls.chars().map(holder).enumerate();
        let (first, holder) = holders.next().expect("a poll");
        let quiet = holders.fold(Quiet::begin(at(first), holder), |quiet, (n, holder)| {
            quiet.go_on(at(n), holder)
        });
        quiet.is_over()
    }

    #[test]
    fn it_is_over_a_minute_after_the_last_hand_over_and_stays_so() {
        for (polls, over) in [
            ("oooo", false),
            ("oooo.", false),
            ("ooooo", true),
            ("ooooo....o.", true),
            ("ooo.oooo", false),
            ("ooo.ooooo", true),
        ] {
            assert_eq!(is_over(polls), over, "{polls}");
        }
    }

    #[test]
    fn with_nobody_there_it_is_never_over_and_where_that_is_not_told_after_five_minutes() {
        let (nobody, untold) = (".".repeat(400), "?".repeat(20));
        for (polls, over) in [
            (nobody.clone(), false),
            (format!("{nobody}oooo"), false),
            (format!("{nobody}ooooo"), true),
            (untold.clone(), false),
            (format!("{untold}?"), true),
            (format!("{untold}?."), true),
            (format!("{untold}.{untold}"), false),
            (format!("ooo{untold}"), false),
            (format!("o{untold}o"), false),
        ] {
            assert_eq!(is_over(&polls), over, "{polls}");
        }
    }
}
