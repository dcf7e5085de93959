//! The keys of a source that match its groups' patterns. One look-up by SCAN serves all patterns, in a task that ends with the last of
//! them: the polls only take what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::nodes::Servers;
use super::places::{AskedSoFar, Weight};
use super::poll::{PollConnection, PollConnections};
use super::server::ServerMode;
use super::server_layout::ServerLayout;
use super::{failure, glob, key, reply};
use crate::model::sample::{Failure, FailureKind};
use crate::model::tuning::stream::MAX_PARTITIONS;

/// How often the patterns are looked up again.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// While look-ups fail, what was found last is read for so long.
const OUTDATED_AFTER: Duration = Duration::from_secs(120);

/// After a failure; a poll without keys that are new enough does not wait for it.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How many keys SCAN looks at per call.
const SCAN_COUNT: u32 = 1000;
/// To look at them takes the server as long as so many commands.
const SCAN_WEIGHT: usize = 100;

/// Once every pattern was looked up, the server rests so many times longer than a call took, …
const REST_PER_CALL: u32 = 4;
/// … but no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What there is to be found on one source.
pub struct Keyspace {
    servers: Arc<Servers>,
    inner: Mutex<Inner>,
    /// Something is not to wait until the next look-up is due.
    wanted: Notify,
    /// How many look-ups ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    is_running: bool,
    patterns: BTreeMap<String, Sought>,
}

/// A pattern that is looked for.
#[derive(Default)]
struct Sought {
    readers: usize,
    found: Option<Arc<KeysFound>>,
    /// Why the last look-up failed, if it did.
    failed: Option<Failure>,
}

/// The keys of one pattern.
pub struct KeysFound {
    /// All that matched.
    pub keys: BTreeSet<String>,
    /// When the look-up ended.
    pub at: Instant,
}

/// One reader's interest in a pattern; it is looked for until this is dropped.
pub struct PatternSearch {
    keyspace: Arc<Keyspace>,
    pattern: String,
}

