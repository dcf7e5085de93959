//! The Azure SDK's client behind the same seam: several of them, each asked one thing at a time and trusted with nothing.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use azure_messaging_eventhubs::{ConsumerClient, EventHubsError, RetryOptions};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::access::{Access, Target, Token};
use super::{HubProperties, Management, PartitionProperties, failure, sdk_error};
use crate::config::types::HubAuth;
use crate::model::sample::{Failure, FailureKind};
use crate::model::time::Timestamp;
use crate::sources::BoxFuture as Boxed;

/// Several clients of the SDK. A call takes one out of the pool and puts it back only after an answer that was in step: one that
/// timed out, or whose call was dropped, holds an answer that a later call would take for its own.
pub struct SdkPool {
    access: Access,
    deadline: Duration,
    calls: AtomicU64,
    permits: Semaphore,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Raised when everything built so far is to be dropped.
    generation: u64,
    clients: Vec<Client>,
}

struct Client {
    consumer: ConsumerClient,
    target: Target,
    generation: u64,
    /// The SDK goes on sending its first token, so it is replaced in time.
    good_until: Instant,
}

type Asking<'a, T> = BoxFuture<'a, Result<T, EventHubsError>>;

impl SdkPool {
    /// At most `clients` of the SDK's, each connected when it is first needed. `deadline` bounds each call, waiting for a
    /// client and connecting included.
    pub fn new(access: Access, deadline: Duration, clients: usize) -> Self {
        Self {
            access,
            deadline,
            calls: AtomicU64::new(0),
            permits: Semaphore::new(clients.max(1)),
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<S, T>(
        &self,
        ask: impl for<'c> Fn(&'c ConsumerClient) -> Asking<'c, S>,
        value: impl Fn(S, &Target) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let within = async {
            let closed = |_| failure::unreachable(&self.access.subject(), "the pool is closed");
            let _permit = self.permits.acquire().await.map_err(closed)?;
            let (client, reused) = self.take().await?;
            match self.read_with(client, &ask, &value).await {
                Err(failure) if reused && is_stale(failure.kind) => {
                    self.reconnect();
                    let (client, _) = self.take().await?;
                    self.read_with(client, &ask, &value).await
                }
                outcome => outcome,
            }
        };
        let late = |_| Err(failure::timed_out(&self.access.subject(), "a request"));
        timeout(self.deadline, within).await.unwrap_or_else(late)
    }

    async fn read_with<S, T>(
        &self,
        client: Client,
        ask: &impl for<'c> Fn(&'c ConsumerClient) -> Asking<'c, S>,
        value: &impl Fn(S, &Target) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let subject = client.target.subject();
        // The SDK panics on values of another type than it expects.
        let asked = AssertUnwindSafe(ask(&client.consumer)).catch_unwind().await;
        let outcome = match asked {
            Ok(Ok(properties)) => value(properties, &client.target),
            Ok(Err(error)) => Err(sdk_error::of_error(&subject, &error)),
            Err(_) => Err(failure::garbled(&subject, "a value is of the wrong type")),
        };
        if outcome
            .as_ref()
            .map_or_else(|failure| is_in_step(failure.kind), |_| true)
        {
            self.put_back(client);
        }
        outcome
    }

    /// A client that may be used, out of the pool or new; whether it was used before.
    async fn take(&self) -> Result<(Client, bool), Failure> {
        let generation = {
            let mut idle = self.idle();
            let now = Instant::now();
            idle.clients.retain(|client| client.good_until > now);
            if let Some(client) = idle.clients.pop() {
                return Ok((client, true));
            }
            idle.generation
        };
        Ok((self.open(generation).await?, false))
    }

    fn put_back(&self, client: Client) {
        let mut idle = self.idle();
        if client.generation == idle.generation {
            idle.clients.push(client);
        }
    }

    async fn open(&self, generation: u64) -> Result<Client, Failure> {
        if self.access.config().ca_file.is_some() {
            return Err(failure::misconfigured(format!(
                "{}: ca_file cannot be given to the SDK's client: use client: pipelined, or set SSL_CERT_FILE",
                self.access.subject()
            )));
        }
        let (target, token) = self.access.grant().await?;
        // Handing in the token is the put-token; the SDK does it within its first request at the latest.
        self.calls.fetch_add(1, Ordering::Relaxed);
        let good_until = token.refresh;
        let consumer = self
            .connect(&target, token)
            .await
            .map_err(|error| sdk_error::of_error(&target.subject(), &error))?;
        Ok(Client {
            consumer,
            target,
            generation,
            good_until,
        })
    }

