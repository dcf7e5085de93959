//! One client of the Azure SDK: how it is connected and authorized, around what it would get wrong by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use azure_messaging_eventhubs::{ConsumerClient, EventHubsError, RetryOptions};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::time::Instant;

use super::access::{Access, ConnectTarget, Token};
use super::{failure, sdk_error};
use crate::config::types::HubAuth;
use crate::model::sample::Failure;

/// A connected client.
pub struct Client {
    /// The SDK's.
    pub consumer: ConsumerClient,
    /// Where it leads.
    pub target: ConnectTarget,
    /// The SDK goes on sending its first token, so the client is replaced in time.
    pub good_until: Instant,
}

impl Client {
    /// Connects a client with a token of now.
    pub async fn open(access: &Access, calls: &AtomicU64) -> Result<Self, Failure> {
        if access.config().ca_file.is_some() {
            return Err(failure::misconfigured(format!(
                "{}: the SDK's client does not accept ca_file: set client: pipelined, or set SSL_CERT_FILE",
                access.subject()
            )));
        }
        let (target, token) = access.grant().await?;
        // The put-token, which the SDK sends within its first request.
        calls.fetch_add(1, Ordering::Relaxed);
        let good_until = token.refresh;
        let consumer = connect(&access.config().auth, &target, token)
            .await
            .map_err(|error| sdk_error::of_error(&target.subject(), &error))?;
        Ok(Self {
            consumer,
            target,
            good_until,
        })
    }
}

async fn connect(
    auth: &HubAuth,
    target: &ConnectTarget,
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
    let ConnectTarget {
        namespace,
        event_hub,
        ..
    } = target;
    match auth {
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
                .open(namespace, event_hub.clone(), Arc::new(FetchedToken(token)))
                .await
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
fn unusual_endpoint(target: &ConnectTarget) -> Option<String> {
    let endpoint = &target.endpoint;
    let usual = endpoint.tls && endpoint.port == 5671 && endpoint.host == target.namespace;
    let scheme = if endpoint.tls { "amqps" } else { "amqp" };
    (!usual).then(|| format!("{scheme}://{}:{}", endpoint.host, endpoint.port))
}

/// A token that was fetched already; the client is replaced before it expires.
#[derive(Debug)]
struct FetchedToken(Token);

#[async_trait::async_trait]
impl TokenCredential for FetchedToken {
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
