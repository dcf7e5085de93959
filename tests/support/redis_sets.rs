//! Servers that belong together: clusters, and sets with sentinels.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Connection;
use streamgauge::config::types::{RedisAddress, RedisConfig, RedisSentinels, RedisServers};

use super::certificates::Certificates;
use super::ports::free_port;
use super::redis::{Flavour, RedisServer, run, try_run};

const SLOTS: u32 = 16_384;

/// Before 7.0 the port of the bus cannot be set: it is the other plus 10,000.
const CLUSTER_ARGS: [&str; 6] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
];

/// A cluster: its primaries share the slots evenly, in their order.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
    primaries: usize,
    /// The ports with TLS, where the nodes speak it among themselves and to clients.
    tls_ports: Vec<u16>,
}

impl RedisCluster {
    /// So many primaries, and as many replicas for each. What one of them has no node for does not keep the others from answering.
    pub fn start(flavour: Flavour, primaries: usize, replicas: usize) -> Self {
        let start = |_| RedisServer::start_with(flavour, &CLUSTER_ARGS);
        let cluster = Self {
            nodes: (0..primaries * (1 + replicas)).map(start).collect(),
            primaries,
            tls_ports: Vec::new(),
        };
        cluster.join(replicas);
        cluster
    }

    /// Of primaries with TLS.
    pub fn with_tls(certificates: &Certificates, primaries: usize) -> Self {
        let tls_ports: Vec<_> = (0..primaries).map(|_| free_port()).collect();
        let start = |port: &u16| {
            let args = certificates.redis_args(*port);
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let own = ["--tls-cluster", "yes", "--tls-auth-clients", "optional"];
            RedisServer::start_with(Flavour::Redis70, &[&args, &CLUSTER_ARGS[..], &own].concat())
        };
        let cluster = Self {
            nodes: tls_ports.iter().map(start).collect(),
            primaries,
            tls_ports,
        };
        cluster.join(0);
        cluster
    }

    fn join(&self, replicas: usize) {
        for (n, node) in self.nodes.iter().enumerate() {
            let mut connection = node.connect();
            run::<()>(
                &mut connection,
                &format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1),
            );
            if n < self.primaries {
                let (first, end) = self.slots(n);
                let slots: Vec<_> = (first..end).map(|slot| slot.to_string()).collect();
                run::<()>(
                    &mut connection,
                    &format!("CLUSTER ADDSLOTS {}", slots.join(" ")),
                );
            }
            let met = self.tls_ports.first().unwrap_or(&self.nodes[0].port);
            let meet = format!("CLUSTER MEET 127.0.0.1 {met}");
            run::<()>(&mut connection, &meet);
        }
        let all = self.nodes.len();
        self.wait("every node knows every other", |connection| {
            let known: String = run(connection, "CLUSTER NODES");
            known.lines().count() == all && !known.contains("handshake")
        });
        for n in 0..self.primaries {
            let id: String = run(&mut self.nodes[n].connect(), "CLUSTER MYID");
            for replica in 0..replicas {
                let node = &self.nodes[self.primaries + n * replicas + replica];
                run::<()>(&mut node.connect(), &format!("CLUSTER REPLICATE {id}"));
            }
        }
        let primaries = self.primaries;
        self.wait("the cluster is whole", |connection| {
            let info: String = run(connection, "CLUSTER INFO");
            let slots: Vec<Vec<redis::Value>> = run(connection, "CLUSTER SLOTS");
            let copies = |range: &Vec<redis::Value>| range.len() == 3 + replicas;
            info.contains("cluster_state:ok")
                && slots.len() == primaries
                && slots.iter().all(copies)
        });
    }

    fn wait(&self, what: &str, is_so: impl Fn(&mut Connection) -> bool) {
        let deadline = Instant::now() + super::patience(Duration::from_secs(30));
        while !self.nodes.iter().all(|node| is_so(&mut node.connect())) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn slots(&self, n: usize) -> (u32, u32) {
        let share = |n: usize| SLOTS * n as u32 / self.primaries as u32;
        (share(n), share(n + 1))
    }

    /// The number of the primary that got the key's slot at first.
    pub fn owner(&self, key: &str) -> usize {
        let slot: u32 = run(
            &mut self.nodes[0].connect(),
            &format!("CLUSTER KEYSLOT {key}"),
        );
        let has = |n: &usize| self.slots(*n).0 <= slot && slot < self.slots(*n).1;
        (0..self.primaries).find(has).expect("a primary")
    }

    /// A connection to that one.
    pub fn of(&self, key: &str) -> Connection {
        self.nodes[self.owner(key)].connect()
    }

    /// The config of a source that knows the first and the last node.
    pub fn config(&self) -> RedisConfig {
        let plain: Vec<_> = self.nodes.iter().map(|node| node.port).collect();
        let ports = if self.tls_ports.is_empty() {
            plain
        } else {
            self.tls_ports.clone()
        };
        let ends = [ports[0], ports[ports.len() - 1]];
        RedisConfig {
            servers: RedisServers::Cluster(ends.map(at).into()),
            ..self.nodes[0].config()
        }
    }
}

