//! Who was heard of and when, and what follows: the view that everything else goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::view::{OtherReplica, ReplicaView, Role};
use crate::model::identity::GroupKey;

/// Who did not answer for so long is not there. Six questions; a takeover takes this and a poll.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(3);
/// Who joins takes its share after this time even if it could not follow everything.
const JOINS_WITHIN: Duration = Duration::from_secs(15);
/// From when on the others know that this replica is ready, too.
const SETTLES_WITHIN: Duration = Duration::from_millis(1_200);

/// One address where a replica should be.
#[derive(Debug, Default)]
struct LastHeard {
    /// Who answered there last, and when.
    last: Option<(OtherReplica, Instant)>,
    /// Whether it was asked at all.
    was_asked: bool,
    /// Whether all its triggers are known here.
    has_told: bool,
}

/// One replica as the page and metrics show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSeen {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it takes its share.
    pub is_ready: bool,
    /// Whether it is this one.
    pub is_me: bool,
}

/// All replicas, this one included.
#[derive(Debug)]
pub struct Members {
    me: Arc<str>,
    started: Instant,
    heard: Mutex<BTreeMap<Arc<str>, LastHeard>>,
    /// Whether it is known where the others should be.
    is_discovered: AtomicBool,
    view: watch::Sender<Arc<ReplicaView>>,
    /// Milliseconds after the start of the last look around.
    looked_at: AtomicU64,
    joining: Mutex<Joining>,
    is_leaving: AtomicBool,
    /// How often a group was taken over from a replica that is gone.
    takeovers: AtomicU64,
}

/// On the way to being ready.
#[derive(Debug)]
struct Joining {
    since: Instant,
    ready_since: Option<Instant>,
    /// Groups of which all is known that their leader knows, or that nobody leads.
    in_step: BTreeSet<GroupKey>,
}

impl Members {
    /// This replica alone, for now.
    pub fn new(me: &str) -> Self {
        let now = Instant::now();
        Self {
            me: me.into(),
            started: now,
            heard: Mutex::default(),
            is_discovered: AtomicBool::new(false),
            view: watch::Sender::new(Arc::new(ReplicaView::of_one(me))),
            looked_at: AtomicU64::new(0),
            joining: Mutex::new(Joining {
                since: now,
                ready_since: None,
                in_step: BTreeSet::new(),
            }),
            is_leaving: AtomicBool::new(false),
            takeovers: AtomicU64::new(0),
        }
    }

    /// The name of this replica.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Who is there.
    pub fn view(&self) -> Arc<ReplicaView> {
        self.view.borrow().clone()
    }

