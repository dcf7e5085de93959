//! The servers of a source: one, or the primaries of a cluster, among which the keys are spread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::connection::{RedisConnection, ServerPlace};
use super::failure;
use super::login::Login;
use super::places::AskedSoFar;
use super::poll::PollConnection;
use super::primary::Primary;
use super::reply;
use super::server::ServerMode;
use super::server_layout::ServerLayout;
use super::shared::{KeyReaders, ReadKeys};
use super::slots::SlotMap;
use super::transport::OpenConnection;
use crate::config::types::{RedisAddress, RedisConfig, RedisServers};
use crate::model::memory::ServerMemory;
use crate::model::sample::Failure;

/// How often a cluster is asked who has which slots; also sooner, where an answer says that it has changed.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The servers of one source.
pub struct Servers {
    config: Arc<RedisConfig>,
    login: Arc<Login>,
    response_timeout: Duration,
    readers: Arc<KeyReaders>,
    topology: Topology,
}

enum Topology {
    /// One server, or the primary that sentinels name.
    One(Arc<ServerLayout>),
    Cluster {
        /// Nodes by which the others are found.
        seeds: Vec<RedisAddress>,
        /// Held while a node is asked, so that one poll asks for all.
        asking: tokio::sync::Mutex<()>,
        known: Mutex<KnownLayout>,
    },
}

#[derive(Default)]
struct KnownLayout {
    /// And when it was told.
    layout: Option<(Arc<ServerLayout>, Instant)>,
    /// An answer said that it has changed.
    is_outdated: bool,
}

impl Servers {
    /// Connects to nothing yet. `response_timeout` bounds each request, and connecting too.
    pub fn new(config: RedisConfig, response_timeout: Duration) -> Self {
        let login = Arc::new(Login::new(&config));
        let config = Arc::new(config);
        let readers = Arc::new(KeyReaders::default());
        let one = |place| {
            let (config, login) = (Arc::clone(&config), Arc::clone(&login));
            let readers = Arc::clone(&readers);
            let server = RedisConnection::new(config, login, place, readers, response_timeout);
            Topology::One(Arc::new(ServerLayout::one(server)))
        };
        let topology = match &config.servers {
            RedisServers::Standalone(address) => one(ServerPlace::At(address.clone())),
            RedisServers::Sentinel(sentinels) => one(ServerPlace::Primary(Primary::new(
                Arc::clone(&config),
                sentinels.clone(),
                response_timeout / 4,
            ))),
            RedisServers::Cluster(seeds) => Topology::Cluster {
                seeds: seeds.clone(),
                asking: tokio::sync::Mutex::default(),
                known: Mutex::default(),
            },
        };
        Self {
            config,
            login,
            response_timeout,
            readers,
            topology,
        }
    }

    /// The time that one request may take.
    pub const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// The keys of a reader that begins.
    pub fn no_keys_yet(&self) -> ReadKeys {
        ReadKeys::new(Arc::clone(&self.readers))
    }

