//! Which keys make up the stream: listed ones as they are, those of a pattern by SCAN, looked up again every 30 s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::poll::PollConnection;
use super::poll::PollConnections;
use super::server::ServerMode;
use super::server_layout::ServerLayout;
use super::{failure, key, reply};
use crate::model::identity::PartitionId;
use crate::model::sample::{Failure, FailureKind};
use crate::model::stream::StreamSelector;
use crate::model::tuning::stream::MAX_PARTITIONS;

/// How often a pattern is looked up again.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// A key that vanished is still asked for, and so reported as missing, for so long …
const KEEP_VANISHED: Duration = Duration::from_secs(120);

/// … and for at least so many look-ups.
const KEEP_LOOKUPS: u32 = 2;

/// How many keys SCAN looks at per call.
const SCAN_COUNT: u32 = 1000;

/// SCAN calls per poll once the keys are known; a larger keyspace is walked through over several polls.
const SCANS_PER_POLL: u32 = 50;

/// The keys of one group's stream, and how far the current look-up is.
pub struct Discovery {
    selector: StreamSelector,
    known: BTreeMap<String, KnownStream>,
    /// The look-up under way: kept here, so that a poll that is dropped resumes it.
    walk: Option<Walk>,
    completed_at: Option<Instant>,
    lookups: u64,
}

struct KnownStream {
    id: PartitionId,
    vanished: Option<Vanished>,
}

#[derive(Clone, Copy)]
struct Vanished {
    since: Instant,
    lookups: u32,
}

struct Walk {
    /// Over the nodes of this layout: keys that move meanwhile may be missed.
    layout: Arc<ServerLayout>,
    node: usize,
    cursor: u64,
    found: BTreeSet<String>,
}

impl Walk {
    const fn over(layout: Arc<ServerLayout>) -> Self {
        Self {
            layout,
            node: 0,
            cursor: 0,
            found: BTreeSet::new(),
        }
    }
}

impl Discovery {
    /// Nothing looked up yet.
    pub fn new(selector: StreamSelector) -> Self {
        let known = match &selector {
            StreamSelector::Keys(keys) => keys
                .iter()
                .map(|(name, id)| {
                    (
                        key::held(name.as_bytes()),
                        KnownStream {
                            id: id.clone(),
                            vanished: None,
                        },
                    )
                })
                .collect(),
            StreamSelector::Pattern(_) | StreamSelector::Whole => BTreeMap::new(),
        };
        Self {
            selector,
            known,
            walk: None,
            completed_at: None,
            lookups: 0,
        }
    }

    /// The keys to ask for, in order. Looks a pattern up first if that is due.
    ///
    /// # Errors
    /// If SCAN fails, finds too much, or is not through within half of a request's time at the first look-up.
    pub async fn keys(&mut self, lines: &PollConnections<'_>) -> Result<Vec<String>, Failure> {
        if let StreamSelector::Pattern(pattern) = &self.selector {
            let pattern = pattern.clone();
            let looked = match self.completed_at {
                None => self.look_up(lines, &pattern).await,
                Some(at) => {
                    let soon = Instant::now() + lines.response_timeout() / 4;
                    let looked = self.look_up(&lines.at_most(soon), &pattern).await;
                    // The keys that are known can be read meanwhile.
                    let is_of_cluster = lines.layout().is_of_cluster();
                    looked.or_else(|failure| match failure.kind {
                        _ if at.elapsed() > KEEP_VANISHED => Err(failure),
                        FailureKind::Timeout => Ok(()),
                        // A node that is away keeps nobody from reading the others.
                        kind if is_of_cluster && kind.is_outage() => Ok(()),
                        _ => Err(failure),
                    })
                }
            };
            looked?;
        }
        Ok(self.known.keys().cloned().collect())
    }

    /// How often the keys were looked up: they are the same as long as that is.
    pub const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// The partition that a key is.
    pub fn id(&self, key: &str) -> Option<&PartitionId> {
        self.known.get(key).map(|known| &known.id)
    }

