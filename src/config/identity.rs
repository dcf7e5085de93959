//! A Microsoft Entra identity: `identity: workload | managed | client_secret` with the keys that belong to it.

use std::path::PathBuf;

use crate::config::keys::Place;
use crate::config::table::{IdentityKeys, IdentityWord};
use crate::config::types::{Identity, IdentityKind};

/// What a section's identity is: `None` where it names none, `Some(None)` after a fault. `ca_file` is the section's.
pub(super) fn read(
    keys: IdentityKeys,
    ca_file: Option<&PathBuf>,
    place: &mut Place<'_>,
) -> Option<Option<Identity>> {
    let beside = beside(&keys);
    let Some(word) = keys.identity else {
        if place.is_faulty("identity") {
            return Some(None);
        }
        for key in beside {
            place.fault_at(
                key,
                "requires an identity: add identity: workload, managed or client_secret",
            );
        }
        return None;
    };
    refuse(word, &beside, place);
    if word == IdentityWord::ClientSecret {
        for key in ["tenant_id", "client_id", "client_secret"] {
            if !beside.contains(&key) {
                place.missing(key, "identity: client_secret requires it");
            }
        }
    }
    let (cloud, authority_host) = (keys.cloud, keys.authority_host.clone());
    let identity = |kind| Identity {
        kind,
        cloud: cloud.unwrap_or_default(),
        authority_host,
        ca_file: ca_file.cloned(),
    };
    Some(kind(word, keys).map(identity))
}

/// `None` where a part is missing.
fn kind(word: IdentityWord, keys: IdentityKeys) -> Option<IdentityKind> {
    let (client_id, tenant_id) = (keys.client_id, keys.tenant_id);
    Some(match word {
        IdentityWord::Workload => IdentityKind::Workload {
            client_id,
            tenant_id,
            token_file: keys.federated_token_file,
        },
        IdentityWord::Managed => IdentityKind::Managed { client_id },
        IdentityWord::ClientSecret => IdentityKind::ClientSecret {
            tenant_id: tenant_id?,
            client_id: client_id?,
            client_secret: keys.client_secret?,
        },
    })
}

/// Keys that mean something only beside `identity`.
fn beside(keys: &IdentityKeys) -> Vec<&'static str> {
    let all = [
        ("tenant_id", keys.tenant_id.is_some()),
        ("client_id", keys.client_id.is_some()),
        ("client_secret", keys.client_secret.is_some()),
        ("federated_token_file", keys.federated_token_file.is_some()),
        ("cloud", keys.cloud.is_some()),
        ("authority_host", keys.authority_host.is_some()),
    ];
    let there = all.into_iter().filter(|(_, is_there)| *is_there);
    there.map(|(key, _)| key).collect()
}

/// Notes keys that this kind of identity would ignore.
fn refuse(word: IdentityWord, beside: &[&str], place: &mut Place<'_>) {
    let foreign: &[&str] = match word {
        IdentityWord::Workload => &["client_secret"],
        IdentityWord::Managed => &[
            "tenant_id",
            "client_secret",
            "federated_token_file",
            "authority_host",
        ],
        IdentityWord::ClientSecret => &["federated_token_file"],
    };
    for key in foreign.iter().filter(|key| beside.contains(key)) {
        place.fault_at(key, "does not apply to this kind of identity: remove it");
    }
}
