//! Which messages were done, counted once each, in memory that does not grow with the length of the run.

use std::collections::{HashSet, VecDeque};

/// Messages known by name, the latest; a message that comes twice comes twice within so many.
const MOST_REMEMBERED: usize = 50_000;

/// Acknowledged messages.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    messages: u64,
    duplicates: u64,
    recent: HashSet<(String, String)>,
    order: VecDeque<(String, String)>,
}

impl Acknowledged {
    /// A reader finished the message `id` of `key`; `first` is what the server says of it: that it was still pending.
    pub(super) fn add(&mut self, key: String, id: String, first: bool) {
        let message = (key, id);
        if !first || self.recent.contains(&message) {
            self.duplicates += 1;
            return;
        }
        self.messages += 1;
        self.recent.insert(message.clone());
        self.order.push_back(message);
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    /// Different messages.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages that came again.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once_however_it_comes_again_and_old_names_are_forgotten() {
        let mut done = Acknowledged::default();
        let add =
            |done: &mut Acknowledged, n: usize, first| done.add("k".into(), n.to_string(), first);
        for n in 0..MOST_REMEMBERED + 10 {
            add(&mut done, n, true);
        }
        add(&mut done, MOST_REMEMBERED, true);
        add(&mut done, 3, false);
        assert_eq!(done.messages(), MOST_REMEMBERED as u64 + 10);
        assert_eq!(done.duplicates(), 2);
        assert_eq!(
            (done.recent.len(), done.order.len()),
            (MOST_REMEMBERED, MOST_REMEMBERED)
        );
    }
}
