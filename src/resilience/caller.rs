//! Whether a failure is the source's or of one group alone: a source that answers others meanwhile is not out.

use std::time::Duration;

use crate::model::time::Timestamp;

/// An answer given to another shows for so long that the source is well, unless that one has failed since: as long as who fails alone
/// rests at most.
const VOUCHES_FOR: Duration = Duration::from_secs(30);

/// So many answers are kept: more than may fail at a time by chance.
const KEPT: usize = 8;

/// One of those who share a source, and how its last attempts went.
#[derive(Clone, Debug)]
pub struct Caller {
    number: u64,
    /// What it is answered may have been read for another, so long before.
    shares: Duration,
    was_answered: bool,
    /// When its last attempt ended, of those that say anything of the source.
    ended_at: Option<Timestamp>,
    pub(super) failures: u32,
    alone: u32,
}

impl Caller {
    /// Failures in a row since the source was seen to answer others; 0: it may be the source that fails.
    pub const fn fails_alone(&self) -> u32 {
        self.alone
    }

    /// Whether it leaves a probe to that one: to who was answered last, and among those that never were, to who failed least. So
    /// whoever cannot be answered does not keep the circuit open.
    pub fn yields_to(&self, other: &Self) -> bool {
        let rank = |caller: &Self| (!caller.was_answered, caller.failures);
        other.number != self.number && rank(other) < rank(self)
    }

    /// The source is out: nobody fails alone.
    pub const fn is_not_alone(&mut self) {
        self.alone = 0;
    }
}

/// When a source last answered, and whom.
#[derive(Clone, Debug, Default)]
pub struct LastAnswers {
    callers: u64,
    /// By whom, and when it was asked for: the newest of each that has not failed since, of so many as are kept.
    newest: Vec<(u64, Timestamp)>,
}

impl LastAnswers {
    /// One more who asks. `shares`: how old readings may be that it takes from others.
    pub const fn admit(&mut self, shares: Duration) -> Caller {
        self.callers += 1;
        Caller {
            number: self.callers,
            shares,
            was_answered: false,
            ended_at: None,
            failures: 0,
            alone: 0,
        }
    }

    /// An attempt was answered.
    pub fn answered(&mut self, caller: &mut Caller, started: Timestamp, now: Timestamp) {
        (caller.was_answered, caller.ended_at) = (true, Some(now));
        (caller.failures, caller.alone) = (0, 0);
        let (number, mut at) = (caller.number, started.minus(caller.shares));
        if let Some((_, before)) = self.forget(number) {
            at = at.max(before);
        }
        if self.newest.len() == KEPT
            && let Some((oldest, _)) = self.newest.iter().min_by_key(|(_, at)| *at).copied()
        {
            self.forget(oldest);
        }
        self.newest.push((number, at));
    }

    fn forget(&mut self, number: u64) -> Option<(u64, Timestamp)> {
        let place = self.newest.iter().position(|(of, _)| *of == number)?;
        Some(self.newest.swap_remove(place))
    }

    /// An attempt met an outage: whether that says nothing of the source. A first failure after an answer does, unless others were
    /// answered during the attempt; what fails again, or never worked, does not while the source is well for others.
    pub fn excuses(&mut self, caller: &mut Caller, started: Timestamp, now: Timestamp) -> bool {
        let last = caller.ended_at.unwrap_or_default();
        let lately = started.minus(VOUCHES_FOR).min(last);
        let is_alone = self.answered_another(caller, lately);
        let is_first = caller.failures == 0 && caller.ended_at.is_some();
        let excused = is_alone && (!is_first || self.answered_another(caller, started));
        caller.alone = if is_alone { caller.alone + 1 } else { 0 };
        caller.failures += 1;
        caller.ended_at = Some(now);
        self.forget(caller.number);
        excused
    }

    /// Whether another was answered what was asked then or later.
    fn answered_another(&self, caller: &Caller, since: Timestamp) -> bool {
        let others = |(number, at): &(u64, Timestamp)| *number != caller.number && *at >= since;
        self.newest.iter().any(others)
    }
}
