//! Real producers and real group readers on a real Redis: for `demo --redis` and the closed-loop test.

mod acknowledged;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use acknowledged::Acknowledged;

/// How often producers write what is due.
const TICK: Duration = Duration::from_millis(50);
/// How long a reader waits for messages at a time.
const BLOCK: Duration = Duration::from_millis(500);
/// Longer than a reader blocks, so that only a dead server times out.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Messages kept per key, about: far more than ever wait, so that a long run takes little of the server's memory.
const MOST_KEPT: u64 = 20_000;
/// Messages a reader takes at a time: small, so that many readers share a short backlog.
const BATCH: usize = 10;

/// Makes the consumer group on every key, and the key with it.
///
/// # Errors
/// Redis refuses, or cannot be reached.
pub async fn create_groups(client: &Client, keys: &[String], group: &str) -> RedisResult<()> {
    let mut connection = connect(client).await?;
    let mut commands = redis::pipe();
    for key in keys {
        commands
            .cmd("XGROUP")
            .arg("CREATE")
            .arg(key)
            .arg(group)
            .arg("$")
            .arg("MKSTREAM")
            .ignore();
    }
    commands.query_async(&mut connection).await
}

/// Deletes the keys, and nothing else.
///
/// # Errors
/// Redis refuses, or cannot be reached.
pub async fn delete_keys(client: &Client, keys: &[String]) -> RedisResult<()> {
    let mut connection = connect(client).await?;
    redis::cmd("DEL")
        .arg(keys)
        .query_async(&mut connection)
        .await
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(RESPONSE_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Writes messages at a rate per key that can be changed.
#[derive(Debug)]
pub struct RedisProducers {
    rates: watch::Sender<Vec<f64>>,
    produced: Arc<AtomicU64>,
    task: JoinSet<RedisResult<()>>,
}

impl RedisProducers {
    /// Starts with rates of 0.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn start(client: &Client, keys: Vec<String>) -> RedisResult<Self> {
        let connection = connect(client).await?;
        let (rates, read_rates) = watch::channel(vec![0.0; keys.len()]);
        let produced = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        task.spawn(produce(connection, keys, read_rates, Arc::clone(&produced)));
        Ok(Self {
            rates,
            produced,
            task,
        })
    }

    /// Messages per second of each key from now on.
    pub fn set_rates(&self, per_second: &[f64]) {
        self.rates.send_replace(per_second.to_vec());
    }

    /// Messages that Redis took.
    pub fn produced(&self) -> u64 {
        self.produced.load(Ordering::SeqCst)
    }

    /// Why writing ended, if it did.
    pub fn failure(&mut self) -> Option<RedisError> {
        self.task
            .try_join_next()
            .and_then(|ended| ended.ok()?.err())
    }
}

async fn produce(
    mut connection: MultiplexedConnection,
    keys: Vec<String>,
    rates: watch::Receiver<Vec<f64>>,
    produced: Arc<AtomicU64>,
) -> RedisResult<()> {
    let mut due = vec![0.0_f64; keys.len()];
    let mut tick = tokio::time::interval(TICK);
    let mut last = tick.tick().await;
    loop {
        let now = tick.tick().await;
        let passed = now.duration_since(last).as_secs_f64();
        last = now;
        let mut commands = redis::pipe();
        let mut count = 0;
        for ((key, due), rate) in keys.iter().zip(&mut due).zip(rates.borrow().iter()) {
            *due += rate * passed;
            while *due >= 1.0 {
                *due -= 1.0;
                count += 1;
                commands
                    .cmd("XADD")
                    .arg(key)
                    .arg("MAXLEN")
                    .arg("~")
                    .arg(MOST_KEPT)
                    .arg("*")
                    .arg("n")
                    .arg(count)
                    .ignore();
            }
        }
        if count > 0 {
            commands.query_async::<()>(&mut connection).await?;
            produced.fetch_add(count, Ordering::SeqCst);
        }
    }
}

/// Group readers that start and stop on request. Each works at a limited rate, one message after the other.
#[derive(Debug)]
pub struct RedisReaders {
    shared: Arc<SharedReaders>,
    /// One switch per wanted reader; dropping it lets the reader finish what it holds and leave.
    wanted: Vec<watch::Sender<()>>,
    tasks: JoinSet<RedisResult<()>>,
    started: u64,
}

#[derive(Debug)]
struct SharedReaders {
    client: Client,
    keys: Vec<String>,
    group: String,
    start_up: Duration,
    per_message: Duration,
    ready: AtomicU64,
    done: Mutex<Acknowledged>,
}

impl SharedReaders {
    fn done(&self) -> MutexGuard<'_, Acknowledged> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RedisReaders {
    /// No readers yet. Each will need `start_up` before it reads and do `per_second` messages.
    pub fn new(
        client: Client,
        keys: Vec<String>,
        group: &str,
        start_up: Duration,
        per_second: f64,
    ) -> Self {
        let shared = SharedReaders {
            client,
            keys,
            group: group.to_owned(),
            start_up,
            per_message: Duration::from_secs_f64(1.0 / per_second),
            ready: AtomicU64::new(0),
            done: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            wanted: Vec::new(),
            tasks: JoinSet::new(),
            started: 0,
        }
    }

    /// Asks for so many readers; surplus ones finish and acknowledge what they hold first.
    pub fn set_replicas(&mut self, count: usize) {
        self.wanted.truncate(count);
        while self.wanted.len() < count {
            let (keep, kept) = watch::channel(());
            self.wanted.push(keep);
            let name = format!("reader-{}", self.started);
            self.started += 1;
            self.tasks.spawn(read(Arc::clone(&self.shared), name, kept));
        }
    }

    /// Readers that are past their start-up.
    pub fn ready(&self) -> u32 {
        self.shared.ready.load(Ordering::SeqCst) as u32
    }

    /// Different messages that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.shared.done().messages()
    }

    /// Messages that were worked on more than once.
    pub fn duplicates(&self) -> u64 {
        self.shared.done().duplicates()
    }

    /// Why a reader failed, if one did.
    pub fn failure(&mut self) -> Option<RedisError> {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(Err(error)) = ended {
                return Some(error);
            }
        }
        None
    }

    /// Lets all readers finish and waits for them.
    ///
    /// # Errors
    /// What a reader failed with.
    pub async fn stop(&mut self) -> RedisResult<()> {
        self.wanted.clear();
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(result) = ended {
                result?;
            }
        }
        Ok(())
    }
}