    async fn look_up(&mut self, lines: &PollConnections<'_>, pattern: &str) -> Result<(), Failure> {
        let started = Instant::now();
        let due = self
            .completed_at
            .is_none_or(|at| started.duration_since(at) >= REFRESH_EVERY);
        if !due && self.walk.is_none() {
            return Ok(());
        }
        let mut scans = 0;
        if !lines.layout().is_whole() {
            return Err(failure::is_uncovered(lines.node(0).address()));
        }
        self.walk
            .take_if(|walk| !Arc::ptr_eq(&walk.layout, lines.layout()));
        loop {
            let layout = lines.layout();
            let walk = self
                .walk
                .get_or_insert_with(|| Walk::over(Arc::clone(layout)));
            let line = lines.node(walk.node);
            let (cursor, keys) = scan(&line, pattern, walk.cursor).await?;
            walk.found.extend(keys);
            walk.cursor = cursor;
            if cursor == 0 {
                walk.node += 1;
            }
            let is_through = walk.node == layout.nodes().len();
            if walk.found.len() > MAX_PARTITIONS {
                self.walk = None;
                return Err(too_many(pattern));
            }
            if is_through {
                let found = self.walk.take().map(|walk| walk.found).unwrap_or_default();
                return self.settle(pattern, found, Instant::now());
            }
            scans += 1;
            match self.completed_at {
                Some(_) if scans >= SCANS_PER_POLL => return Ok(()),
                None if started.elapsed() > line.response_timeout() / 2 => {
                    return Err(still_walking(&line, pattern));
                }
                _ => {}
            }
        }
    }

    /// Takes over a complete look-up.
    fn settle(
        &mut self,
        pattern: &str,
        found: BTreeSet<String>,
        now: Instant,
    ) -> Result<(), Failure> {
        self.forget_vanished(&found, now);
        self.adopt(found);
        if self.known.len() > MAX_PARTITIONS {
            return Err(too_many(pattern));
        }
        self.completed_at = Some(now);
        self.lookups += 1;
        Ok(())
    }

    fn forget_vanished(&mut self, found: &BTreeSet<String>, now: Instant) {
        self.known.retain(|key, known| {
            known.vanished = (!found.contains(key)).then(|| {
                let since = known.vanished.map_or(now, |vanished| vanished.since);
                let lookups = known.vanished.map_or(0, |vanished| vanished.lookups) + 1;
                Vanished { since, lookups }
            });
            known.vanished.is_none_or(|vanished| {
                vanished.lookups <= KEEP_LOOKUPS
                    || now.duration_since(vanished.since) <= KEEP_VANISHED
            })
        });
    }

    fn adopt(&mut self, found: BTreeSet<String>) {
        let mut taken: BTreeSet<_> = self.known.values().map(|known| known.id.clone()).collect();
        for key in found {
            if self.known.contains_key(&key) {
                continue;
            }
            // `orders*` gives both `orders` and `ordersorders` the name `orders`; a whole key is its own, but for one with `%ff`
            // in it beside one with that byte.
            let part = self.selector.partition_of(&key);
            let names = [
                key::shown(part.as_str()),
                key::shown(&key),
                key::shown_apart(&key),
            ];
            let more = (2..).map(|n| format!("{}%{n}", key::shown_apart(&key)));
            let mut free = names.into_iter().chain(more).map(PartitionId::new);
            let free = free.find(|id| !taken.contains(id));
            let id = free.unwrap_or_else(|| PartitionId::new(key.as_str()));
            taken.insert(id.clone());
            self.known.insert(key, KnownStream { id, vanished: None });
        }
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
    let replies = line.request(commands).await?;
    if line.server().mode == Some(ServerMode::Cluster) && !line.is_of_cluster() {
        return Err(failure::is_part_of_cluster(line.address(), pattern));
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

fn too_many(pattern: &str) -> Failure {
    Failure::new(
        FailureKind::Misconfigured,
        format!(
            "the pattern {pattern:?} matches more than {MAX_PARTITIONS} streams: split it into several groups"
        ),
    )
}

fn still_walking(line: &PollConnection<'_>, pattern: &str) -> Failure {
    Failure::new(
        FailureKind::Transient,
        format!(
            "redis at {}: still scanning for keys that match {pattern:?}",
            line.address()
        ),
    )
}
