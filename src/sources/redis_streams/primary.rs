//! Which server is the primary, as sentinels tell it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::ConnectionLike;
use redis::{AsyncConnectionConfig, Value};
use tokio::time::timeout;

use super::{failure, login, reply, transport};
use crate::config::types::{RedisAddress, RedisConfig, RedisSentinels};
use crate::model::sample::Failure;

/// A primary that sentinels watch over.
pub struct Primary {
    config: Arc<RedisConfig>,
    sentinels: RedisSentinels,
    /// The time that a sentinel has to answer.
    patience: Duration,
}

impl Primary {
    /// Asks nobody yet.
    pub const fn new(
        config: Arc<RedisConfig>,
        sentinels: RedisSentinels,
        patience: Duration,
    ) -> Self {
        Self {
            config,
            sentinels,
            patience,
        }
    }

    /// The name under which the sentinels know it.
    pub fn name(&self) -> &str {
        &self.sentinels.master
    }

    /// Where it is, as most sentinels say: one that was cut off from the others may name one of yesterday.
    ///
    /// # Errors
    /// No sentinel can be asked, or none knows it.
    pub async fn find(&self) -> Result<RedisAddress, Failure> {
        let sentinels = &self.sentinels.addresses;
        let mut asking: FuturesUnordered<_> = sentinels.iter().map(|at| self.ask(at)).collect();
        let mut named = BTreeMap::<RedisAddress, usize>::new();
        let (mut is_unknown, mut failed) = (false, None);
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(Some(address)) => {
                    let votes = named.entry(address.clone()).or_default();
                    *votes += 1;
                    if *votes > sentinels.len() / 2 {
                        return Ok(address);
                    }
                }
                Ok(None) => is_unknown = true,
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        let most = named.into_iter().max_by_key(|(_, votes)| *votes);
        match (most, failed) {
            (Some((address, _)), _) => Ok(address),
            (None, Some(failure)) if !is_unknown => Err(failure),
            (None, _) => {
                let all: Vec<_> = sentinels.iter().map(ToString::to_string).collect();
                Err(failure::unknown_primary(&all.join(", "), self.name()))
            }
        }
    }

    /// What one of them says; `None` if it does not know the name.
    async fn ask(&self, at: &RedisAddress) -> Result<Option<RedisAddress>, Failure> {
        let address = format!("{at} (sentinel)");
        let answer = timeout(self.patience, self.talk(at, &address)).await;
        answer.unwrap_or_else(|_| Err(failure::late(&address)))
    }

    async fn talk(
        &self,
        at: &RedisAddress,
        address: &str,
    ) -> Result<Option<RedisAddress>, Failure> {
        let settings = AsyncConnectionConfig::new().set_response_timeout(Some(self.patience));
        let opening = transport::open(&self.config, at, address, settings, self.patience);
        let mut connection = opening.await?;
        let mut commands = redis::pipe();
        if let Some(password) = &self.sentinels.password {
            let username = self.sentinels.username.as_deref();
            login::with_password(&mut commands, username, password)?;
        }
        commands
            .cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(self.name());
        let replies = connection
            .req_packed_commands(&commands, 0, commands.len())
            .await
            .map_err(|error| failure::of_error(address, &error))?;
        for reply in &replies {
            if let Value::ServerError(error) = reply {
                return Err(failure::of_sentinel(address, error));
            }
        }
        match replies.last() {
            Some(Value::Nil) => Ok(None),
            Some(reply) => {
                let named = reply::address(reply).map(|(host, port)| RedisAddress { host, port });
                let garbled = || failure::garbled(address, "SENTINEL GET-MASTER-ADDR-BY-NAME");
                named.map(Some).ok_or_else(garbled)
            }
            None => Err(failure::garbled(address, "no reply")),
        }
    }
}
