//! One supervised connection, shared by all groups of a source: rebuilt at once when it breaks, and after two timeouts
//! in a row, because a half-open connection shows itself by nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{AsyncConnectionConfig, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::failure::{self, Subject};
use super::lean::Scripting;
use super::live::{ConnectionSlot, Live, Opened};
use super::login::Login;
use super::memory::MemoryWatch;
use super::places::RequestPlaces;
use super::primary::Primary;
use super::server::ServerTraits;
use super::shared::{KeyReaders, SharedKeys};
use super::transport::OpenConnection;
use super::{diagnosis, handshake, transport};
use crate::config::types::{RedisAddress, RedisConfig, RedisServers};
use crate::model::sample::{Failure, FailureKind};

/// Timeouts in a row after which the connection is dropped.
const TIMEOUTS_BEFORE_REBUILD: u32 = 2;

/// How often sentinels are asked whether the primary is still the same.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Where a server is.
pub enum ServerPlace {
    /// There.
    At(RedisAddress),
    /// Where sentinels say.
    Primary(Primary),
}

/// The connection to one server. Requests of several groups may be under way at once.
pub struct RedisConnection {
    config: Arc<RedisConfig>,
    login: Arc<Login>,
    place: ServerPlace,
    address: String,
    response_timeout: Duration,
    slot: Mutex<ConnectionSlot>,
    /// Held while connecting, so that callers who find no connection wait for one attempt instead of each making one.
    connecting: tokio::sync::Mutex<()>,
    nonce: AtomicU64,
    places: Arc<RequestPlaces>,
    shared: SharedKeys,
    memory: MemoryWatch,
}

impl RedisConnection {
    /// Connects at the first request. `readers`: who asks for which keys. `response_timeout` bounds each request, and connecting too.
    pub fn new(
        config: Arc<RedisConfig>,
        login: Arc<Login>,
        place: ServerPlace,
        readers: Arc<KeyReaders>,
        response_timeout: Duration,
    ) -> Self {
        let address = match &place {
            ServerPlace::At(address) => address.to_string(),
            ServerPlace::Primary(primary) => format!("the primary {:?}", primary.name()),
        };
        Self {
            config,
            login,
            place,
            address,
            response_timeout,
            slot: Mutex::default(),
            connecting: tokio::sync::Mutex::new(()),
            nonce: AtomicU64::new(1),
            places: RequestPlaces::new(),
            shared: SharedKeys::new(readers),
            memory: MemoryWatch::new(),
        }
    }

    /// `host:port`, or what it is to sentinels; for texts.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its address, where that stands fast.
    pub const fn place(&self) -> Option<&RedisAddress> {
        match &self.place {
            ServerPlace::At(address) => Some(address),
            ServerPlace::Primary(_) => None,
        }
    }

    /// `host:port` of the server at the other end, while there is one.
    pub fn server_address(&self) -> Option<Arc<str>> {
        let slot = self.slot();
        let live = slot.live.as_ref()?;
        Some(Arc::clone(live.connection.address()))
    }

    /// For the texts of what it answers.
    pub fn subject(&self) -> Subject {
        Subject::server(&self.address, self.is_of_cluster())
    }

    /// Whether it is one of several nodes that share the keys.
    pub fn is_of_cluster(&self) -> bool {
        matches!(self.config.servers, RedisServers::Cluster(_))
    }

    /// What may be under way on it.
    pub const fn places(&self) -> &Arc<RequestPlaces> {
        &self.places
    }

    /// What its groups share.
    pub const fn shared(&self) -> &SharedKeys {
        &self.shared
    }

    /// What fills its memory.
    pub const fn memory(&self) -> &MemoryWatch {
        &self.memory
    }

    /// The time that one request may take.
    pub const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// What the server said of itself at the last connection.
    pub fn server(&self) -> ServerTraits {
        self.slot().server.clone()
    }

    /// Whether it was asked how scripts may be run on the connection of now.
    pub fn knows_scripting(&self) -> bool {
        self.slot()
            .live
            .as_ref()
            .is_some_and(|live| live.scripting.is_some())
    }