async fn read(
    shared: Arc<SharedReaders>,
    name: String,
    mut kept: watch::Receiver<()>,
) -> RedisResult<()> {
    tokio::select! {
        () = tokio::time::sleep(shared.start_up) => {}
        // Not wanted any more before it was up.
        _ = kept.changed() => return Ok(()),
    }
    let mut connection = connect(&shared.client).await?;
    shared.ready.fetch_add(1, Ordering::SeqCst);
    let worked = work(&shared, &name, &mut connection, &kept).await;
    shared.ready.fetch_sub(1, Ordering::SeqCst);
    worked?;
    // It holds nothing: every message it took was acknowledged.
    let mut commands = redis::pipe();
    for key in &shared.keys {
        commands
            .cmd("XGROUP")
            .arg("DELCONSUMER")
            .arg(key)
            .arg(&shared.group)
            .arg(&name)
            .ignore();
    }
    commands.query_async(&mut connection).await
}

async fn work(
    shared: &SharedReaders,
    name: &str,
    connection: &mut MultiplexedConnection,
    kept: &watch::Receiver<()>,
) -> RedisResult<()> {
    let mut free_at = Instant::now();
    while kept.has_changed().is_ok() {
        let batch = take(shared, name, connection).await?;
        // Time in which nothing was there to do is not made up for.
        free_at = free_at.max(Instant::now());
        for (key, id) in batch {
            free_at += shared.per_message;
            tokio::time::sleep_until(free_at).await;
            let acknowledged: u64 = redis::cmd("XACK")
                .arg(&key)
                .arg(&shared.group)
                .arg(&id)
                .query_async(connection)
                .await?;
            shared.done().add(key, id, acknowledged > 0);
        }
    }
    Ok(())
}

/// Up to [`BATCH`] new messages of all keys together, in (key, id) pairs.
async fn take(
    shared: &SharedReaders,
    name: &str,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Vec<(String, String)>> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(&shared.group).arg(name);
    command.arg("COUNT").arg(BATCH.div_ceil(shared.keys.len()));
    command
        .arg("BLOCK")
        .arg(BLOCK.as_millis() as u64)
        .arg("STREAMS")
        .arg(&shared.keys);
    for _ in &shared.keys {
        command.arg(">");
    }
    let reply: Value = command.query_async(connection).await?;
    if reply == Value::Nil {
        return Ok(Vec::new());
    }
    let reply: StreamReadReply = redis::from_redis_value(reply)?;
    let ids = reply.keys.into_iter().flat_map(|stream| {
        let key = stream.key;
        stream
            .ids
            .into_iter()
            .map(move |entry| (key.clone(), entry.id))
    });
    Ok(ids.collect())
}