/// A primary, its replicas, and sentinels that watch over them.
pub struct SentinelSet {
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<Sentinel>,
}

/// A sentinel, ended by pid when dropped.
pub struct Sentinel {
    pub port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

/// The name under which the sentinels know the primary.
pub const MASTER: &str = "mymaster";

impl SentinelSet {
    /// The first of `servers` is the primary.
    pub fn start(flavour: Flavour, servers: usize, sentinels: usize) -> Self {
        let primary = RedisServer::start(flavour);
        let port = primary.port.to_string();
        let replica = |_| RedisServer::start_with(flavour, &["--replicaof", "127.0.0.1", &port]);
        let replicas: Vec<_> = (1..servers).map(replica).collect();
        let servers: Vec<_> = [primary].into_iter().chain(replicas).collect();
        let sentinels = (0..sentinels).map(|_| Sentinel::start(flavour, servers[0].port));
        let set = Self {
            sentinels: sentinels.collect(),
            servers,
        };
        set.wait();
        set
    }

    /// Until each sentinel knows the replicas and the other sentinels.
    fn wait(&self) {
        let deadline = Instant::now() + super::patience(Duration::from_secs(30));
        let knows_all = |sentinel: &Sentinel| {
            let told = |words: &str| -> Option<Vec<redis::Value>> {
                try_run(&mut sentinel.connect()?, &format!("{words} {MASTER}")).ok()
            };
            told("SENTINEL REPLICAS").is_some_and(|r| r.len() == self.servers.len() - 1)
                && told("SENTINEL SENTINELS").is_some_and(|s| s.len() == self.sentinels.len() - 1)
        };
        while !self.sentinels.iter().all(knows_all) {
            assert!(Instant::now() < deadline, "the sentinels know each other");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The config of a source that asks all sentinels.
    pub fn config(&self) -> RedisConfig {
        RedisConfig {
            servers: RedisServers::Sentinel(RedisSentinels {
                addresses: self
                    .sentinels
                    .iter()
                    .map(|sentinel| at(sentinel.port))
                    .collect(),
                master: MASTER.into(),
                username: None,
                password: None,
            }),
            ..self.servers[0].config()
        }
    }
}

impl Sentinel {
    fn start(flavour: Flavour, primary: u16) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, port) = (dir.path().join("sentinel.conf"), free_port());
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 3000\n",
            dir.path().display()
        );
        std::fs::write(&file, text).expect("written");
        let child = Command::new(flavour.binary())
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a sentinel");
        Self {
            port,
            child,
            _dir: dir,
        }
    }

    /// A connection, if it takes one.
    pub fn connect(&self) -> Option<Connection> {
        let client = redis::Client::open(("127.0.0.1", self.port)).ok()?;
        client
            .get_connection_with_timeout(Duration::from_secs(1))
            .ok()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server on loopback is.
pub fn at(port: u16) -> RedisAddress {
    RedisAddress {
        host: "127.0.0.1".into(),
        port,
    }
}
