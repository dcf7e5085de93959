//! Where the checkpoints of an event hub are, how they are laid out, and who may read them.

use crate::config::identity;
use crate::config::keys::Place;
use crate::config::table::CheckpointKeys;
use crate::config::types::{BlobAuth, CheckpointStrategy, CheckpointsConfig, HubAuth};

/// What `checkpoints:` mean for an event hub that authenticates with `hub_auth`.
pub(super) fn read(
    keys: CheckpointKeys,
    hub_auth: Option<&HubAuth>,
    place: &mut Place<'_>,
) -> Option<CheckpointsConfig> {
    let is_functions = matches!(
        keys.strategy,
        CheckpointStrategy::Auto | CheckpointStrategy::AzureFunction
    );
    if !is_functions && keys.container.is_none() {
        place.missing(
            "container",
            "set it to the blob container; only the strategies auto and azure_function have a default",
        );
    }
    let (account_url, container, strategy) = (
        keys.account_url.clone(),
        keys.container.clone(),
        keys.strategy,
    );
    let (ca_file, ownership_expiry) = (keys.ca_file.clone(), keys.ownership_expiry);
    let auth = auth(keys, hub_auth, place);
    let needs_url = !matches!(auth, Some(BlobAuth::ConnectionString(_)) | None);
    if account_url.is_none() && needs_url {
        place.missing("account_url", "set it to the storage account's address, such as https://account.blob.core.windows.net");
    }
    Some(CheckpointsConfig {
        account_url,
        container,
        strategy,
        auth: auth?,
        ca_file,
        ownership_expiry,
    })
}

fn auth(
    keys: CheckpointKeys,
    hub_auth: Option<&HubAuth>,
    place: &mut Place<'_>,
) -> Option<BlobAuth> {
    let identity = identity::read(keys.identity, keys.ca_file.as_ref(), place);
    let all = [
        (
            "connection_string",
            keys.connection_string.map(BlobAuth::ConnectionString),
        ),
        ("account_key", keys.account_key.map(BlobAuth::AccountKey)),
        ("sas", keys.sas.map(BlobAuth::Sas)),
        (
            "identity",
            identity.clone().flatten().map(BlobAuth::Identity),
        ),
    ];
    let is_faulty = all.iter().any(|(key, _)| place.is_faulty(key)) || identity == Some(None);
    let found: Vec<(&str, BlobAuth)> = all
        .into_iter()
        .filter_map(|(key, auth)| auth.map(|auth| (key, auth)))
        .collect();
    if let [_, (second, _), ..] = &found[..] {
        let named: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
        let named = named.join(", ");
        place.fault_at(
            second,
            format!("cannot be used together with another credential: keep only one of {named}"),
        );
        return None;
    }
    if let Some((_, auth)) = found.into_iter().next() {
        return Some(auth);
    }
    match hub_auth {
        _ if is_faulty => None,
        Some(HubAuth::Identity(identity)) => Some(BlobAuth::Identity(identity.clone())),
        Some(HubAuth::ConnectionString(_)) => {
            place.fault(
                "has no credentials: add connection_string, account_key or sas as { env: NAME }, or an identity",
            );
            None
        }
        None => None,
    }
}