    /// Whether the keys are spread over several servers.
    pub const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster { .. })
    }

    /// Drops every connection; the next requests build new ones.
    pub fn reconnect(&self) {
        let layout = match &self.topology {
            Topology::One(layout) => Some(Arc::clone(layout)),
            Topology::Cluster { known, .. } => lock(known).layout.take().map(|(layout, _)| layout),
        };
        for node in layout.iter().flat_map(|layout| layout.nodes()) {
            node.reconnect();
        }
    }

    fn known(&self) -> Option<Arc<ServerLayout>> {
        match &self.topology {
            Topology::One(layout) => Some(Arc::clone(layout)),
            Topology::Cluster { known, .. } => lock(known).layout.clone().map(|(layout, _)| layout),
        }
    }

    /// What the servers said of their memory.
    pub fn memory(&self) -> Vec<ServerMemory> {
        let layout = self.known();
        let nodes = layout.iter().flat_map(|layout| layout.nodes());
        let told = nodes.filter_map(|node| {
            let server = node.server_address()?;
            node.memory().of_server(&server)
        });
        told.collect()
    }

    /// What the servers said that they are, in words; `None` before any was connected to.
    pub fn described(&self) -> Option<String> {
        let layout = self.known()?;
        let connected = layout.nodes().iter().filter(|node| node.is_proven());
        let mut told = BTreeMap::new();
        for node in connected {
            *told.entry(node.server().described()).or_insert(0) += 1;
        }
        let told = told
            .into_iter()
            .map(|(text, nodes)| match self.is_cluster() {
                true => format!("{nodes} of {} nodes: {text}", layout.nodes().len()),
                false => text,
            });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Takes note that keys are on other nodes than the layout says, or that a node does not answer.
    pub fn outdated(&self) {
        if let Topology::Cluster { known, .. } = &self.topology {
            lock(known).is_outdated = true;
        }
    }

    /// Forgets what was read lately for all groups: something is new.
    pub fn forget_shared(&self) {
        let layout = match &self.topology {
            Topology::One(layout) => Some(Arc::clone(layout)),
            Topology::Cluster { known, .. } => lock(known).current(),
        };
        for node in layout.iter().flat_map(|layout| layout.nodes()) {
            node.shared().clear();
        }
    }

    /// What there is to read from, as of now or lately.
    ///
    /// # Errors
    /// No node of the cluster tells it.
    pub async fn layout(&self, until: Instant) -> Result<Arc<ServerLayout>, Failure> {
        match &self.topology {
            Topology::One(layout) => {
                for node in layout.nodes() {
                    node.follow(until).await;
                }
                Ok(Arc::clone(layout))
            }
            Topology::Cluster {
                seeds,
                asking,
                known,
            } => {
                if let Some(layout) = lock(known).current() {
                    return Ok(layout);
                }
                let _asking = asking.lock().await;
                if let Some(layout) = lock(known).current() {
                    return Ok(layout);
                }
                let before = lock(known).layout.clone().map(|(layout, _)| layout);
                let nodes = before.as_ref().map_or(&[][..], |layout| layout.nodes());
                let layout = self.ask(seeds, nodes, until).await?;
                // A look-up that is under way goes on as long as it is the same.
                let layout = before
                    .filter(|before| before.is_like(&layout))
                    .unwrap_or_else(|| Arc::new(layout));
                *lock(known) = KnownLayout {
                    layout: Some((Arc::clone(&layout), Instant::now())),
                    is_outdated: false,
                };
                Ok(layout)
            }
        }
    }

    /// Asks node by node, those that answered lately first, until one tells.
    async fn ask(
        &self,
        seeds: &[RedisAddress],
        before: &[Arc<RedisConnection>],
        until: Instant,
    ) -> Result<ServerLayout, Failure> {
        let mut nodes = before.to_vec();
        nodes.sort_by_key(|node| !node.is_proven());
        let is_new = |seed: &&RedisAddress| !before.iter().any(|node| node.place() == Some(*seed));
        nodes.extend(seeds.iter().filter(is_new).map(|seed| self.connect(seed)));
        let mut failed = None;
        for node in &nodes {
            let patience = Instant::now() + self.response_timeout / 2;
            let asked = AskedSoFar::default();
            let line = PollConnection::new(node, until.min(patience), &asked);
            match slots_by(&line).await {
                Ok(ranges) => return Ok(self.arrange(ranges, node, &nodes)),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        Err(failed.unwrap_or_else(|| failure::late("the cluster")))
    }

    /// The layout by what `asked` told, over the connections that there are.
    fn arrange(
        &self,
        ranges: Vec<reply::SlotRange>,
        asked: &RedisConnection,
        there: &[Arc<RedisConnection>],
    ) -> ServerLayout {
        let asked = asked.place().map(|place| place.host.as_str());
        let primary = |host: Option<String>, port| RedisAddress {
            host: host.unwrap_or_else(|| asked.unwrap_or_default().to_owned()),
            port,
        };
        let ranges = ranges.into_iter();
        let ranges: Vec<_> = ranges
            .map(|(first, last, host, port)| (first, last, primary(host, port)))
            .collect();
        let connection = |address: &RedisAddress| {
            let known = there.iter().find(|node| node.place() == Some(address));
            known.cloned().unwrap_or_else(|| self.connect(address))
        };
        let nodes: BTreeMap<_, _> = ranges
            .iter()
            .map(|(_, _, address)| (address.clone(), connection(address)))
            .collect();
        let index = |address| nodes.keys().position(|node| node == address);
        let slots = ranges
            .iter()
            .filter_map(|(first, last, address)| Some((*first, *last, index(address)?)));
        let slots = SlotMap::new(slots.collect());
        ServerLayout::cluster(nodes.into_values().collect(), slots)
    }

    fn connect(&self, address: &RedisAddress) -> Arc<RedisConnection> {
        let place = ServerPlace::At(address.clone());
        Arc::new(RedisConnection::new(
            Arc::clone(&self.config),
            Arc::clone(&self.login),
            place,
            Arc::clone(&self.readers),
            self.response_timeout,
        ))
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
        let opened = match layout.of_slot(slot.unwrap_or(0)) {
            Ok(node) => node.apart(block).await,
            Err(failure) => Err(failure),
        };
        opened.inspect_err(|_| self.outdated())
    }

    /// The same for all servers that have some of these keys, each with its own.
    ///
    /// # Errors
    /// One of them cannot be opened, the server refuses it, or none has the key.
    pub async fn apart_by_keys(
        &self,
        keys: &[String],
        block: Duration,
    ) -> Result<Vec<(OpenConnection, Vec<String>)>, Failure> {
        let layout = self.layout(Instant::now() + self.response_timeout).await?;
        let (by_node, uncovered) = layout.split(keys.iter().cloned());
        if !uncovered.is_empty() {
            return Err(failure::is_uncovered(layout.nodes()[0].address()));
        }
        let mut opened = Vec::new();
        for (node, keys) in by_node {
            opened.push((layout.nodes()[node].apart(block).await?, keys));
        }
        Ok(opened)
    }

    /// Whether a server that is read as if it were alone said that it is one of a cluster.
    pub fn is_part_of_cluster(&self) -> bool {
        let is_part = |node: &Arc<RedisConnection>| node.server().mode == Some(ServerMode::Cluster);
        let known = self.known();
        !self.is_cluster() && known.is_some_and(|layout| layout.nodes().iter().any(is_part))
    }
}

impl KnownLayout {
    /// The layout, unless the cluster has to be asked again.
    fn current(&self) -> Option<Arc<ServerLayout>> {
        let (layout, told_at) = self.layout.as_ref()?;
        let is_current = told_at.elapsed() < READ_EVERY && !self.is_outdated;
        is_current.then(|| Arc::clone(layout))
    }
}

fn lock(known: &Mutex<KnownLayout>) -> MutexGuard<'_, KnownLayout> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has which slots, by one of the nodes.
async fn slots_by(line: &PollConnection<'_>) -> Result<Vec<reply::SlotRange>, Failure> {
    let mut commands = redis::pipe();
    commands.cmd("CLUSTER").arg("SLOTS");
    let replies = line.request(commands).await?;
    let garbled = || failure::garbled(line.address(), "CLUSTER SLOTS");
    let ranges = match replies.first() {
        Some(Value::ServerError(error)) if error.code() == "NOPERM" => {
            return Err(failure::needs_slots(line.address()));
        }
        Some(Value::ServerError(error)) => return Err(failure::of_reply(&line.subject(), error)),
        reply => reply.and_then(reply::slot_ranges).ok_or_else(garbled)?,
    };
    match ranges.is_empty() {
        true => Err(failure::is_uncovered(line.address())),
        false => Ok(ranges),
    }
}
