//! How a group goes on where its journal ends.

use super::{Group, GroupDefinition, lock};
use crate::group::event::What;
use crate::journal::{Journals, Recovered};
use crate::model::time::Moment;

impl Group {
    /// Whether what happens to it is written down.
    pub fn has_journal(&self) -> bool {
        lock(&self.journal).is_some()
    }

    /// Goes on where its journal ends, if there is anything to go on with, and writes down what happens from now on.
    pub fn go_on(&self, journals: &Journals, mut recovered: Recovered, now: Moment) {
        let mut state = lock(&self.state);
        let known = recovered.state.take();
        let resumes = known.is_some();
        let asking = match known {
            Some(known) => std::mem::replace(&mut *state, known).asking(now.at),
            None => Vec::new(),
        };
        let GroupDefinition { key, name, .. } = &self.definition;
        // Those who follow read the state again.
        lock(&self.standing).let_go();
        *lock(&self.journal) = Some(journals.begin(key, name, &recovered, &state, now));
        if !resumes {
            return;
        }
        let (moved, wall) = (recovered.moved, now.wall);
        self.remember(&recovered.decided);
        let asking = asking.into_iter().map(|event| event.what);
        let events = std::iter::once(What::Resumed { moved, wall }).chain(asking);
        self.fold_together(&mut state, events, now.at);
    }
}
