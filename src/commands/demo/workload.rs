//! What the demo scales: simulated consumers, or real ones on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::config::types::{RedisAddress, RedisConfig, RedisServers, SourceConfig, SourceKind};
use crate::model::sample::Failure;
use crate::model::time::Timestamp;
use crate::resilience::breaker::BreakerSettings;
use crate::sources::guarded::GuardedSource;
use crate::sources::open;
use crate::sources::redis_streams::RedisStreams;
use crate::sources::redis_streams::failure::is_sentinel;
use crate::sources::simulated::{SimulatedSource, SimulatedStream};

use super::redis_workload::{RedisProducers, RedisReaders, create_groups, delete_keys};
use super::story::{self, CAPACITY_PER_SECOND, CONSUMER_GROUP, GROUP, START_UP};

/// Only a dead server takes longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A stream, its producers and its consumers.
pub enum DemoWorkload {
    /// In memory.
    Simulated(Arc<SimulatedStream>),
    /// On a Redis of the user's, under keys of our own.
    Redis(Box<OnRedis>),
}

/// The parts on Redis.
pub struct OnRedis {
    config: RedisConfig,
    redis: Arc<RedisStreams>,
    keys: Vec<String>,
    stream: String,
    producers: RedisProducers,
    readers: RedisReaders,
}

/// The demo has no config file to set `mode: sentinel` in.
fn of_demo(failure: Failure, config: &RedisConfig) -> Error {
    let address = &config.servers.addresses()[0];
    if failure != is_sentinel(&address.to_string()) {
        return failure.into();
    }
    let RedisAddress { host, port } = address;
    anyhow!(
        "redis at {address} is a sentinel, and the demo does not ask sentinels: use the address of the primary, which \
         `redis-cli -h {host} -p {port} sentinel masters` shows"
    )
}

impl DemoWorkload {
    /// A stream in memory that starts empty at `now`.
    pub fn simulated(now: Timestamp) -> Self {
        let stream = SimulatedStream::new(story::PARTITIONS, CAPACITY_PER_SECOND, START_UP, now);
        Self::Simulated(Arc::new(stream))
    }

    /// Streams under a prefix that no other run uses: process ids alone repeat, in containers always.
    ///
    /// # Errors
    /// The URL is wrong, or Redis cannot be reached.
    pub async fn on_redis(url: &str, now: Timestamp) -> Result<Self> {
        let config =
            RedisConfig::from_url(url).map_err(|problem| anyhow::anyhow!("--redis: {problem}"))?;
        let prefix = format!(
            "streamgauge-demo-{}-{}",
            now.as_millis(),
            std::process::id()
        );
        let keys: Vec<String> = (0..story::PARTITIONS)
            .map(|n| format!("{prefix}:{n}"))
            .collect();
        let (config, redis) = Self::connect(config, &keys).await.context("--redis")?;
        let producers = match Self::produce(&redis, &keys).await {
            Ok(producers) => producers,
            Err(error) => {
                // Some keys may have been made before it failed. What keeps it from deleting them failed it in the first place.
                let _ = delete_keys(&redis, &keys).await;
                return Err(error).context("--redis");
            }
        };
        let readers = RedisReaders::new(
            Arc::clone(&redis),
            keys.clone(),
            CONSUMER_GROUP,
            START_UP,
            CAPACITY_PER_SECOND,
        );
        let stream = format!("{prefix}:{{0..{}}}", story::PARTITIONS - 1);
        Ok(Self::Redis(Box::new(OnRedis {
            config,
            redis,
            keys,
            stream,
            producers,
            readers,
        })))
    }

    /// With the config by which the servers are to be read: one that says that it is of a cluster stands for all of them.
    async fn connect(
        mut config: RedisConfig,
        keys: &[String],
    ) -> Result<(RedisConfig, Arc<RedisStreams>)> {
        let redis = RedisStreams::new(config.clone(), RESPONSE_TIMEOUT);
        redis
            .apart(keys, Duration::ZERO)
            .await
            .map_err(|failure| of_demo(failure, &config))?;
        if !redis.is_part_of_cluster() {
            return Ok((config, Arc::new(redis)));
        }
        let nodes = config.servers.addresses().to_vec();
        config.servers = RedisServers::Cluster(nodes);
        let redis = RedisStreams::new(config.clone(), RESPONSE_TIMEOUT);
        Ok((config, Arc::new(redis)))
    }

    async fn produce(redis: &RedisStreams, keys: &[String]) -> Result<RedisProducers> {
        create_groups(redis, keys, CONSUMER_GROUP).await?;
        RedisProducers::start(redis, keys.to_vec()).await
    }

    /// The stream as a config would name it.
    pub fn stream(&self) -> String {
        match self {
            Self::Simulated(_) => format!("demo:{{0..{}}}", story::PARTITIONS - 1),
            Self::Redis(redis) => redis.stream.clone(),
        }
    }

    /// What the service reads it through.
    pub fn source(&self, poll_interval: Duration) -> GuardedSource {
        match self {
            Self::Simulated(stream) => GuardedSource::new(
                GROUP,
                Box::new(SimulatedSource(Arc::clone(stream))),
                BreakerSettings::for_poll_interval(poll_interval),
            ),
            Self::Redis(redis) => open(&SourceConfig {
                name: GROUP.to_owned(),
                poll_interval,
                kind: SourceKind::Redis(Box::new(redis.config.clone())),
                allow: Vec::new(),
            }),
        }
    }

    /// Moves on to `now` with these arrivals per second and partition.
    pub fn advance(&self, now: Timestamp, arrivals_per_second: &[f64]) {
        match self {
            Self::Simulated(stream) => stream.advance(now, arrivals_per_second),
            Self::Redis(redis) => redis.producers.set_rates(arrivals_per_second),
        }
    }

    /// Asks for so many consumers.
    pub fn set_replicas(&mut self, count: u32) {
        match self {
            Self::Simulated(stream) => stream.set_consumers(count as usize),
            Self::Redis(redis) => redis.readers.set_replicas(count as usize),
        }
    }

    /// Consumers that are past their start-up.
    pub fn ready_replicas(&self) -> u32 {
        match self {
            Self::Simulated(stream) => stream.ready_consumers(),
            Self::Redis(redis) => redis.readers.ready(),
        }
    }

    /// Whether producers and consumers still work.
    ///
    /// # Errors
    /// What one of them failed with.
    pub fn check(&mut self) -> Result<()> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Redis(redis) => match redis
                .producers
                .failure()
                .or_else(|| redis.readers.failure())
            {
                None => Ok(()),
                Some(error) => bail!(
                    "the demo's producers and consumers lost the connection to Redis: {error}"
                ),
            },
        }
    }

    /// Lets consumers finish and deletes what the demo made.
    ///
    /// # Errors
    /// Redis cannot be reached; the text names the keys that are left.
    pub async fn clean_up(self) -> Result<()> {
        let Self::Redis(mut redis) = self else {
            return Ok(());
        };
        drop(redis.producers);
        // A reader that fails now holds nothing that matters: its keys go.
        let _ = redis.readers.stop().await;
        delete_keys(&redis.redis, &redis.keys)
            .await
            .with_context(|| {
                format!(
                    "could not delete the keys {} from Redis: delete them yourself",
                    redis.stream
                )
            })
    }
}
