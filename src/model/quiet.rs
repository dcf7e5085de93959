//! How long nothing happened on a partition, and when whoever held it must be through with what is there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// A consumer that held a partition for so long without anything new is through with it …
pub const SETTLES_OWNED: Duration = Duration::from_secs(60);
/// … and where nobody records who holds it, after so long.
pub const SETTLES_UNOWNED: Duration = Duration::from_secs(300);

/// A spell in which nothing arrived and the committed position stood still.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quiet {
    since: Timestamp,
    /// Since when, within it, a consumer held the partition at every poll.
    owned_since: Option<Timestamp>,
}

impl Quiet {
    /// It begins with a poll at `at`.
    pub fn begin(at: Timestamp, owned: bool) -> Self {
        Self {
            since: at,
            owned_since: owned.then_some(at),
        }
    }

    /// It was still quiet at `at`. Who leaves after [`SETTLES_OWNED`] was through; before that, who comes next starts anew.
    pub fn go_on(self, at: Timestamp, owned: bool) -> Self {
        let owned_since = if owned {
            self.owned_since.or(Some(at))
        } else {
            self.owned_since.filter(|_| self.was_owned_enough(at))
        };
        Self {
            owned_since,
            ..self
        }
    }

    /// Whether whoever held the partition must be through with it.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.was_owned_enough(now) || now.since(self.since) >= SETTLES_UNOWNED
    }

    fn was_owned_enough(self, now: Timestamp) -> bool {
        self.owned_since
            .is_some_and(|since| now.since(since) >= SETTLES_OWNED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is over at the last of these polls, 15 s apart, each with (`o`) or without (`.`) an owner.
    fn is_over(polls: &str) -> bool {
        let at = |n: usize| Timestamp::from_millis(n as u64 * 15_000);
        let mut owners = polls.chars().map(|c| c == 'o').enumerate();
        let (first, owned) = owners.next().expect("a poll");
        let quiet = owners.fold(Quiet::begin(at(first), owned), |quiet, (n, owned)| {
            quiet.go_on(at(n), owned)
        });
        quiet.is_over(at(polls.len() - 1))
    }

    #[test]
    fn it_is_over_a_minute_after_the_last_hand_over_and_stays_so() {
        for (polls, over) in [
            ("oooo", false),
            ("ooooo", true),
            ("ooooo....o.", true),
            ("ooo.oooo", false),
            ("ooo.ooooo", true),
            ("....................", false),
            (".....................", true),
            ("...............ooooo", true),
        ] {
            assert_eq!(is_over(polls), over, "{polls}");
        }
    }
}