impl Keyspace {
    /// Looks for nothing yet.
    pub fn new(servers: Arc<Servers>) -> Self {
        Self {
            servers,
            inner: Mutex::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }

    /// Has keys of the pattern looked up, from the first question for them on.
    pub fn search(self: &Arc<Self>, pattern: &str) -> PatternSearch {
        let pattern = pattern.to_owned();
        let mut inner = self.inner();
        inner.patterns.entry(pattern.clone()).or_default().readers += 1;
        drop(inner);
        let keyspace = Arc::clone(self);
        PatternSearch { keyspace, pattern }
    }

    fn start(self: &Arc<Self>) {
        if !mem::replace(&mut self.inner().is_running, true) {
            tokio::spawn(LookUps(Arc::clone(self)).run());
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PatternSearch {
    /// What is looked for.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The keys as they were found last. Where there are none, or they are too old as look-ups fail, those of the next look-up.
    ///
    /// # Errors
    /// That fails, or takes longer than until then; or the server refuses it.
    pub async fn keys(&self, until: Instant) -> Result<Arc<KeysFound>, Failure> {
        let mut ended = self.keyspace.ended.subscribe();
        match self.latest() {
            // What is refused is not tried at every poll.
            (_, Some(failure)) if failure.kind.needs_repair() => return Err(failure),
            (Some(found), failed) if failed.is_none() || !found.is_outdated() => return Ok(found),
            _ => self.keyspace.wanted.notify_one(),
        }
        loop {
            let is_late = timeout_at(until, ended.changed()).await.is_err();
            match self.latest() {
                (_, Some(failure)) => return Err(failure),
                (Some(found), None) => return Ok(found),
                (None, None) if is_late => return Err(still_looking(&self.pattern)),
                // The look-up that ended had begun without it.
                (None, None) => {}
            }
        }
    }

    /// Returns once [`Self::keys`] has an answer at once: a look-up ended well.
    pub async fn until_found(&self) {
        let mut ended = self.keyspace.ended.subscribe();
        while !matches!(self.latest(), (Some(_), None)) {
            // It cannot be closed: the keyspace is there as long as this is.
            let _ = ended.changed().await;
        }
    }

    fn latest(&self) -> (Option<Arc<KeysFound>>, Option<Failure>) {
        self.keyspace.start();
        let inner = self.keyspace.inner();
        let sought = inner.patterns.get(&self.pattern);
        let told = sought.map(|sought| (sought.found.clone(), sought.failed.clone()));
        told.unwrap_or_default()
    }
}

impl KeysFound {
    fn is_outdated(&self) -> bool {
        self.at.elapsed() > OUTDATED_AFTER
    }
}

impl Drop for PatternSearch {
    fn drop(&mut self) {
        let mut inner = self.keyspace.inner();
        if let Some(sought) = inner.patterns.get_mut(&self.pattern) {
            sought.readers -= 1;
            if sought.readers == 0 {
                inner.patterns.remove(&self.pattern);
                self.keyspace.wanted.notify_one();
            }
        }
    }
}

impl Sought {
    /// Whether a poll may be waiting for it.
    fn is_urgent(&self) -> bool {
        let is_refused = |failure: &Failure| failure.kind.needs_repair();
        let found = self.found.as_ref();
        found.is_none_or(|found| found.is_outdated())
            && !self.failed.as_ref().is_some_and(is_refused)
    }
}

impl Inner {
    fn is_urgent(&self) -> bool {
        self.patterns.values().any(Sought::is_urgent)
    }

    /// Whether nothing is looked for any more; the next question restarts it.
    fn has_ended(&mut self) -> bool {
        self.is_running = !self.patterns.is_empty();
        !self.is_running
    }

    fn take_over(&mut self, walk: Walk) {
        let at = Instant::now();
        for (pattern, keys) in walk.found {
            let Some(sought) = self.patterns.get_mut(&pattern) else {
                continue;
            };
            sought.failed = (keys.len() > MAX_PARTITIONS).then(|| too_many(&pattern));
            if sought.failed.is_none() {
                sought.found = Some(Arc::new(KeysFound { keys, at }));
            }
        }
    }

    fn fail(&mut self, failure: &Failure) {
        for sought in self.patterns.values_mut() {
            sought.failed = Some(failure.clone());
        }
    }
}

/// The task that looks.
struct LookUps(Arc<Keyspace>);

impl Drop for LookUps {
    fn drop(&mut self) {
        // Else it has said so when it saw that it was to end.
        if std::thread::panicking() {
            self.0.inner().is_running = false;
        }
    }
}

impl LookUps {
    async fn run(self) {
        let keyspace = &*self.0;
        let mut resumed = None;
        loop {
            let looked = self.look_up(&mut resumed).await;
            let next = Instant::now();
            let next = match looked {
                Ok(walk) => {
                    keyspace.inner().take_over(walk);
                    next + REFRESH_EVERY
                }
                Err(failure) => {
                    keyspace.inner().fail(&failure);
                    next + AGAIN_AFTER
                }
            };
            keyspace.ended.send_modify(|ended| *ended += 1);
            loop {
                if keyspace.inner().has_ended() {
                    return;
                }
                let is_due = timeout_at(next, keyspace.wanted.notified()).await.is_err();
                if is_due || keyspace.inner().is_urgent() {
                    break;
                }
            }
        }
    }

    /// One look-up over all nodes. What one that failed had found is kept in `resumed`.
    async fn look_up(&self, resumed: &mut Option<Walk>) -> Result<Walk, Failure> {
        let keyspace = &*self.0;
        loop {
            let until = Instant::now() + keyspace.servers.response_timeout();
            let layout = keyspace.servers.layout(until).await?;
            let asked = AskedSoFar::default();
            let lines = PollConnections::new(&layout, until, &asked);
            if !layout.is_whole() {
                return Err(failure::is_uncovered(lines.node(0).address()));
            }
            // Keys that move meanwhile may be missed.
            resumed.take_if(|walk| !Arc::ptr_eq(&walk.layout, &layout));
            let begin = || Walk::over(Arc::clone(&layout), keyspace.inner().patterns.keys());
            let walk = resumed.get_or_insert_with(begin);
            let asked_at = Instant::now();
            walk.go_on(&lines).await?;
            if walk.node == layout.nodes().len()
                && let Some(walk) = resumed.take()
            {
                return Ok(walk);
            }
            if !keyspace.inner().is_urgent() {
                let rest = asked_at.elapsed() * REST_PER_CALL;
                sleep(rest.min(LONGEST_REST)).await;
            }
        }
    }
}

/// How far a look-up is.
struct Walk {
    layout: Arc<ServerLayout>,
    node: usize,
    cursor: u64,
    /// What the server is asked to match.
    covering: String,
    found: BTreeMap<String, BTreeSet<String>>,
}

impl Walk {
    fn over<'p>(
        layout: Arc<ServerLayout>,
        patterns: impl Iterator<Item = &'p String> + Clone,
    ) -> Self {
        Self {
            layout,
            node: 0,
            cursor: 0,
            covering: glob::covering(patterns.clone().map(String::as_str)),
            found: patterns.map(|p| (p.clone(), BTreeSet::new())).collect(),
        }
    }

    async fn go_on(&mut self, lines: &PollConnections<'_>) -> Result<(), Failure> {
        let line = lines.node(self.node);
        let (cursor, keys) = scan(&line, &self.covering, self.cursor).await?;
        let is_only_one = self.found.len() == 1;
        for key in keys {
            let bytes = key::sent(&key);
            for (pattern, found) in &mut self.found {
                // More than are allowed is told by one more.
                if found.len() <= MAX_PARTITIONS
                    && (is_only_one || glob::matches(pattern.as_bytes(), &bytes))
                {
                    found.insert(key.clone());
                }
            }
        }
        self.cursor = cursor;
        if cursor == 0 {
            self.node += 1;
        }
        Ok(())
    }
}

async fn scan(
    line: &PollConnection<'_>,
    pattern: &str,
    cursor: u64,
) -> Result<(u64, Vec<String>), Failure> {
    let mut commands = redis::pipe();
    commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern);
    commands
        .arg("COUNT")
        .arg(SCAN_COUNT)
        .arg("TYPE")
        .arg("stream");
    let weight = Weight::new(SCAN_WEIGHT, 0);
    let replies = line.request_of(weight, commands).await?;
    if line.server().mode == Some(ServerMode::Cluster) && !line.is_of_cluster() {
        return Err(failure::is_part_of_cluster(line.address()));
    }
    let page = match replies.first() {
        Some(Value::ServerError(error)) => {
            return Err(failure::of_reply(&line.subject(), error));
        }
        Some(value) => reply::scan_page(value),
        None => None,
    };
    page.ok_or_else(|| {
        line.distrust();
        failure::garbled(line.address(), "SCAN")
    })
}

/// Why a pattern has no keys to read.
pub fn too_many(pattern: &str) -> Failure {
    Failure::new(
        FailureKind::Misconfigured,
        format!(
            "the pattern {pattern:?} matches more than {MAX_PARTITIONS} streams: split it into several groups"
        ),
    )
}

fn still_looking(pattern: &str) -> Failure {
    Failure::new(
        FailureKind::Transient,
        format!("still scanning for keys that match {pattern:?}"),
    )
}