    /// Takes note of how.
    pub fn scripting_is(&self, scripting: Option<Scripting>) {
        if let Some(live) = &mut self.slot().live {
            live.scripting = Some(scripting);
        }
    }

    /// How scripts may be run, if they may.
    pub fn scripting(&self) -> Option<Scripting> {
        self.slot().live.as_ref()?.scripting.flatten()
    }

    /// Whether a request on the connection of now was answered.
    pub fn is_proven(&self) -> bool {
        self.slot().live.as_ref().is_some_and(|live| live.is_proven)
    }

    /// Drops the connection where sentinels name another primary by now: the old one may still answer those who do not ask.
    pub async fn follow(&self, until: Instant) {
        let ServerPlace::Primary(primary) = &self.place else {
            return;
        };
        let now = Instant::now();
        {
            let mut slot = self.slot();
            let is_recent = |at: Instant| now.duration_since(at) < ASKED_EVERY;
            if slot.live.is_none() || slot.asked_at.is_some_and(is_recent) {
                return;
            }
            slot.asked_at = Some(now);
        }
        let until = until.min(now + self.response_timeout / 4);
        if let Ok(Ok(named)) = timeout_at(until, primary.find()).await {
            let named = named.to_string();
            let is_other = |live: &mut Live| **live.connection.address() != *named;
            if self.slot().live.take_if(is_other).is_some() {
                tracing::info!("the sentinels name another primary: {named}");
            }
        }
    }

    /// Drops the connection; the next request builds a new one.
    pub fn reconnect(&self) {
        self.slot().live = None;
    }

