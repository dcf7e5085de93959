//! The handle on a running server: what the hub holds, what goes wrong, what has been asked so far.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use tokio::sync::watch;

use super::faults::{Fault, Faults, Reads};
use super::line::Mode;
use super::state::{Hub, Partition, now_ms, to_ms};
use super::tokens::{PutToken, TokenPolicy};

/// How often what was asked, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections accepted, refused ones left out.
    pub connections: usize,
    pub put_tokens: usize,
    pub hub_reads: usize,
    pub partition_reads: usize,
    /// Replies sent with a status of 200.
    pub good_replies: usize,
    /// The most reads that waited for their reply at the same time, over all connections.
    pub most_in_flight: usize,
}

/// State shared by the server, its connections and the test.
pub struct Broker {
    hub: Mutex<Hub>,
    faults: Mutex<Faults>,
    policy: Mutex<TokenPolicy>,
    tokens: Mutex<Vec<PutToken>>,
    mechanisms: Mutex<Vec<String>>,
    counts: Mutex<Counts>,
    in_flight: AtomicUsize,
    live: AtomicUsize,
    pub(super) mode: watch::Sender<Mode>,
    pub(super) kills: watch::Sender<u64>,
}

impl Broker {
    pub fn new(hub: Hub) -> Self {
        Self {
            hub: Mutex::new(hub),
            faults: Mutex::default(),
            policy: Mutex::new(TokenPolicy::AcceptAny),
            tokens: Mutex::default(),
            mechanisms: Mutex::default(),
            counts: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            mode: watch::Sender::new(Mode::Serving),
            kills: watch::Sender::new(0),
        }
    }

    /// The hub as it stands.
    pub fn hub(&self) -> Hub {
        locked(&self.hub).clone()
    }

    /// The partition as it stands; panics if there is none.
    pub fn partition(&self, id: &str) -> Partition {
        locked(&self.hub).partition_mut(id).clone()
    }

    /// Changes anything of the hub, at once for every reader.
    pub fn change<T>(&self, change: impl FnOnce(&mut Hub) -> T) -> T {
        change(&mut locked(&self.hub))
    }

    /// Events of so many bytes each come in now.
    pub fn append(&self, partition: &str, events: u32, bytes: u32) {
        self.append_at(partition, events, bytes, SystemTime::now());
    }

    /// Events of so many bytes each come in, enqueued at that time.
    pub fn append_at(&self, partition: &str, events: u32, bytes: u32, at: SystemTime) {
        self.change(|hub| {
            hub.partition_mut(partition)
                .append(events, bytes, to_ms(at))
        });
    }

    /// Retention drops everything before that sequence number.
    pub fn trim(&self, partition: &str, begin: i64) {
        self.change(|hub| hub.partition_mut(partition).trim(begin));
    }

    /// Sets arbitrary values of a partition.
    pub fn set(&self, partition: &str, change: impl FnOnce(&mut Partition)) {
        self.change(|hub| change(hub.partition_mut(partition)));
    }

    /// Empty partitions, numbered on.
    pub fn add_partitions(&self, more: usize) {
        self.change(|hub| {
            let first = hub.partitions.len();
            let ids = (first..first + more).map(|id| Partition::new(&id.to_string()));
            hub.partitions.extend(ids);
        });
    }

    /// Somebody deletes the hub and makes it anew, empty, under the same name. Later than before by at least 1 ms.
    pub fn recreate(&self, partitions: usize) {
        self.change(|hub| {
            let after = hub.created_at_ms + 1;
            *hub = Hub::new(&hub.name, partitions);
            hub.created_at_ms = now_ms().max(after);
        });
    }

    /// The fault meets every read until [`Self::heal`].
    pub fn fail(&self, fault: Fault) {
        self.fail_reads(Reads::All, fault, None);
    }

    /// The fault meets the next so many reads.
    pub fn fail_next(&self, reads: usize, fault: Fault) {
        self.fail_reads(Reads::All, fault, Some(reads));
    }

    /// The fault meets these reads only, all of them or the next so many. The rule set last goes first.
    pub fn fail_reads(&self, reads: Reads, fault: Fault, next: Option<usize>) {
        locked(&self.faults).add(reads, fault, next);
    }

    /// Takes all faults back and serves again.
    pub fn heal(&self) {
        locked(&self.faults).clear();
        self.mode.send_replace(Mode::Serving);
    }

    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends every TCP connection there is; new ones are taken.
    pub fn kill_connections(&self) {
        self.kills.send_modify(|kills| *kills += 1);
    }

    pub fn set_token_policy(&self, policy: TokenPolicy) {
        *locked(&self.policy) = policy;
    }

    pub fn token_policy(&self) -> TokenPolicy {
        *locked(&self.policy)
    }

    /// Every put-token so far, in order.
    pub fn tokens(&self) -> Vec<PutToken> {
        locked(&self.tokens).clone()
    }

    /// The SASL mechanism of every connection so far, in order.
    pub fn mechanisms(&self) -> Vec<String> {
        locked(&self.mechanisms).clone()
    }

    pub fn counts(&self) -> Counts {
        *locked(&self.counts)
    }

    /// Connections open right now.
    pub fn open_connections(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    pub(super) fn meet_fault(&self, partition: Option<&str>) -> Option<Fault> {
        locked(&self.faults).meet(partition)
    }

    pub(super) fn saw_token(&self, token: PutToken) {
        locked(&self.counts).put_tokens += 1;
        locked(&self.tokens).push(token);
    }

    pub(super) fn saw_mechanism(&self, mechanism: &str) {
        locked(&self.mechanisms).push(mechanism.to_owned());
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut locked(&self.counts));
    }

    pub(super) fn connected(&self) -> Running<'_> {
        self.count(|counts| counts.connections += 1);
        Running::start(&self.live).0
    }

    pub(super) fn read_started(&self) -> Running<'_> {
        let (running, now) = Running::start(&self.in_flight);
        self.count(|counts| counts.most_in_flight = counts.most_in_flight.max(now));
        running
    }
}

/// Something that is going on as long as this lives.
pub struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn start(counter: &'a AtomicUsize) -> (Self, usize) {
        let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
        (Self(counter), now)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A test that panics with the lock says enough by that.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