    async fn connect(
        &self,
        target: &Target,
        token: Token,
    ) -> Result<ConsumerClient, EventHubsError> {
        choose_provider();
        let once = RetryOptions {
            max_retries: 0,
            ..RetryOptions::default()
        };
        let mut builder = ConsumerClient::builder().with_retry_options(once);
        if let Some(endpoint) = unusual_endpoint(target) {
            builder = builder.with_custom_endpoint(endpoint);
        }
        let Target {
            namespace,
            event_hub,
            ..
        } = target;
        match self.access.config().auth {
            // Always as a ready signature: the token's type is right only this way, and its lifetime stays ours to choose.
            HubAuth::ConnectionString(_) => {
                let text = format!(
                    "Endpoint=sb://{namespace}/;SharedAccessSignature={}",
                    token.value
                );
                builder
                    .open_with_connection_string(&text, Some(event_hub))
                    .await
            }
            HubAuth::Identity(_) => {
                builder
                    .open(namespace, event_hub.clone(), Arc::new(Given(token)))
                    .await
            }
        }
    }
}

/// The SDK takes whatever provider the process has, and panics where it cannot choose; `main` installs one, tests may not.
fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// The address, where it is not the one that the SDK makes of the namespace: it knows neither ports nor the emulator.
fn unusual_endpoint(target: &Target) -> Option<String> {
    let endpoint = &target.endpoint;
    let usual = endpoint.tls && endpoint.port == 5671 && endpoint.host == target.namespace;
    let scheme = if endpoint.tls { "amqps" } else { "amqp" };
    (!usual).then(|| format!("{scheme}://{}:{}", endpoint.host, endpoint.port))
}

/// A token that was fetched already; the client is replaced before it expires.
#[derive(Debug)]
struct Given(Token);

#[async_trait::async_trait]
impl TokenCredential for Given {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = i64::try_from(self.0.expires_at).ok();
        let expires_on = expires_on.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let expires_on = expires_on.unwrap_or_else(OffsetDateTime::now_utc);
        Ok(AccessToken::new(self.0.value.clone(), expires_on))
    }
}

/// Whether a new client may do better right now.
const fn is_stale(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Unreachable | FailureKind::Auth)
}

/// Whether the broker answered the question that was asked, if not with a value: the client is as good as before.
const fn is_in_step(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Throttled | FailureKind::Misconfigured)
}

fn must_be(subject: &str, what: &str, found: &str, asked: &str) -> Result<(), Failure> {
    if found.eq_ignore_ascii_case(asked) {
        return Ok(());
    }
    let text = format!("{what} is {found}, asked for was {asked}");
    Err(failure::garbled(subject, &text))
}

/// A time; `None` for those before 1970, which stand for "never".
fn timestamp(time: Option<SystemTime>) -> Option<Timestamp> {
    let since = time?.duration_since(UNIX_EPOCH).ok()?;
    let millis = u64::try_from(since.as_millis()).ok()?;
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

impl Management for SdkPool {
    fn hub(&self) -> Boxed<'_, Result<HubProperties, Failure>> {
        Box::pin(self.read(
            |consumer| consumer.get_eventhub_properties().boxed(),
            |properties, target| {
                must_be(
                    &target.subject(),
                    "name",
                    &properties.name,
                    &target.event_hub,
                )?;
                Ok(HubProperties {
                    created_at: timestamp(properties.created_on),
                    partition_ids: properties.partition_ids,
                })
            },
        ))
    }

    fn partition<'a>(&'a self, id: &'a str) -> Boxed<'a, Result<PartitionProperties, Failure>> {
        Box::pin(async move {
            let asked = id.to_owned();
            self.read(
                move |consumer| {
                    let asked = asked.clone();
                    async move { consumer.get_partition_properties(&asked).await }.boxed()
                },
                |found, target| {
                    let subject = target.subject();
                    must_be(&subject, "name", &found.eventhub, &target.event_hub)?;
                    must_be(&subject, "partition", &found.id, id)?;
                    Ok(PartitionProperties {
                        partition_id: found.id,
                        beginning_sequence_number: found.beginning_sequence_number,
                        last_enqueued_sequence_number: found.last_enqueued_sequence_number,
                        last_enqueued_offset: found.last_enqueued_offset,
                        last_enqueued_at: timestamp(found.last_enqueued_time_utc),
                        is_empty: found.is_empty,
                    })
                },
            )
            .await
        })
    }

    fn reconnect(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.clients.clear();
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
