//! Whether a failure is the source's or of one group alone: a source that answers others meanwhile is not out.

use std::time::Duration;

use crate::model::time::Timestamp;

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

    /// An answer given to another since then excuses the failure of an attempt that began at `started`. The first failure after an
    /// answer counts unless others were answered during it; what never worked tells nothing by not working.
    fn excused_since(&self, started: Timestamp) -> Timestamp {
        match self.ended_at {
            Some(_) if self.failures == 0 => started,
            ended_at => ended_at.unwrap_or_default(),
        }
    }
}

/// When a source last answered, and whom.
#[derive(Clone, Debug, Default)]
pub struct LastAnswers {
    callers: u64,
    /// The newest, and the newest of another: for everyone one of them is somebody else's.
    newest: [Option<(u64, Timestamp)>; 2],
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
        let mut answer = (caller.number, started.minus(caller.shares));
        for newest in &mut self.newest {
            match newest {
                Some((number, at)) if *number == answer.0 => {
                    *at = answer.1.max(*at);
                    return;
                }
                Some((_, at)) if *at > answer.1 => {}
                _ => match newest.replace(answer) {
                    Some(older) if older.0 != caller.number => answer = older,
                    _ => return,
                },
            }
        }
    }

    /// An attempt met an outage: whether that says nothing of the source, because it answered another.
    pub fn excuses(&self, caller: &mut Caller, started: Timestamp, now: Timestamp) -> bool {
        let excused = self.answered_another(caller, caller.excused_since(started));
        let since_last = caller.ended_at.unwrap_or_default();
        if caller.alone > 0 || self.answered_another(caller, since_last) {
            caller.alone += 1;
        }
        caller.failures += 1;
        caller.ended_at = Some(now);
        excused
    }

    /// Whether another was answered what was asked then or later.
    fn answered_another(&self, caller: &Caller, since: Timestamp) -> bool {
        let others = |(number, at): &(u64, Timestamp)| *number != caller.number && *at >= since;
        self.newest.iter().flatten().any(others)
    }
}
