//! Who leads a group: this process, whose events then also go to the replicas that follow it, or another one, whose events are folded
//! here as they come.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::group::event::{Event, TargetKey, What};
use crate::group::remembered::Remembered;
use crate::journal::encode;
use crate::model::time::WallOffset;
use crate::policy::decision::Decision;

/// What a group's changes come from.
#[derive(Debug)]
pub(super) enum Standing {
    /// From what this process sees.
    Leads {
        /// Who follows it.
        followers: Vec<mpsc::Sender<Vec<u8>>>,
    },
    /// From another replica.
    Follows(Box<Following>),
}

/// What a group goes on with when this process comes to lead it.
#[derive(Clone, Debug, Default)]
pub(super) struct Following {
    /// Who asks this process for it. The leader has its own.
    pub asked: BTreeMap<TargetKey, What>,
    /// By how much this clock is ahead of the leader's; `None` while nothing came from there.
    pub ahead: Option<WallOffset>,
    /// What a leader with other code has learned.
    pub learned: Option<Remembered>,
}

impl Default for Standing {
    fn default() -> Self {
        Self::Leads {
            followers: Vec::new(),
        }
    }
}

impl Standing {
    /// For the group that replaces this one. Followers have to ask again.
    pub fn succeed(&self) -> Self {
        match self {
            Self::Leads { .. } => Self::default(),
            Self::Follows(following) => Self::Follows(following.clone()),
        }
    }

    /// Whether an event of this process is none of the group's; what it says of who asks is kept.
    pub fn turns_away(&mut self, event: &Event) -> bool {
        let Self::Follows(following) = self else {
            return false;
        };
        match &event.what {
            what @ (What::TargetRegistered(key, _) | What::TargetAwaited(key, _)) => {
                following.asked.insert(key.clone(), what.clone());
            }
            What::TargetExpired(key) => {
                following.asked.remove(key);
            }
            _ => {}
        }
        true
    }

    /// Hands an event on to those who follow.
    pub fn tell_followers(&mut self, event: &Event, changed: &[(TargetKey, Decision)]) {
        let Self::Leads { followers } = self else {
            return;
        };
        if followers.is_empty() {
            return;
        }
        match encode(0, event, changed) {
            Ok(record) => followers.retain(|follower| {
                // Who is too slow, or gone, has its line ended.
                !matches!(
                    follower.try_send(record.clone()),
                    Err(TrySendError::Full(_) | TrySendError::Closed(_))
                )
            }),
            Err(_) => followers.clear(),
        }
    }

    /// By how much the times of events are to be moved to be this clock's.
    pub fn ahead(&self) -> WallOffset {
        match self {
            Self::Leads { .. } => WallOffset::default(),
            Self::Follows(following) => following.ahead.unwrap_or_default(),
        }
    }

    /// Ends the lines of those who follow.
    pub fn let_go(&mut self) {
        if let Self::Leads { followers } = self {
            followers.clear();
        }
    }
}
