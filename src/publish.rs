//! What adapters read: immutable snapshots of every group, replaced when something changed.

mod answers;
pub mod archive;
pub mod contained;
mod following;
mod going_on;
pub mod notices;
pub mod past;
pub mod room;
mod snapshot;
mod standing;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::group::remembered::Remembered;
use crate::journal::GroupJournal;
use crate::model::capacity::CapacityRules;
use crate::model::time::{Moment, Timestamp};
use crate::policy::decision::Decision;
use crate::policy::freshness::Freshness;
use crate::trace::Origin;

pub use self::answers::{Answer, NoAnswer};
use self::past::{Column, GroupCell, Past};
use self::room::{Claim, Room, RoomLimits};
pub use self::snapshot::{DecisionRecord, GroupDefinition, GroupSnapshot, TargetSnapshot};
use self::standing::Standing;

/// Changed decisions remembered per group, for the API.
const HISTORY: usize = 64;

/// One observed group: its state, and what is published of it.
#[derive(Debug)]
pub struct Group {
    definition: GroupDefinition,
    rules: CapacityRules,
    state: Mutex<GroupState>,
    /// Whether this process leads it. Taken under the state's lock.
    standing: Mutex<Standing>,
    /// Where all that changes the state is written down; only taken under its lock.
    journal: Mutex<Option<GroupJournal>>,
    published: watch::Sender<Arc<GroupSnapshot>>,
    /// Milliseconds of the last observation that was decided on; 0 before the first.
    decided_at: AtomicU64,
    history: Mutex<VecDeque<DecisionRecord>>,
    past: Mutex<Past>,
    /// The span of the last observation.
    origin: Mutex<Option<Origin>>,
    retired: AtomicBool,
    /// What its successor knew when it took over.
    taken_over: OnceLock<Arc<GroupSnapshot>>,
    /// How often its collector failed and was started anew.
    restarts: AtomicU64,
    /// Room for its partitions, which a successor takes over.
    claim: Arc<Claim>,
}

impl Group {
    /// A group of which nothing is known yet, with all the room that it wants.
    pub fn new(definition: GroupDefinition, rules: CapacityRules) -> Self {
        Self::within(Room::new(RoomLimits::NONE).claim(), definition, rules)
    }

    /// As that, with room for its partitions as far as the claim gets it.
    pub fn within(claim: Claim, definition: GroupDefinition, rules: CapacityRules) -> Self {
        Self {
            claim: Arc::new(claim),
            past: Mutex::new(Past::new(definition.poll_interval)),
            origin: Mutex::default(),
            definition,
            rules,
            state: Mutex::new(GroupState::new(rules)),
            standing: Mutex::default(),
            journal: Mutex::default(),
            published: watch::Sender::new(Arc::default()),
            decided_at: AtomicU64::new(0),
            history: Mutex::default(),
            retired: AtomicBool::new(false),
            taken_over: OnceLock::new(),
            restarts: AtomicU64::new(0),
        }
    }

    /// A group of another definition that knows and has decided all that this one did.
    pub fn succeed(&self, definition: GroupDefinition) -> Self {
        // One moment: what is published is published under this lock.
        let state = lock(&self.state);
        let journal = lock(&self.journal).take();
        let (state, snapshot) = (state.clone(), self.snapshot());
        let _ = self.taken_over.set(snapshot.clone());
        Self {
            claim: self.claim.clone(),
            rules: self.rules,
            state: Mutex::new(state),
            standing: Mutex::new(lock(&self.standing).succeed()),
            journal: Mutex::new(journal),
            published: watch::Sender::new(snapshot),
            decided_at: AtomicU64::new(self.decided_at.load(Ordering::Acquire)),
            history: Mutex::new(lock(&self.history).clone()),
            past: Mutex::new(self.past_for(&definition)),
            origin: Mutex::default(),
            definition,
            retired: AtomicBool::new(false),
            taken_over: OnceLock::new(),
            restarts: AtomicU64::new(self.restarts()),
        }
    }

    /// Room for its partitions.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// A copy of what is to be kept over a restart.
    pub fn remembered(&self) -> Remembered {
        lock(&self.state).remembered()
    }

    /// Every target, the unnamed one included.
    pub fn target_keys(&self) -> Vec<TargetKey> {
        lock(&self.state).targets().keys().cloned().collect()
    }

    /// What it is.
    pub fn definition(&self) -> &GroupDefinition {
        &self.definition
    }

    /// The way in of what this process sees: folds the event and publishes what came of it. Where another replica leads the group, that
    /// one's events count.
    pub fn apply(&self, event: &Event) {
        let mut state = lock(&self.state);
        let is_elsewhere = lock(&self.standing).turns_away(event);
        if !is_elsewhere {
            self.fold(&mut state, event);
        }
    }

    /// Gives the answers that changed.
    fn fold(&self, state: &mut GroupState, event: &Event) -> Vec<(TargetKey, Decision)> {
        let changed = self.take_in(state, event);
        self.show(state, event);
        changed
    }

    /// Shows what `event` made of the state.
    fn show(&self, state: &GroupState, event: &Event) {
        let ahead = lock(&self.standing).ahead();
        if let Some(next) = self.snapshot().after(event, state) {
            self.published.send_replace(Arc::new(next));
        }
        // After the snapshot: who reads the time first can only take the snapshot for older than it is.
        if let Some(at) = state.decided_at() {
            self.note_decided_at(Some(ahead.on_the_wall(at)));
        }
        if let What::Observed(seen) = &event.what {
            self.note(ahead.on_the_wall(event.at), state, seen.is_ok());
            *lock(&self.origin) = Origin::current();
        }
    }

