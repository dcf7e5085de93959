//! Microsoft Entra identities: credentials, audiences, and tokens that are renewed in time.

mod readable;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{
    AccessToken, Secret as Hidden, TokenCredential, TokenRequestOptions,
};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use self::readable::Readable;
use super::checkpoints::{http, redact};
use crate::config::types::{Cloud, Identity, IdentityKind};
use crate::model::sample::{Failure, FailureKind};

/// How long connecting to an authority may take; the caller's deadline bounds the whole.
const CONNECT: Duration = Duration::from_secs(5);

/// A token that lives shorter than this is not used any more even if no other can be had.
const LAST_MOMENT: Duration = Duration::from_secs(30);

/// A credential for the identity, as its secret and the environment are now.
///
/// # Errors
/// A secret cannot be read, or something that the identity needs is missing.
pub fn credential(identity: &Identity) -> Result<Arc<dyn TokenCredential>, Failure> {
    let secret = secret_of(identity)?;
    build(identity, secret.as_deref())
}

/// The scope of a token for Event Hubs.
pub fn event_hubs_scope(identity: &Identity) -> &'static str {
    match identity.cloud {
        Cloud::Public => "https://eventhubs.azure.net/.default",
        Cloud::UsGovernment => "https://eventhubs.azure.us/.default",
        Cloud::China => "https://eventhubs.azure.cn/.default",
    }
}

/// The scope of a token for Blob Storage: the same in every cloud.
pub fn blob_scope(_identity: &Identity) -> &'static str {
    "https://storage.azure.com/.default"
}

fn secret_of(identity: &Identity) -> Result<Option<String>, Failure> {
    let read = identity.secret().map(|secret| secret.read()).transpose();
    read.map_err(|error| Failure::new(FailureKind::Auth, format!("identity: {error}")))
}

fn build(identity: &Identity, secret: Option<&str>) -> Result<Arc<dyn TokenCredential>, Failure> {
    let client_options = client_options(identity)?;
    let built = match &identity.kind {
        IdentityKind::Workload {
            client_id,
            tenant_id,
            token_file,
        } => WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            client_id: client_id.clone(),
            tenant_id: tenant_id.clone(),
            token_file_path: token_file.clone(),
            ..Default::default()
        }))
        .map(|built| built as Arc<dyn TokenCredential>),
        IdentityKind::Managed { client_id } => {
            let options = ManagedIdentityCredentialOptions {
                client_options,
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
            };
            ManagedIdentityCredential::new(Some(options))
                .map(|built| built as Arc<dyn TokenCredential>)
        }
        IdentityKind::ClientSecret {
            tenant_id,
            client_id,
            ..
        } => ClientSecretCredential::new(
            tenant_id,
            client_id.clone(),
            Hidden::new(secret.unwrap_or_default().to_owned()),
            Some(ClientSecretCredentialOptions { client_options }),
        )
        .map(|built| built as Arc<dyn TokenCredential>),
    };
    built.map_err(|error| {
        let text = format!("identity: it cannot be used: {}", told(&error, secret));
        Failure::new(FailureKind::Auth, text)
    })
}

fn client_options(identity: &Identity) -> Result<ClientOptions, Failure> {
    let cloud = match &identity.authority_host {
        Some(host) => {
            let mut custom = CustomConfiguration::default();
            custom.authority_host = host.clone();
            CloudConfiguration::from(custom)
        }
        None => match identity.cloud {
            Cloud::Public => CloudConfiguration::AzurePublic,
            Cloud::UsGovernment => CloudConfiguration::AzureGovernment,
            Cloud::China => CloudConfiguration::AzureChina,
        },
    };
    let pem = identity.ca_file.as_deref().map(http::read_ca).transpose()?;
    let ca = identity.ca_file.as_deref().zip(pem.as_deref());
    let client = http::client(ca, CONNECT)?;
    Ok(ClientOptions {
        // The next poll is the retry; the library's own ones would outlast the deadline and hide the reason.
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Readable(client)))),
        cloud: Some(Arc::new(cloud)),
        ..Default::default()
    })
}

/// Tokens of one identity for one scope. The library's cache renews five minutes before the end; beside that, a token is
/// used to its end if no other can be had, and a credential is built anew when its secret changed or it was refused.
pub struct Tokens {
    identity: Identity,
    scope: &'static str,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    credential: Option<Arc<dyn TokenCredential>>,
    secret: Option<String>,
    last: Option<AccessToken>,
}

