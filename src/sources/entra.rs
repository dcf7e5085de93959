//! Microsoft Entra identities: credentials, audiences, and tokens that are renewed in time.

mod readable;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret as Hidden, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use self::readable::Readable;
pub use self::tokens::Tokens;
use super::redact::redact;
use crate::config::types::{Cloud, Identity, IdentityKind};
use crate::model::sample::{Failure, FailureKind};
use crate::web::{self, root_cause};

/// How long connecting to an authority may take; a request as a whole has its own limit.
const CONNECT: Duration = Duration::from_secs(5);

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

/// The scope of a token for Azure Cache for Redis and Azure Managed Redis: their application's, the same in every cloud.
pub const REDIS_SCOPE: &str = "acca5fbb-b7e4-4009-81f1-37e38fd66d78/.default";

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
        let text = format!("identity: invalid configuration: {}", told(&error, secret));
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
    let pem = identity.ca_file.as_deref().map(web::read_ca).transpose()?;
    let ca = identity.ca_file.as_deref().zip(pem.as_deref());
    let client = web::client(ca, CONNECT)?;
    Ok(ClientOptions {
        // The next poll is the retry; the library's own ones would outlast the deadline and hide the reason.
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Readable(client)))),
        cloud: Some(Arc::new(cloud)),
        ..Default::default()
    })
}

/// Why the authority gave no token.
fn of_authority(error: &azure_core::Error, secret: Option<&str>) -> Failure {
    let (kind, advice) = match status_of(error) {
        Some(429) => (FailureKind::Throttled, "the server is throttling requests"),
        Some(500..=599) => (FailureKind::Transient, "streamgauge retries"),
        Some(_) => (FailureKind::Auth, "check tenant, client id and secret"),
        None if is_garbled(error) => (FailureKind::Protocol, "the response could not be parsed"),
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
    let cause = root_cause(error);
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