    /// Wakes whenever somebody comes or goes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ReplicaView>> {
        self.view.subscribe()
    }

    /// Whether the view is one of now: a process that was stopped does not know who took over.
    pub fn is_current(&self) -> bool {
        let looked_at = Duration::from_millis(self.looked_at.load(Ordering::Acquire));
        self.started.elapsed().saturating_sub(looked_at) < GONE_AFTER
    }

    /// Whether this replica takes its share of the groups, as it tells others.
    pub fn is_ready(&self) -> bool {
        self.is_current() && self.view.borrow().is_ready
    }

    /// Takes no share from now on: the process ends.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.look_around(&[]);
    }

    /// Everybody, by name.
    pub fn seen(&self) -> Vec<MemberSeen> {
        let view = self.view();
        let others = view.others.values().map(|other| MemberSeen {
            name: other.name.clone(),
            is_ready: other.is_ready,
            is_me: false,
        });
        let me = MemberSeen {
            name: view.me.clone(),
            is_ready: view.is_ready,
            is_me: true,
        };
        let mut seen: Vec<MemberSeen> = others.chain([me]).collect();
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen
    }

    /// How often a group was taken over.
    pub fn takeovers(&self) -> u64 {
        self.takeovers.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub fn took_over(&self) {
        self.takeovers.fetch_add(1, Ordering::Relaxed);
    }

    /// All that is to be known of a group is known.
    pub(super) fn is_in_step(&self, group: &GroupKey) {
        lock(&self.joining).in_step.insert(group.clone());
    }

    /// Whether the others have had the time to hear that this one is ready: only then is it certain who leads.
    pub fn is_settled(&self) -> bool {
        let is_alone = self.view.borrow().others.is_empty();
        let ready_since = lock(&self.joining).ready_since;
        ready_since.is_some_and(|since| is_alone || since.elapsed() >= SETTLES_WITHIN)
    }

    /// These are the addresses where others should be; whom to ask from now on, and whom no longer.
    pub(super) fn discovered(&self, addresses: &BTreeSet<Arc<str>>) {
        let mut heard = lock(&self.heard);
        heard.retain(|address, _| addresses.contains(address));
        for address in addresses {
            heard.entry(address.clone()).or_default();
        }
        self.is_discovered.store(true, Ordering::Release);
    }

    /// A replica answered; whether it is another one than this.
    pub(super) fn heard(&self, address: &str, replica: OtherReplica) -> bool {
        let is_another = replica.name != self.me;
        if let Some(heard) = lock(&self.heard).get_mut(address) {
            heard.was_asked = true;
            heard.has_told |= !is_another;
            heard.last = is_another.then(|| (replica, Instant::now()));
        }
        is_another
    }

    /// Nobody answered there.
    pub(super) fn silent(&self, address: &str) {
        if let Some(heard) = lock(&self.heard).get_mut(address) {
            heard.was_asked = true;
        }
    }

    /// All triggers of that replica are known here.
    pub(super) fn told(&self, name: &str) {
        for heard in lock(&self.heard).values_mut() {
            heard.has_told |= heard
                .last
                .as_ref()
                .is_some_and(|(last, _)| *last.name == *name);
        }
    }

    /// Updates the view. `groups`: all that this replica knows of.
    pub(super) fn look_around(&self, groups: &[GroupKey]) {
        let was_away = !self.is_current();
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.looked_at.store(passed, Ordering::Release);
        let mut heard = lock(&self.heard);
        if was_away {
            // This replica stood still, not the others. They stay in the view until they were asked again.
            for other in heard.values_mut() {
                other.was_asked = false;
                other.last = other.last.take().map(|(last, _)| (last, Instant::now()));
            }
        }
        let there = heard.values().filter_map(|heard| {
            let (replica, at) = heard.last.as_ref()?;
            (at.elapsed() < GONE_AFTER).then_some((heard.has_told, replica))
        });
        let (told, others): (Vec<bool>, Vec<OtherReplica>) =
            there.map(|(told, replica)| (told, replica.clone())).unzip();
        let everyone_was_asked =
            self.is_discovered.load(Ordering::Acquire) && heard.values().all(|h| h.was_asked);
        drop(heard);
        let mut view = ReplicaView {
            me: self.me.clone(),
            is_ready: self.view.borrow().is_ready,
            others: others.into_iter().map(|o| (o.name.clone(), o)).collect(),
        };
        let mut joining = lock(&self.joining);
        if was_away || self.is_leaving.load(Ordering::Acquire) {
            view.is_ready = false;
            joining.in_step.clear();
            joining.since = Instant::now();
        }
        if !view.is_ready && !self.is_leaving.load(Ordering::Acquire) {
            let is_first = !view.others.values().any(|other| other.is_ready);
            let is_to_follow = |group: &&GroupKey| view.role(group) == Role::Standby;
            let knows_all = || {
                let mut followed = groups.iter().filter(is_to_follow);
                told.iter().all(|told| *told)
                    && followed.all(|group| joining.in_step.contains(group))
            };
            let is_late = joining.since.elapsed() >= JOINS_WITHIN;
            view.is_ready = everyone_was_asked && (is_first || is_late || knows_all());
        }
        joining.ready_since = match view.is_ready {
            true => joining.ready_since.or_else(|| Some(Instant::now())),
            false => None,
        };
        drop(joining);
        self.publish(view);
    }

    fn publish(&self, view: ReplicaView) {
        let who = |view: &ReplicaView| -> Vec<(Arc<str>, bool)> {
            let others = view.others.values();
            others
                .map(|other| (other.name.clone(), other.is_ready))
                .collect()
        };
        self.view.send_if_modified(|before| {
            let is_same = before.is_ready == view.is_ready && who(before) == who(&view);
            if is_same {
                return false;
            }
            tracing::info!(
                ready = view.is_ready,
                others = ?who(&view).iter().map(|(name, is_ready)| format!("{name} {}", if *is_ready { "ready" } else { "joining" })).collect::<Vec<_>>(),
                "replicas"
            );
            *before = Arc::new(view);
            true
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
