//! The servers of a source: one, or the primaries of a cluster, among which the keys are spread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::connection::{PollConnection, RedisConnection, ServerPlace};
use super::failure;
use super::primary::Primary;
use super::reply;
use super::slots::{SlotMap, slot_of};
use super::transport::OpenConnection;
use crate::config::types::{RedisAddress, RedisConfig, RedisServers};
use crate::model::sample::{Failure, FailureKind};

/// How often a cluster is asked who has which slots; also sooner, where an answer says that it has changed.
const READ_EVERY: Duration = Duration::from_secs(10);

/// What a poll reads from: a server, or the primaries of a cluster.
#[derive(Clone)]
pub struct Layout {
    nodes: Vec<Arc<RedisConnection>>,
    /// Indices of nodes; `None` where one server has every key.
    slots: Option<SlotMap<usize>>,
}

impl Layout {
    /// All nodes, in the order of their addresses.
    pub fn nodes(&self) -> &[Arc<RedisConnection>] {
        &self.nodes
    }

    /// Whether they are nodes of a cluster.
    pub const fn is_of_cluster(&self) -> bool {
        self.slots.is_some()
    }

    /// Whether every key is on one of the nodes.
    pub fn is_whole(&self) -> bool {
        self.slots.as_ref().is_none_or(SlotMap::is_whole)
    }

    /// Which of the nodes has the key; `None` if none has.
    pub fn node_of(&self, key: &str) -> Option<usize> {
        match &self.slots {
            Some(slots) => slots.owner(slot_of(key)).copied(),
            None => Some(0),
        }
    }

    /// The keys by node, and those that no node has.
    pub fn split<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> (BTreeMap<usize, Vec<K>>, Vec<K>) {
        let (mut split, mut uncovered) = (BTreeMap::<usize, Vec<K>>::new(), Vec::new());
        for key in keys {
            match self.node_of(key.as_ref()) {
                Some(node) => split.entry(node).or_default().push(key),
                None => uncovered.push(key),
            }
        }
        (split, uncovered)
    }
}

/// The nodes within the time of one poll.
#[derive(Clone, Copy)]
pub struct PollConnections<'l> {
    layout: &'l Arc<Layout>,
    until: Instant,
}

impl<'l> PollConnections<'l> {
    /// Requests are answered until then, or fail.
    pub const fn new(layout: &'l Arc<Layout>, until: Instant) -> Self {
        Self { layout, until }
    }

    /// With no more time than until then.
    pub fn at_most(self, until: Instant) -> Self {
        let until = self.until.min(until);
        Self { until, ..self }
    }

    /// Which node has which keys.
    pub const fn layout(&self) -> &'l Arc<Layout> {
        self.layout
    }

    /// The time that one request may take.
    pub fn response_timeout(&self) -> Duration {
        self.layout.nodes[0].response_timeout()
    }

    /// The connection to a node.
    pub fn node(&self, node: usize) -> PollConnection<'l> {
        PollConnection::new(&self.layout.nodes[node], self.until)
    }

    /// The connection to the node that has the key.
    ///
    /// # Errors
    /// No node has it.
    pub fn of(&self, key: &str) -> Result<PollConnection<'l>, Failure> {
        let node = self.layout.node_of(key).map(|node| self.node(node));
        node.ok_or_else(|| failure::is_uncovered(self.layout.nodes[0].address()))
    }
}

/// The servers of one source.
pub struct Servers {
    config: Arc<RedisConfig>,
    response_timeout: Duration,
    /// Held while a cluster is asked, so that one poll asks for all.
    reading: tokio::sync::Mutex<()>,
    known: Mutex<KnownLayout>,
}

#[derive(Default)]
struct KnownLayout {
    layout: Option<Arc<Layout>>,
    read_at: Option<Instant>,
    /// An answer said that it has changed.
    is_outdated: bool,
}

impl Servers {
    /// Connects to nothing yet. `response_timeout` bounds each request, and connecting too.
    pub fn new(config: RedisConfig, response_timeout: Duration) -> Self {
        let config = Arc::new(config);
        let one = match &config.servers {
            RedisServers::Standalone(address) => Some(ServerPlace::At(address.clone())),
            RedisServers::Sentinel(sentinels) => Some(ServerPlace::Primary(Primary::new(
                Arc::clone(&config),
                sentinels.clone(),
                response_timeout / 4,
            ))),
            RedisServers::Cluster(_) => None,
        };
        let connect = |place| RedisConnection::new(Arc::clone(&config), place, response_timeout);
        let layout = one.map(|place| {
            Arc::new(Layout {
                nodes: vec![Arc::new(connect(place))],
                slots: None,
            })
        });
        let known = KnownLayout {
            layout,
            ..KnownLayout::default()
        };
        Self {
            config,
            response_timeout,
            reading: tokio::sync::Mutex::new(()),
            known: Mutex::new(known),
        }
    }

    /// The time that one request may take.
    pub const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Drops every connection; the next requests build new ones.
    pub fn reconnect(&self) {
        let layout = self.known().layout.clone();
        for node in layout.iter().flat_map(|layout| layout.nodes()) {
            node.reconnect();
        }
        self.outdated();
    }

    /// Takes note that keys are on other nodes than the layout says, or that a node does not answer.
    pub fn outdated(&self) {
        self.known().is_outdated = true;
    }

