//! How the holder of a partition makes progress on it: since when it holds it, is behind, or stalls.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What one poll of a readable partition says.
pub(super) struct PartitionLook<'a> {
    pub at: Timestamp,
    pub owner: Option<&'a str>,
    /// Whether a later position was committed than at the poll before.
    pub moved: bool,
    /// Messages behind the committed position.
    pub backlog: u64,
    /// What arrived within [`super::tuning::progress::BEHIND`] before.
    pub arrived_lately: u64,
}

/// One partition's holder over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    seen: bool,
    owner: Option<String>,
    /// When it came to its holder, or was let go; `None`: that was before the first look.
    pub owned_since: Option<Timestamp>,
    /// Since when every commit left more than what had just arrived: its holder was never idle since.
    pub behind_since: Option<Timestamp>,
    /// Since when these commits left no less than the first of them.
    pub not_falling_since: Option<Timestamp>,
    /// What that one left.
    left: u64,
    /// The last commit that moved.
    pub moved_at: Option<Timestamp>,
    /// Since when something waits and nothing is committed.
    pub stalled_since: Option<Timestamp>,
}

impl Progress {
    /// Who holds it.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Takes in one poll. If the partition changed hands: who let it go.
    pub(super) fn observe(&mut self, look: &PartitionLook<'_>) -> Option<Option<String>> {
        let mut let_go = None;
        let first = !std::mem::replace(&mut self.seen, true);
        if self.owner.as_deref() != look.owner {
            let owner = look.owner.map(str::to_owned);
            let_go = Some(std::mem::replace(&mut self.owner, owner));
            self.owned_since = Some(look.at).filter(|_| !first);
            self.behind_since = None;
            self.not_falling_since = None;
            self.stalled_since = None;
        }
        if look.moved {
            self.moved_at = Some(look.at);
            self.stalled_since = None;
            let behind = look.backlog > look.arrived_lately;
            self.behind_since = behind.then(|| self.behind_since.unwrap_or(look.at));
            self.note_left(look.at, look.backlog);
        }
        if look.backlog == 0 {
            self.behind_since = None;
            self.not_falling_since = None;
            self.stalled_since = None;
        } else {
            self.stalled_since.get_or_insert(look.at);
        }
        let_go
    }

    /// It could not be read: whether what waits fell meanwhile cannot be known.
    pub(super) fn interrupted(&mut self) {
        self.not_falling_since = None;
    }

    fn note_left(&mut self, at: Timestamp, left: u64) {
        let goes_on = self.not_falling_since.is_some() && left >= self.left;
        if !goes_on {
            self.left = left;
            self.not_falling_since = Some(at);
        }
        self.not_falling_since = self.behind_since.and(self.not_falling_since);
    }
}
