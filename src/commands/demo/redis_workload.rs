//! Real producers and real group readers on a real Redis: for `demo --redis` and the closed-loop test.

mod acknowledged;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use redis::Value;
use redis::streams::StreamReadReply;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use acknowledged::Acknowledged;

use crate::sources::redis_streams::{OpenConnection, RedisStreams};

/// How often producers write what is due.
const TICK: Duration = Duration::from_millis(50);
/// How long a reader waits for messages at a time.
const BLOCK: Duration = Duration::from_millis(500);
/// In a cluster, where one read cannot wait for several keys, how long it pauses when there is nothing.
const PAUSE: Duration = Duration::from_millis(50);
/// Messages kept per key, about: far more than ever wait, so that a long run takes little of the server's memory.
const MOST_KEPT: u64 = 20_000;
/// Messages a reader takes at a time: small, so that many readers share a short backlog.
const BATCH: usize = 10;

/// Makes the consumer group on every key, and the key with it.
///
/// # Errors
/// Redis refuses, or cannot be reached.
pub async fn create_groups(redis: &RedisStreams, keys: &[String], group: &str) -> Result<()> {
    for (mut connection, keys) in redis.apart(keys, BLOCK).await? {
        // One by one: a server that refuses them, as a replica does, says so once.
        for key in &keys {
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATE").arg(key).arg(group);
            create.arg("$").arg("MKSTREAM");
            let created = create.query_async::<()>(&mut *connection).await;
            // The library names the refusal as the cause of itself.
            created.map_err(|refusal| anyhow!("{refusal}"))?;
        }
    }
    Ok(())
}

/// Deletes the keys, and nothing else.
///
/// # Errors
/// Redis refuses, or cannot be reached.
pub async fn delete_keys(redis: &RedisStreams, keys: &[String]) -> Result<()> {
    for (mut connection, keys) in redis.apart(keys, BLOCK).await? {
        let mut commands = redis::pipe();
        for key in &keys {
            commands.cmd("DEL").arg(key).ignore();
        }
        commands.query_async::<()>(&mut *connection).await?;
    }
    Ok(())
}

/// Writes messages at a rate per key that can be changed.
#[derive(Debug)]
pub struct RedisProducers {
    rates: watch::Sender<Vec<f64>>,
    produced: Arc<AtomicU64>,
    task: JoinSet<Result<()>>,
}

impl RedisProducers {
    /// Starts with rates of 0.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn start(redis: &RedisStreams, keys: Vec<String>) -> Result<Self> {
        let servers = redis.apart(&keys, BLOCK).await?;
        let (rates, read_rates) = watch::channel(vec![0.0; keys.len()]);
        let produced = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        task.spawn(produce(servers, keys, read_rates, Arc::clone(&produced)));
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
    pub fn failure(&mut self) -> Option<Error> {
        self.task
            .try_join_next()
            .and_then(|ended| ended.ok()?.err())
    }
}

async fn produce(
    mut servers: Vec<(OpenConnection, Vec<String>)>,
    keys: Vec<String>,
    rates: watch::Receiver<Vec<f64>>,
    produced: Arc<AtomicU64>,
) -> Result<()> {
    let mut due = vec![0.0_f64; keys.len()];
    let mut tick = tokio::time::interval(TICK);
    let mut last = tick.tick().await;
    loop {
        let now = tick.tick().await;
        let passed = now.duration_since(last).as_secs_f64();
        last = now;
        for (due, rate) in due.iter_mut().zip(rates.borrow().iter()) {
            *due += rate * passed;
        }
        for (connection, theirs) in &mut servers {
            let mut commands = redis::pipe();
            let mut count = 0;
            let its_own = keys.iter().zip(&mut due);
            for (key, due) in its_own.filter(|(key, _)| theirs.contains(key)) {
                while *due >= 1.0 {
                    *due -= 1.0;
                    count += 1;
                    let add = commands.cmd("XADD").arg(key);
                    add.arg("MAXLEN").arg("~").arg(MOST_KEPT);
                    add.arg("*").arg("n").arg(count).ignore();
                }
            }
            if count > 0 {
                commands.query_async::<()>(&mut **connection).await?;
                produced.fetch_add(count, Ordering::SeqCst);
            }
        }
    }
}

/// Group readers that start and stop on request. Each works at a limited rate, one message after the other.
pub struct RedisReaders {
    shared: Arc<SharedReaders>,
    /// One switch per wanted reader; dropping it lets the reader finish what it holds and leave.
    wanted: Vec<watch::Sender<()>>,
    tasks: JoinSet<Result<()>>,
    started: u64,
}