    /// What there is to read from, as of now or lately.
    ///
    /// # Errors
    /// No node of the cluster tells it.
    pub async fn layout(&self, until: Instant) -> Result<Arc<Layout>, Failure> {
        let RedisServers::Cluster(seeds) = &self.config.servers else {
            let layout = self.known().layout.clone();
            let layout =
                layout.ok_or_else(|| Failure::new(FailureKind::Unreachable, "no server"))?;
            for node in layout.nodes() {
                node.follow(until).await;
            }
            return Ok(layout);
        };
        if let Some(layout) = self.known().current() {
            return Ok(layout);
        }
        let _reading = self.reading.lock().await;
        if let Some(layout) = self.known().current() {
            return Ok(layout);
        }
        let before = self.known().layout.clone();
        match self.read(seeds, before.as_deref(), until).await {
            Ok(layout) => {
                let layout = Arc::new(layout);
                let mut known = self.known();
                known.layout = Some(Arc::clone(&layout));
                known.read_at = Some(Instant::now());
                known.is_outdated = false;
                Ok(layout)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Asks node by node, those that answered lately first, until one tells.
    async fn read(
        &self,
        seeds: &[RedisAddress],
        before: Option<&Layout>,
        until: Instant,
    ) -> Result<Layout, Failure> {
        let mut nodes: Vec<_> = before.map_or_else(Vec::new, |layout| layout.nodes.clone());
        nodes.sort_by_key(|node| !node.is_proven());
        let is_new = |seed: &&RedisAddress| !nodes.iter().any(|n| n.address() == seed.to_string());
        let seeds: Vec<_> = seeds
            .iter()
            .filter(is_new)
            .map(|seed| self.connect(seed))
            .collect();
        nodes.extend(seeds);
        let mut first_failure = None;
        for node in &nodes {
            let patience = Instant::now() + self.response_timeout / 2;
            let line = PollConnection::new(node, until.min(patience));
            match slots_by(&line).await {
                Ok(ranges) => return Ok(self.arrange(ranges, node, &nodes)),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        Err(first_failure.unwrap_or_else(|| failure::late("the cluster")))
    }

    /// The layout by what `asked` told, over the connections that there are.
    fn arrange(
        &self,
        ranges: Vec<reply::SlotRange>,
        asked: &RedisConnection,
        there: &[Arc<RedisConnection>],
    ) -> Layout {
        let mut nodes = BTreeMap::<String, Arc<RedisConnection>>::new();
        let mut slots = Vec::new();
        for (first, last, host, port) in ranges {
            let host = host.or_else(|| Some(asked.place()?.host.clone()));
            let address = RedisAddress {
                host: host.unwrap_or_default(),
                port,
            };
            let name = address.to_string();
            nodes.entry(name.clone()).or_insert_with(|| {
                let known = there.iter().find(|node| node.address() == name);
                known.cloned().unwrap_or_else(|| self.connect(&address))
            });
            slots.push((first, last, name));
        }
        let names: Vec<&String> = nodes.keys().collect();
        let index = |name: &String| names.binary_search(&name).unwrap_or_default();
        let slots = slots
            .iter()
            .map(|(first, last, name)| (*first, *last, index(name)));
        Layout {
            slots: Some(SlotMap::new(slots.collect())),
            nodes: nodes.into_values().collect(),
        }
    }

    /// A connection apart from the supervised ones to the server that has the slot, for reads that block for so long at most.
    ///
    /// # Errors
    /// It cannot be opened, the server refuses it, or none has the slot.
    pub async fn apart(
        &self,
        slot: Option<u16>,
        block: Duration,
    ) -> Result<OpenConnection, Failure> {
        let layout = self.layout(Instant::now() + self.response_timeout).await?;
        let node = match (&layout.slots, slot) {
            (Some(slots), Some(slot)) => slots.owner(slot).copied(),
            _ => Some(0),
        };
        let node = node.and_then(|node| layout.nodes.get(node));
        let uncovered = || failure::is_uncovered(layout.nodes[0].address());
        let opened = node.ok_or_else(uncovered)?.apart(block).await;
        opened.inspect_err(|_| self.outdated())
    }

    /// Whether the keys are spread over several servers.
    pub fn is_cluster(&self) -> bool {
        matches!(self.config.servers, RedisServers::Cluster(_))
    }

    fn connect(&self, address: &RedisAddress) -> Arc<RedisConnection> {
        let place = ServerPlace::At(address.clone());
        let config = Arc::clone(&self.config);
        Arc::new(RedisConnection::new(config, place, self.response_timeout))
    }

    fn known(&self) -> MutexGuard<'_, KnownLayout> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownLayout {
    /// The layout, unless the cluster has to be asked again.
    fn current(&self) -> Option<Arc<Layout>> {
        let is_recent = self.read_at.is_some_and(|at| at.elapsed() < READ_EVERY);
        let is_current = is_recent && !self.is_outdated;
        self.layout.clone().filter(|_| is_current)
    }
}

/// Who has which slots, by one of the nodes.
async fn slots_by(line: &PollConnection<'_>) -> Result<Vec<reply::SlotRange>, Failure> {
    let mut commands = redis::pipe();
    commands.cmd("CLUSTER").arg("SLOTS");
    let replies = line.request(commands).await?;
    let garbled = || failure::garbled(line.address(), "CLUSTER SLOTS");
    let ranges = match replies.first() {
        Some(Value::ServerError(error)) => return Err(failure::of_reply(&line.subject(), error)),
        reply => reply.and_then(reply::slot_ranges).ok_or_else(garbled)?,
    };
    match ranges.is_empty() {
        true => Err(failure::is_uncovered(line.address())),
        false => Ok(ranges),
    }
}
