//! Real servers on loopback, each with its own port and directory, ended by pid when dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};
use streamgauge::config::types::{RedisAddress, RedisConfig, RedisServers};

use super::ports::free_port;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Debian's redis-server 7.0.
    Redis70,
    /// Valkey 9.1.
    Valkey,
    /// Redis 6.2: no lag, no entries-added.
    Redis62,
    /// Redis 8.2: XDELEX, XACKDEL, and trims that take references along.
    Redis82,
}

impl Flavour {
    pub const ALL: [Self; 4] = [Self::Redis70, Self::Valkey, Self::Redis62, Self::Redis82];

    pub(super) fn binary(self) -> PathBuf {
        let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin");
        match self {
            Self::Redis70 => PathBuf::from("redis-server"),
            Self::Valkey => tools.join("valkey-server"),
            Self::Redis62 => tools.join("redis62-server"),
            Self::Redis82 => tools.join("redis82-server"),
        }
    }
}

/// A running server.
pub struct RedisServer {
    pub flavour: Flavour,
    pub port: u16,
    args: Vec<String>,
    password: Option<String>,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl RedisServer {
    pub fn start(flavour: Flavour) -> Self {
        Self::start_with(flavour, &[])
    }

    /// Starts with further arguments, such as `["--appendonly", "yes", "--appendfsync", "always"]`.
    pub fn start_with(flavour: Flavour, args: &[&str]) -> Self {
        let password = args
            .iter()
            .position(|arg| *arg == "--requirepass")
            .map(|at| args[at + 1].to_owned());
        let mut server = Self {
            flavour,
            port: free_port(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            password,
            dir: tempfile::tempdir().expect("a temporary directory"),
            child: None,
        };
        server.restart();
        server
    }

    /// Starts again on the same port and directory, after [`Self::kill`].
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
        let deadline = Instant::now() + super::patience(Duration::from_secs(20));
        while self.try_ping().is_err() {
            let ended = self.child.as_mut().map(Child::try_wait);
            assert!(
                matches!(ended, Some(Ok(None))),
                "{:?} ended: {ended:?}",
                self.flavour
            );
            assert!(
                Instant::now() < deadline,
                "{:?} did not start",
                self.flavour
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts without waiting for it to answer.
    pub fn spawn(&mut self) {
        let child = Command::new(self.flavour.binary())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--enable-debug-command", "yes"].iter().take(
                // Before 7.0 the debug command needs no leave and the option is unknown.
                if self.flavour == Flavour::Redis62 { 2 } else { 4 },
            ))
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                let binary = self.flavour.binary();
                panic!("{} cannot be run ({error}): run `make test`, which installs the servers that tests need", binary.display())
            });
        self.child = Some(child);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("running").id().to_string();
        let status = Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A blocking connection, for setting the scene.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("a connection")
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let mut settings = redis::RedisConnectionInfo::default();
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let address = redis::ConnectionAddr::Tcp("127.0.0.1".into(), self.port);
        let info = redis::IntoConnectionInfo::into_connection_info(address)?;
        redis::Client::open(info.set_redis_settings(settings))?
            .get_connection_with_timeout(Duration::from_secs(10))
    }

    fn try_ping(&self) -> redis::RedisResult<()> {
        let mut connection = self.try_connect()?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        redis::cmd("PING").exec(&mut connection)
    }

    /// The config of a source on this server.
    pub fn config(&self) -> RedisConfig {
        config_at(self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A blocking connection to a server without a password.
pub fn connect_at(port: u16) -> Connection {
    redis::Client::open(("127.0.0.1", port))
        .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(10)))
        .expect("a connection")
}

/// The config of a source on loopback.
pub fn config_at(port: u16) -> RedisConfig {
    RedisConfig {
        servers: one_at("127.0.0.1", port),
        database: 0,
        username: None,
        password: None,
        identity: None,
        tls: None,
        stuck_after: Duration::from_secs(3600),
    }
}

/// One server.
pub fn one_at(host: &str, port: u16) -> RedisServers {
    RedisServers::Standalone(RedisAddress {
        host: host.into(),
        port,
    })
}

/// Runs a command written as words.
pub fn run<T: FromRedisValue>(connection: &mut Connection, words: &str) -> T {
    try_run(connection, words).unwrap_or_else(|error| panic!("{words}: {error}"))
}

/// As [`run`], for commands that may be refused.
pub fn try_run<T: FromRedisValue>(
    connection: &mut Connection,
    words: &str,
) -> redis::RedisResult<T> {
    let mut words = words.split_whitespace();
    let mut command = redis::cmd(words.next().expect("a command"));
    for word in words {
        command.arg(word);
    }
    command.query(connection)
}
