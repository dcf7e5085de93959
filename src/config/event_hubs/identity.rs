//! A Microsoft Entra identity: `identity: workload | managed | client_secret` with the keys that belong to it.

use std::path::PathBuf;

use crate::config::secret;
use crate::config::section::Section;
use crate::config::types::{Cloud, Identity, IdentityKind};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Workload,
    Managed,
    ClientSecret,
}

/// Keys that mean something only beside `identity`.
const KEYS: [&str; 6] = [
    "tenant_id",
    "client_id",
    "client_secret",
    "federated_token_file",
    "cloud",
    "authority_host",
];

/// Reads the identity of a section: `None` where it names none, `Some(None)` after a fault. `ca_file` is the section's.
pub(super) fn read(
    section: &mut Section<'_>,
    ca_file: Option<&PathBuf>,
) -> Option<Option<Identity>> {
    let given = section.has("identity");
    let beside: Vec<&str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    let word = section.word(
        "identity",
        &[
            ("workload", Word::Workload),
            ("managed", Word::Managed),
            ("client_secret", Word::ClientSecret),
        ],
    );
    let tenant_id = section.text("tenant_id");
    let client_id = section.text("client_id");
    let client_secret = secret::read(section, "client_secret");
    let token_file = section.file("federated_token_file");
    let cloud = read_cloud(section);
    let authority_host = read_authority(section);
    let Some(word) = word else {
        if !given {
            for key in beside {
                section.problem(
                    key,
                    "belongs to an identity: add identity: workload, managed or client_secret",
                );
            }
            return None;
        }
        return Some(None);
    };
    refuse(section, word, &beside);
    let kind = match word {
        Word::Workload => IdentityKind::Workload {
            client_id,
            tenant_id,
            token_file,
        },
        Word::Managed => IdentityKind::Managed { client_id },
        Word::ClientSecret => {
            let needs = [
                ("tenant_id", tenant_id.is_none()),
                ("client_id", client_id.is_none()),
                (
                    "client_secret",
                    client_secret.is_none() && !beside.contains(&"client_secret"),
                ),
            ];
            for (key, _) in needs.into_iter().filter(|(_, missing)| *missing) {
                section.missing(key, "identity: client_secret needs it");
            }
            match (tenant_id, client_id, client_secret) {
                (Some(tenant_id), Some(client_id), Some(client_secret)) => {
                    IdentityKind::ClientSecret {
                        tenant_id,
                        client_id,
                        client_secret,
                    }
                }
                _ => return Some(None),
            }
        }
    };
    Some(Some(Identity {
        kind,
        cloud: cloud.unwrap_or_default(),
        authority_host,
        ca_file: ca_file.cloned(),
    }))
}

/// Notes keys that this kind of identity would ignore.
fn refuse(section: &mut Section<'_>, word: Word, beside: &[&str]) {
    let foreign: &[&str] = match word {
        Word::Workload => &["client_secret"],
        Word::Managed => &[
            "tenant_id",
            "client_secret",
            "federated_token_file",
            "authority_host",
        ],
        Word::ClientSecret => &["federated_token_file"],
    };
    for key in foreign.iter().filter(|key| beside.contains(key)) {
        section.problem(key, "has no meaning for this kind of identity: remove it");
    }
}

fn read_cloud(section: &mut Section<'_>) -> Option<Cloud> {
    section.word(
        "cloud",
        &[
            ("public", Cloud::Public),
            ("us_government", Cloud::UsGovernment),
            ("china", Cloud::China),
        ],
    )
}

fn read_authority(section: &mut Section<'_>) -> Option<String> {
    const KEY: &str = "authority_host";
    let text = section.text(KEY)?;
    if url::Url::parse(&text).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
        return Some(text);
    }
    section.problem(
        KEY,
        "must be an https address, such as https://login.microsoftonline.com",
    );
    None
}
