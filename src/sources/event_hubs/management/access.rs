//! Where to connect and what to prove oneself with, read again for each connection so that what is rotated is picked up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::credentials::TokenCredential;
use tokio::time::Instant;

use super::failure::misconfigured;
use crate::config::types::{Endpoint, EventHubsConfig, HubAuth, Secret};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::event_hubs::connection_string::{ConnectionString, Grant};
use crate::sources::event_hubs::sas;
use crate::sources::redact::redact_words;

/// What a hub's configuration gives access with.
pub struct Access {
    config: EventHubsConfig,
    credential: Option<Arc<dyn TokenCredential>>,
    scope: String,
    sas_lifetime: Duration,
    /// Where the last grant led.
    seen: Mutex<Option<ConnectTarget>>,
}

/// Where to connect, as the configuration says at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTarget {
    /// The namespace, in lower case: names the audience whatever the address.
    pub namespace: String,
    /// The event hub.
    pub event_hub: String,
    /// The address.
    pub endpoint: Endpoint,
}

/// A security token. `Debug` does not show it.
pub struct Token {
    /// The token.
    pub value: String,
    /// Its type, as put-token names it.
    pub kind: &'static str,
    /// Until when it is good, in seconds since the Unix epoch.
    pub expires_at: u64,
    /// The same by the monotonic clock.
    pub ends: Instant,
    /// When to put a new one: after two thirds of what was left of its life.
    pub refresh: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Token");
        shown.field("kind", &self.kind);
        shown
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl ConnectTarget {
    /// Which event hub, where: for texts.
    pub fn subject(&self) -> String {
        let Endpoint { host, port, .. } = &self.endpoint;
        let Self {
            namespace,
            event_hub,
            ..
        } = self;
        if host == namespace {
            format!("event hub {event_hub} in {namespace}")
        } else {
            format!("event hub {event_hub} in {namespace} at {host}:{port}")
        }
    }

    /// What tokens are asked for, as Microsoft's Python client names it.
    pub fn audience(&self) -> String {
        format!("sb://{}/{}", self.namespace, self.event_hub)
    }
}

impl Access {
    /// Access by that configuration. `scope` is what Entra tokens are asked for, `sas_lifetime` how long signed ones are good.
    pub fn new(
        config: EventHubsConfig,
        credential: Option<Arc<dyn TokenCredential>>,
        scope: &str,
        sas_lifetime: Duration,
    ) -> Self {
        Self {
            config,
            credential,
            scope: scope.to_owned(),
            sas_lifetime,
            seen: Mutex::default(),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &EventHubsConfig {
        &self.config
    }

    /// Which event hub, as far as it is known: for texts.
    pub fn subject(&self) -> String {
        let hub = &self.config.event_hub;
        match &*self.seen() {
            Some(target) => target.subject(),
            None => format!("event hub {hub} in {}", self.config.namespace),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Option<ConnectTarget>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to connect, and a token for it.
    ///
    /// # Errors
    /// If the configuration contradicts itself, the secret cannot be read, or no token is given.
    pub async fn grant(&self) -> Result<(ConnectTarget, Token), Failure> {
        match &self.config.auth {
            HubAuth::ConnectionString(secret) => {
                let text = self.read(secret)?;
                let parsed = ConnectionString::parse(&text).map_err(|error| {
                    misconfigured(format!(
                        "{}: the connection string in {secret}: {error}",
                        self.subject()
                    ))
                })?;
                let target = self.target_of(secret, &parsed)?;
                let token = self.token_by(secret, &target, &parsed.grant)?;
                Ok((target, token))
            }
            HubAuth::Identity(_) => {
                let target = self.target_by_namespace();
                let token = self.token_of_identity(&target).await?;
                Ok((target, token))
            }
        }
    }

    fn read(&self, secret: &Secret) -> Result<String, Failure> {
        secret.read().map_err(|error| {
            let text = format!("{}: {error}", self.subject());
            Failure::new(FailureKind::Auth, text)
        })
    }

    fn target_of(
        &self,
        secret: &Secret,
        parsed: &ConnectionString,
    ) -> Result<ConnectTarget, Failure> {
        let hub = &self.config.event_hub;
        // Event Hubs ignores the case of names.
        let is_other = |entity: &&String| !entity.eq_ignore_ascii_case(hub);
        if let Some(entity) = parsed.event_hub.as_ref().filter(is_other) {
            return Err(misconfigured(format!(
                "event_hub is {hub}, but the connection string in {secret} is for event hub {entity}"
            )));
        }
        let namespace = &parsed.namespace;
        let configured = &self.config.namespace;
        if !configured.eq_ignore_ascii_case(namespace) {
            return Err(misconfigured(format!(
                "namespace is {configured}, but the connection string in {secret} is for {namespace}"
            )));
        }
        let tls = !parsed.emulator;
        let endpoint = Endpoint {
            tls,
            host: namespace.clone(),
            port: parsed.port.unwrap_or(if tls { 5671 } else { 5672 }),
        };
        Ok(self.target(namespace.clone(), endpoint))
    }

    fn target_by_namespace(&self) -> ConnectTarget {
        let namespace = self.config.namespace.to_ascii_lowercase();
        let endpoint = Endpoint {
            tls: true,
            host: namespace.clone(),
            port: 5671,
        };
        self.target(namespace, endpoint)
    }

    fn target(&self, namespace: String, endpoint: Endpoint) -> ConnectTarget {
        let target = ConnectTarget {
            namespace,
            event_hub: self.config.event_hub.clone(),
            endpoint: self.config.endpoint.clone().unwrap_or(endpoint),
        };
        *self.seen() = Some(target.clone());
        target
    }

    fn token_by(
        &self,
        secret: &Secret,
        target: &ConnectTarget,
        grant: &Grant,
    ) -> Result<Token, Failure> {
        let (value, expires_at) = match grant {
            Grant::Key { name, key } => {
                let expires_at = unix_now() + self.sas_lifetime.as_secs().max(1);
                (
                    sas::sign(&target.audience(), name, key, expires_at),
                    expires_at,
                )
            }
            Grant::Signature(token) => {
                let says = sas::expiry(token).ok_or_else(|| {
                    misconfigured(format!(
                        "{}: the signature in {secret} has no expiry time (se)",
                        target.subject()
                    ))
                })?;
                (token.clone(), says)
            }
        };
        if expires_at <= unix_now() {
            let text = format!(
                "{}: the signature in {secret} has expired: replace it",
                target.subject()
            );
            return Err(Failure::new(FailureKind::Auth, text));
        }
        Ok(Token::new(value, sas::TOKEN_TYPE, expires_at))
    }

    async fn token_of_identity(&self, target: &ConnectTarget) -> Result<Token, Failure> {
        let subject = target.subject();
        let Some(credential) = &self.credential else {
            return Err(misconfigured(format!(
                "{subject}: no identity is configured"
            )));
        };
        let given = credential.get_token(&[&self.scope], None).await;
        let given = given.map_err(|error| of_credential(&subject, &error))?;
        let expires_at = u64::try_from(given.expires_on.unix_timestamp()).unwrap_or_default();
        Ok(Token::new(
            given.token.secret().to_owned(),
            "jwt",
            expires_at,
        ))
    }
}

impl Token {
    fn new(value: String, kind: &'static str, expires_at: u64) -> Self {
        let left = Duration::from_secs(expires_at).saturating_sub(unix_time());
        let now = Instant::now();
        // A token of many years must not overflow the clock.
        let left = left.min(Duration::from_secs(30 * 86_400));
        Self {
            value,
            kind,
            expires_at,
            ends: now + left,
            refresh: now + left * 2 / 3,
        }
    }
}

/// Why an identity gave no token.
fn of_credential(subject: &str, error: &azure_core::Error) -> Failure {
    let outermost: &(dyn std::error::Error + 'static) = error;
    let layers: Vec<_> = std::iter::successors(Some(outermost), |layer| layer.source()).collect();
    // Our own tokens have sorted it already.
    if let Some(failure) = layers
        .iter()
        .find_map(|layer| layer.downcast_ref::<Failure>())
    {
        return Failure::new(failure.kind, format!("{subject}: {failure}"));
    }
    let said: Vec<String> = layers.iter().map(ToString::to_string).collect();
    let said = redact_words(&said.join(": "));
    let kind = match error.kind() {
        azure_core::error::ErrorKind::Io => FailureKind::Unreachable,
        _ => FailureKind::Auth,
    };
    Failure::new(
        kind,
        format!("{subject}: no token for the identity: {said}"),
    )
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn unix_now() -> u64 {
    unix_time().as_secs()
}

#[cfg(test)]
mod tests;