    /// Sends the commands in one piece and returns one reply each; an error reply is a reply. A trailing PING proves that
    /// the replies belong to these commands, so that a stray byte on the line can never shift one answer to another key.
    ///
    /// # Errors
    /// If nothing, garbage, or a refusal of the whole connection came back.
    pub(super) async fn request(
        &self,
        mut commands: Pipeline,
        until: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed).to_string();
        commands.cmd("PING").arg(&nonce);
        let late = |_| Err(failure::late(&self.address));
        let live = timeout_at(until, self.lease()).await.unwrap_or_else(late)?;
        let mut connection = live.connection.clone();
        let asked_at = Instant::now();
        let asking = connection.req_packed_commands(&commands, 0, commands.len());
        let outcome = match timeout_at(until, asking).await {
            Ok(replies) => replies
                .map_err(|error| failure::of_error(&self.address, &error))
                .and_then(|replies| self.checked(replies, nonce.as_bytes())),
            Err(_) => Err(failure::late(&self.address)),
        };
        // Where a poll had hardly any time left, its lateness says nothing of the connection.
        let is_late = matches!(&outcome, Err(failure) if failure.kind == FailureKind::Timeout);
        if !is_late || asked_at.elapsed() >= self.response_timeout / 8 {
            self.note(live.generation, outcome.as_ref().err());
        }
        match outcome {
            Err(failure) if !live.is_proven => Err(self.diagnosed(failure).await),
            outcome => outcome,
        }
    }

    /// With the reason why a connection that never worked failed, if it can be found.
    async fn diagnosed(&self, failure: Failure) -> Failure {
        let Some(at) = self.slot().at.clone() else {
            return failure;
        };
        let found = match (failure.kind, &self.config.tls) {
            (FailureKind::Unreachable, None) => diagnosis::of_hang_up(&at).await,
            (FailureKind::Unreachable, Some(tls)) => diagnosis::of_tls_failure(tls, &at).await,
            _ => None,
        };
        found.unwrap_or(failure)
    }

    /// Drops this connection for a reply that made no sense.
    pub fn distrust(&self) {
        self.reconnect();
    }

    fn checked(&self, mut replies: Vec<Value>, nonce: &[u8]) -> Result<Vec<Value>, Failure> {
        match replies.pop() {
            Some(Value::BulkString(echo)) if echo == nonce => Ok(replies),
            Some(Value::ServerError(error)) => Err(failure::of_reply(&self.subject(), &error)),
            _ => Err(failure::garbled(&self.address, "replies are out of step")),
        }
    }

    /// The live connection, or a new one. Of several callers one connects; the others get what it got.
    async fn lease(&self) -> Result<Live, Failure> {
        let seen = {
            let slot = self.slot();
            if let Some(live) = slot.good() {
                return Ok(live);
            }
            slot.attempts
        };
        let _connecting = self.connecting.lock().await;
        {
            let slot = self.slot();
            if let Some(live) = slot.good() {
                return Ok(live);
            }
            if slot.attempts != seen
                && let Some(failure) = &slot.last_failure
            {
                return Err(failure.clone());
            }
        }
        let built = match self.connect(self.response_timeout).await {
            Err(failure) => Err(self.diagnosed(failure).await),
            built => built,
        };
        self.settle(built)
    }

    fn settle(&self, built: Result<Opened, Failure>) -> Result<Live, Failure> {
        let mut slot = self.slot();
        slot.attempts += 1;
        slot.last_failure = built.as_ref().err().cloned();
        let (connection, renewed_at) = built?;
        let live = Live {
            generation: slot.attempts,
            timeouts: 0,
            is_proven: false,
            scripting: None,
            renewed_at,
            connection,
        };
        slot.live = Some(live.clone());
        // It may be another server now.
        self.shared.clear();
        Ok(live)
    }

    /// A connection apart from the supervised one, for reads that block for so long at most.
    ///
    /// # Errors
    /// If it cannot be opened, or the server refuses it.
    pub async fn apart(&self, block: Duration) -> Result<OpenConnection, Failure> {
        let (connection, _) = self.connect(block + self.response_timeout).await?;
        Ok(connection)
    }

    /// A connection whose requests take so long at most.
    async fn connect(&self, response_timeout: Duration) -> Result<Opened, Failure> {
        // The credential is sent by our own handshake: the library turns every failure there, be it a full server, into a
        // wrong password, and this way no structure of the library ever holds the secret.
        let handshake = async {
            let at = self.locate().await?;
            self.slot().at = Some(at.clone());
            let mut connection = self.open(&at, response_timeout).await?;
            let is_named = matches!(self.place, ServerPlace::Primary(_));
            let (database, login) = (self.config.database, &self.login);
            let introduced = handshake::introduce(database, login, &mut connection, is_named);
            let (server, renewed_at) = introduced
                .await
                .inspect_err(|failure| login.note(failure))?;
            self.slot().server = server;
            Ok((connection, renewed_at))
        };
        tokio::time::timeout(self.response_timeout, handshake)
            .await
            .unwrap_or_else(|_| {
                let text = format!(
                    "redis at {} did not accept a connection in time",
                    self.address
                );
                Err(Failure::new(FailureKind::Timeout, text))
            })
    }

    async fn locate(&self) -> Result<RedisAddress, Failure> {
        match &self.place {
            ServerPlace::At(address) => Ok(address.clone()),
            ServerPlace::Primary(primary) => {
                self.slot().asked_at = Some(Instant::now());
                primary.find().await
            }
        }
    }

    async fn open(
        &self,
        at: &RedisAddress,
        response_timeout: Duration,
    ) -> Result<OpenConnection, Failure> {
        let settings = AsyncConnectionConfig::new().set_response_timeout(Some(response_timeout));
        // Time must be left to find out why there was no answer.
        let patience = self.response_timeout / 2;
        transport::open(&self.config, at, &at.to_string(), settings, patience).await
    }

    /// Takes note of how a request on that connection ended, and drops the connection if it must not be used again.
    fn note(&self, generation: u64, failure: Option<&Failure>) {
        let mut slot = self.slot();
        let Some(live) = slot
            .live
            .as_mut()
            .filter(|live| live.generation == generation)
        else {
            return;
        };
        let broken = match failure.map(|failure| failure.kind) {
            Some(FailureKind::Timeout) => {
                live.timeouts += 1;
                live.timeouts >= TIMEOUTS_BEFORE_REBUILD
            }
            // A refusal by credentials is asked again with the credentials of then.
            Some(FailureKind::Unreachable | FailureKind::Protocol | FailureKind::Auth) => true,
            _ => {
                live.timeouts = 0;
                live.is_proven = true;
                false
            }
        };
        if broken {
            slot.live = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, ConnectionSlot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
