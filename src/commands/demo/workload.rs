//! What the demo scales: simulated consumers, or real ones on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::config::types::{RedisConfig, SourceConfig, SourceKind};
use crate::model::time::Timestamp;
use crate::resilience::breaker::BreakerSettings;
use crate::sources::guarded::GuardedSource;
use crate::sources::open;
use crate::sources::simulated::{SimulatedSource, SimulatedStream};

use super::redis_workload::{RedisProducers, RedisReaders, create_groups, delete_keys};
use super::story::{self, CAPACITY_PER_SECOND, CONSUMER_GROUP, GROUP, START_UP};

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
    client: redis::Client,
    keys: Vec<String>,
    stream: String,
    producers: RedisProducers,
    readers: RedisReaders,
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
        anyhow::ensure!(
            config.tls.is_none(),
            "--redis: the demo's own producers and consumers have no TLS: use redis://, within a trusted network"
        );
        let client = redis::Client::open(url).context("--redis")?;
        let prefix = format!(
            "streamgauge-demo-{}-{}",
            now.as_millis(),
            std::process::id()
        );
        let keys: Vec<String> = (0..story::PARTITIONS)
            .map(|n| format!("{prefix}:{n}"))
            .collect();
        let producers = match Self::produce(&client, &keys).await {
            Ok(producers) => producers,
            Err(error) => {
                // Some keys may have been made before it failed. What keeps it from deleting them failed it in the first place.
                let _ = delete_keys(&client, &keys).await;
                let at = config.servers.addresses().iter().map(ToString::to_string);
                let at: String = at.collect();
                return Err(error).context(format!("--redis: {at} cannot be used"));
            }
        };
        let readers = RedisReaders::new(
            client.clone(),
            keys.clone(),
            CONSUMER_GROUP,
            START_UP,
            CAPACITY_PER_SECOND,
        );
        let stream = format!("{prefix}:{{0..{}}}", story::PARTITIONS - 1);
        Ok(Self::Redis(Box::new(OnRedis {
            config,
            client,
            keys,
            stream,
            producers,
            readers,
        })))
    }

    async fn produce(
        client: &redis::Client,
        keys: &[String],
    ) -> redis::RedisResult<RedisProducers> {
        create_groups(client, keys, CONSUMER_GROUP).await?;
        RedisProducers::start(client, keys.to_vec()).await
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
        delete_keys(&redis.client, &redis.keys)
            .await
            .with_context(|| {
                format!(
                    "could not delete the keys {} from Redis: delete them yourself",
                    redis.stream
                )
            })
    }
}