#[async_trait::async_trait]
impl TokenCredential for Tokens {
    /// Tokens for the scope of these, whatever is asked.
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.access_token().await;
        token.map_err(|failure| Error::with_message(ErrorKind::Credential, failure.text))
    }
}

impl Tokens {
    /// Asks for nothing yet.
    pub fn new(identity: Identity, scope: &'static str) -> Self {
        Self {
            identity,
            scope,
            slot: Mutex::default(),
        }
    }

    /// A token that is valid now. Takes as long as the authority takes: the caller bounds it.
    ///
    /// # Errors
    /// No token was given, and none is left from before.
    pub async fn token(&self) -> Result<String, Failure> {
        self.access_token()
            .await
            .map(|token| token.token.secret().to_owned())
    }

    /// As [`Self::token`], with the end of its time.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub async fn access_token(&self) -> Result<AccessToken, Failure> {
        let secret = secret_of(&self.identity)?;
        let credential = self.credential(secret.as_deref())?;
        let outcome = credential.get_token(&[self.scope], None).await;
        let mut slot = self.slot();
        let held = slot.credential.as_ref();
        let is_held = held.is_some_and(|held| Arc::ptr_eq(held, &credential));
        let failure = match outcome {
            Ok(token) => {
                if is_held {
                    slot.last = Some(token.clone());
                }
                return Ok(token);
            }
            Err(error) => of_authority(&error, secret.as_deref()),
        };
        if is_held && failure.kind == FailureKind::Auth {
            // Only a new credential reads a rotated token file before the library's ten minutes are over.
            slot.credential = None;
        }
        // Nobody distrusted it and it is of this secret: as good for those who were refused at the same time.
        let good_until = OffsetDateTime::now_utc() + LAST_MOMENT;
        let last = slot.last.clone();
        last.filter(|last| last.expires_on > good_until)
            .ok_or(failure)
    }

    /// Forgets credential and token: the service refused them. The next token comes from what secret and files say then.
    pub fn distrust(&self) {
        *self.slot() = Slot::default();
    }

    fn credential(&self, secret: Option<&str>) -> Result<Arc<dyn TokenCredential>, Failure> {
        let mut slot = self.slot();
        if slot.secret.as_deref() != secret {
            *slot = Slot::default();
            slot.secret = secret.map(str::to_owned);
        }
        if let Some(credential) = &slot.credential {
            return Ok(Arc::clone(credential));
        }
        let built = build(&self.identity, secret)?;
        slot.credential = Some(Arc::clone(&built));
        Ok(built)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Why the authority gave no token.
fn of_authority(error: &azure_core::Error, secret: Option<&str>) -> Failure {
    let (kind, advice) = match status_of(error) {
        Some(429) => (FailureKind::Throttled, "it asks to be asked less often"),
        Some(500..=599) => (FailureKind::Transient, "it is asked again"),
        Some(_) => (FailureKind::Auth, "check tenant, client id and secret"),
        None if is_garbled(error) => (FailureKind::Protocol, "the answer cannot be understood"),
        None => (
            FailureKind::Unreachable,
            "the authority cannot be reached: check authority_host and ca_file",
        ),
    };
    let text = format!("identity: no token: {}: {advice}", told(error, secret));
    Failure::new(kind, text)
}

/// The errors of the library that are wrapped in each other, outermost first.
fn layers(error: &azure_core::Error) -> impl Iterator<Item = &azure_core::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        while let Some(error) = next {
            next = error.source();
            if let Some(layer) = error.downcast_ref::<azure_core::Error>() {
                return Some(layer);
            }
        }
        None
    })
}

fn status_of(error: &azure_core::Error) -> Option<u16> {
    layers(error)
        .find_map(|layer| layer.http_status())
        .map(u16::from)
}

fn is_garbled(error: &azure_core::Error) -> bool {
    layers(error).any(|layer| matches!(layer.kind(), ErrorKind::DataConversion))
}

/// The first line of what it says, with the innermost reason, without any secret.
fn told(error: &azure_core::Error, secret: Option<&str>) -> String {
    let outer = error.to_string();
    let outer = outer.lines().next().unwrap_or_default();
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cause.to_string();
    let cause = cause.lines().next().unwrap_or_default();
    let text = if outer.contains(cause) {
        outer.to_owned()
    } else {
        format!("{outer}: {cause}")
    };
    let secrets: Vec<String> = secret.map(str::to_owned).into_iter().collect();
    redact(&text, &secrets).chars().take(400).collect()
}

#[cfg(test)]
mod tests;
