//! How a group comes to be led by this process, by another replica, or by nobody.

use tokio::sync::mpsc;

use crate::group::GroupState;
use crate::group::event::What;
use crate::group::remembered::Remembered;
use crate::journal::{JournalRecord, Journals, Recovered};
use crate::model::time::{Moment, Timestamp, WallOffset};

use super::standing::{Following, Standing};
use super::{Group, lock};

/// Events that may wait for a follower. One that is further behind reads the state again.
const WAITING: usize = 64;

impl Group {
    /// The same, led elsewhere or by nobody yet.
    pub fn led_elsewhere(self) -> Self {
        *lock(&self.standing) = Standing::Follows(Box::default());
        self
    }

    /// Whether another replica leads it, or nobody does.
    pub fn follows(&self) -> bool {
        matches!(&*lock(&self.standing), Standing::Follows(_))
    }

    /// What is known and decided at this moment, and every event from now on, with the answers that it changed, as a journal writes
    /// them; `None` where this process does not lead it.
    pub fn followed(&self) -> Option<(GroupState, mpsc::Receiver<Vec<u8>>)> {
        let state = lock(&self.state);
        let mut standing = lock(&self.standing);
        let Standing::Leads { followers } = &mut *standing else {
            return None;
        };
        let (follower, events) = mpsc::channel(WAITING);
        followers.push(follower);
        Some((state.clone(), events))
    }

    /// Leads it no longer: another replica does, or is about to.
    pub fn step_back(&self, now: Moment) {
        let state = lock(&self.state);
        let mut standing = lock(&self.standing);
        if matches!(*standing, Standing::Leads { .. }) {
            let asked = state.asking(now.at).into_iter();
            let asked = asked.filter_map(|event| match &event.what {
                What::TargetRegistered(key, _) | What::TargetAwaited(key, _) => {
                    Some((key.clone(), event.what))
                }
                _ => None,
            });
            let following = Following {
                asked: asked.collect(),
                ahead: state.decided_at().map(|_| WallOffset::default()),
                learned: None,
            };
            *standing = Standing::Follows(Box::new(following));
            *lock(&self.journal) = None;
        }
    }

    /// Takes over what the leader knows. `ahead`: by how much this clock is ahead of the leader's.
    pub fn adopt(&self, known: GroupState, ahead: WallOffset) {
        let mut state = lock(&self.state);
        if let Standing::Follows(following) = &mut *lock(&self.standing) {
            following.ahead = Some(ahead);
        } else {
            return;
        }
        *state = known;
        self.publish_anew(&state, state.decided_at().unwrap_or_default());
    }

    /// Takes over what a leader with other code has learned, for when this process comes to lead.
    pub fn adopt_learned(&self, learned: Remembered) {
        if let Standing::Follows(following) = &mut *lock(&self.standing) {
            following.learned = Some(learned);
        }
    }

    /// Folds an event of the leader; whether it led to the same answers.
    pub fn folded(&self, record: &JournalRecord) -> bool {
        let mut state = lock(&self.state);
        self.follows() && self.fold(&mut state, &record.event) == record.decided
    }

    /// Forgets it: others lead and follow it.
    pub fn forget(&self) {
        let mut state = lock(&self.state);
        if let Standing::Follows(following) = &mut *lock(&self.standing) {
            following.ahead = None;
            following.learned = None;
        } else {
            return;
        }
        *state = GroupState::new(self.rules);
        self.publish_anew(&state, Timestamp::default());
    }

    /// Leads it from now on, and goes on where the leader was; whether anything is known from there. Else it goes on as after a start.
    pub fn lead(&self, journals: Option<&Journals>, now: Moment) -> bool {
        let mut state = lock(&self.state);
        let standing = std::mem::take(&mut *lock(&self.standing));
        let Standing::Follows(following) = standing else {
            return true;
        };
        let Following {
            asked,
            ahead,
            learned,
        } = *following;
        let is_known = ahead.is_some() && state.was_observed();
        if is_known && let Some(journals) = journals {
            let (name, key) = (&self.definition.name, &self.definition.key);
            let begun = journals.begin(key, name, &Recovered::unread(now), &state, now);
            *lock(&self.journal) = Some(begun);
        }
        let how = match (is_known, learned) {
            (true, _) => Some(What::Resumed {
                moved: ahead.unwrap_or_default(),
                wall: now.wall,
            }),
            (false, Some(learned)) => Some(What::Restored(Box::new(learned))),
            (false, None) => None,
        };
        let events = how.into_iter().chain(asked.into_values());
        self.fold_together(&mut state, events, now.at);
        is_known
    }
}

#[cfg(test)]
mod tests;