    /// Folds what happens at one moment; what is between is nobody's to see.
    fn fold_together(
        &self,
        state: &mut GroupState,
        events: impl IntoIterator<Item = What>,
        at: Timestamp,
    ) {
        for what in events {
            self.take_in(state, &Event { at, what });
        }
        self.publish_anew(state, at);
    }

    /// Without publishing anything.
    fn take_in(&self, state: &mut GroupState, event: &Event) -> Vec<(TargetKey, Decision)> {
        let changed = state.apply(event);
        if let Some(journal) = &mut *lock(&self.journal) {
            journal.append(event, &changed, state);
        }
        lock(&self.standing).tell_followers(event, &changed);
        self.remember(&changed);
        changed
    }

    /// All of a state that came as a whole.
    fn publish_anew(&self, state: &GroupState, now: Timestamp) {
        let snapshot = GroupSnapshot::of(state, now);
        self.published.send_replace(Arc::new(snapshot));
        let ahead = lock(&self.standing).ahead();
        self.note_decided_at(state.decided_at().map(|at| ahead.on_the_wall(at)));
    }

    fn note_decided_at(&self, at: Option<Timestamp>) {
        let millis = at.map_or(0, Timestamp::as_millis);
        self.decided_at.store(millis, Ordering::Release);
    }

    /// The snapshot to report incidents from: what this group notices after a successor took over, that one notices and reports too.
    pub fn reportable(&self) -> Arc<GroupSnapshot> {
        self.taken_over
            .get()
            .cloned()
            .unwrap_or_else(|| self.snapshot())
    }

    /// Gives up all that is known, after its collector failed, and counts that.
    pub fn start_over(&self, at: Timestamp) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.apply(&Event {
            at,
            what: What::StartedOver,
        });
    }

    /// How often its collector failed and was started anew.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Whether anything was observed, by this group or the one that it succeeded.
    pub fn was_observed(&self) -> bool {
        lock(&self.state).was_observed()
    }

    /// Whether every target certainly has nothing to run for.
    pub fn is_inactive(&self) -> bool {
        lock(&self.state).is_inactive()
    }

    /// Has hours and days go by the wall clock, which may be set at any time.
    pub fn go_by(&self, Moment { at, wall }: Moment) {
        if self.snapshot().facts.wall != wall {
            let what = What::WallClockSet(wall);
            self.apply(&Event { at, what });
        }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<GroupSnapshot> {
        self.published.borrow().clone()
    }

    /// Wakes whenever the snapshot changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<GroupSnapshot>> {
        self.published.subscribe()
    }

    /// When the observation behind the decisions was made; `None` before the first.
    pub fn decided_at(&self) -> Option<Timestamp> {
        match self.decided_at.load(Ordering::Acquire) {
            0 => None,
            millis => Some(Timestamp::from_millis(millis)),
        }
    }

    /// The age class of what is published; `None` before the first readable observation.
    pub fn freshness(&self, now: Timestamp) -> Option<Freshness> {
        self.decided_at()
            .map(|at| Freshness::of(at, now, self.definition.poll_interval))
    }

    /// Decisions that changed an answer, newest first.
    pub fn history(&self) -> Vec<DecisionRecord> {
        lock(&self.history).iter().rev().cloned().collect()
    }

    /// Its near past; see [`Past::columns`].
    pub fn columns(&self, seconds: u64, now: Timestamp) -> (Duration, Vec<Column>) {
        lock(&self.past).columns(seconds, now)
    }

    /// The span of the last observation, if it is sent somewhere.
    pub fn origin(&self) -> Option<Origin> {
        lock(&self.origin).clone()
    }

    /// Marks the group as no longer wanted: its collector stops, and who follows it is woken to see that.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        if self.taken_over.get().is_none() {
            self.claim.give_back();
        }
        lock(&self.standing).let_go();
        self.published.send_modify(|_| {});
    }

    /// Whether its collector should stop, and its streams end.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Columns of another width cannot go on in one picture.
    fn past_for(&self, definition: &GroupDefinition) -> Past {
        if definition.poll_interval == self.definition.poll_interval {
            lock(&self.past).clone()
        } else {
            Past::new(definition.poll_interval)
        }
    }

    fn note(&self, at: Timestamp, state: &GroupState, is_readable: bool) {
        let mut past = lock(&self.past);
        if !is_readable {
            past.note_failure(at);
            return;
        }
        let snapshot = self.snapshot();
        let decisions = || {
            snapshot
                .targets
                .values()
                .filter_map(|t| t.decision.as_ref())
        };
        let desired = decisions().map(|d| d.desired).sum();
        let current = decisions().map(|d| d.inputs.current).sum();
        let column = GroupCell::of(state.facts(), desired, current);
        past.note(at, state.facts(), column);
    }

    fn remember(&self, changed: &[(TargetKey, Decision)]) {
        let mut history = lock(&self.history);
        for (target, decision) in changed.iter().cloned() {
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back(DecisionRecord { target, decision });
        }
    }
}

/// A poisoned lock is taken all the same: whoever caught the panic behind it has the group start over.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