struct SharedReaders {
    redis: Arc<RedisStreams>,
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
        redis: Arc<RedisStreams>,
        keys: Vec<String>,
        group: &str,
        start_up: Duration,
        per_second: f64,
    ) -> Self {
        let shared = SharedReaders {
            redis,
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
    pub fn failure(&mut self) -> Option<Error> {
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
    pub async fn stop(&mut self) -> Result<()> {
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
) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(shared.start_up) => {}
        // Not wanted any more before it was up.
        _ = kept.changed() => return Ok(()),
    }
    let mut servers = shared.redis.apart(&shared.keys, BLOCK).await?;
    shared.ready.fetch_add(1, Ordering::SeqCst);
    let worked = work(&shared, &name, &mut servers, &kept).await;
    shared.ready.fetch_sub(1, Ordering::SeqCst);
    worked?;
    // It holds nothing: every message it took was acknowledged.
    for (connection, keys) in &mut servers {
        let mut commands = redis::pipe();
        for key in keys {
            let leave = commands.cmd("XGROUP").arg("DELCONSUMER").arg(key);
            leave.arg(&shared.group).arg(&name).ignore();
        }
        commands.query_async::<()>(&mut **connection).await?;
    }
    Ok(())
}

async fn work(
    shared: &SharedReaders,
    name: &str,
    servers: &mut [(OpenConnection, Vec<String>)],
    kept: &watch::Receiver<()>,
) -> Result<()> {
    let mut free_at = Instant::now();
    while kept.has_changed().is_ok() {
        let mut is_idle = true;
        for (connection, keys) in &mut *servers {
            let batch = if shared.redis.is_cluster() {
                take_what_is_there(shared, name, connection, keys).await?
            } else {
                take(shared, name, connection, keys).await?
            };
            // Time in which nothing was there to do is not made up for.
            free_at = free_at.max(Instant::now());
            for (key, id) in batch {
                is_idle = false;
                free_at += shared.per_message;
                tokio::time::sleep_until(free_at).await;
                let mut acknowledge = redis::cmd("XACK");
                acknowledge.arg(&key).arg(&shared.group).arg(&id);
                let acknowledged: u64 = acknowledge.query_async(&mut **connection).await?;
                shared.done().add(key, id, acknowledged > 0);
            }
        }
        if is_idle && shared.redis.is_cluster() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Up to [`BATCH`] new messages of all keys together, in (key, id) pairs, as soon as there are any.
async fn take(
    shared: &SharedReaders,
    name: &str,
    connection: &mut OpenConnection,
    keys: &[String],
) -> Result<Vec<(String, String)>> {
    let mut command = read_command(shared, name, BATCH.div_ceil(keys.len()));
    command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
    command.arg("STREAMS").arg(keys);
    for _ in keys {
        command.arg(">");
    }
    ids(command.query_async(&mut **connection).await?)
}

/// The same without waiting, key by key: those of a cluster may be in different slots, which one command cannot name.
async fn take_what_is_there(
    shared: &SharedReaders,
    name: &str,
    connection: &mut OpenConnection,
    keys: &[String],
) -> Result<Vec<(String, String)>> {
    let mut commands = redis::pipe();
    for key in keys {
        let mut command = read_command(shared, name, BATCH.div_ceil(shared.keys.len()));
        command.arg("STREAMS").arg(key).arg(">");
        commands.add_command(command);
    }
    let replies: Vec<Value> = commands.query_async(&mut **connection).await?;
    let batches = replies.into_iter().map(ids);
    let batches: Vec<_> = batches.collect::<Result<_>>()?;
    Ok(batches.concat())
}

fn read_command(shared: &SharedReaders, name: &str, count: usize) -> redis::Cmd {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(&shared.group).arg(name);
    command.arg("COUNT").arg(count);
    command
}

fn ids(reply: Value) -> Result<Vec<(String, String)>> {
    if reply == Value::Nil {
        return Ok(Vec::new());
    }
    let reply: StreamReadReply = redis::from_redis_value(reply)?;
    let ids = reply.keys.into_iter().flat_map(|stream| {
        let key = stream.key;
        let of_key = stream.ids.into_iter();
        of_key.map(move |entry| (key.clone(), entry.id))
    });
    Ok(ids.collect())
}
