//! Where the checkpoints of an event hub are, how they are laid out, and who may read them.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret;
use crate::config::section::Section;
use crate::config::types::{BlobAuth, CheckpointStrategy, CheckpointsConfig, HubAuth};

use super::identity;

/// .NET's processor lets an ownership expire after two minutes, the others sooner.
const DEFAULT_OWNERSHIP_EXPIRY: Duration = Duration::from_secs(120);

/// Reads `checkpoints:` of an event hub that authenticates with `hub_auth`.
pub(super) fn read(
    parent: &mut Section<'_>,
    hub_auth: Option<&HubAuth>,
) -> Option<CheckpointsConfig> {
    if !parent.has("checkpoints") {
        parent.missing(
            "checkpoints",
            "say where consumers store them: account_url, container, strategy and a credential",
        );
        return None;
    }
    let mut section = parent.section("checkpoints")?;
    let account_url = read_account_url(&mut section);
    let container = section.text("container");
    let strategy = read_strategy(&mut section, container.is_some());
    let ca_file = section.file("ca_file");
    let auth = read_auth(&mut section, hub_auth, ca_file.as_ref());
    if account_url.is_none()
        && !section.has_problem("account_url")
        && !matches!(auth, Some(BlobAuth::ConnectionString(_)) | None)
    {
        section.missing("account_url", "https://account.blob.core.windows.net");
    }
    let ownership_expiry = section.duration("ownership_expiry");
    if ownership_expiry.is_some_and(|expiry| expiry.is_zero()) {
        section.problem("ownership_expiry", "must be above 0");
    }
    section.finish();
    Some(CheckpointsConfig {
        account_url,
        container,
        strategy,
        auth: auth?,
        ca_file,
        ownership_expiry: ownership_expiry.unwrap_or(DEFAULT_OWNERSHIP_EXPIRY),
    })
}

fn read_strategy(section: &mut Section<'_>, has_container: bool) -> CheckpointStrategy {
    let word = section.word("strategy", &CheckpointStrategy::WORDS);
    let strategy = word.unwrap_or_default();
    let is_functions = matches!(
        strategy,
        CheckpointStrategy::Auto | CheckpointStrategy::AzureFunction
    );
    if !is_functions && !has_container {
        section.missing(
            "container",
            "name it: only auto and azure_function have a container of their own, that of Azure Functions",
        );
    }
    strategy
}

/// An address without credentials: a signature in it would be a secret in the config.
fn read_account_url(section: &mut Section<'_>) -> Option<String> {
    const KEY: &str = "account_url";
    let text = section.text(KEY)?;
    let bare = |url: &url::Url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if url::Url::parse(&text).is_ok_and(|url| bare(&url)) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    section.problem(
        KEY,
        "must be the account's address alone, such as https://account.blob.core.windows.net; a signature belongs under sas: { env: NAME }",
    );
    None
}

fn read_auth(
    section: &mut Section<'_>,
    hub_auth: Option<&HubAuth>,
    ca_file: Option<&PathBuf>,
) -> Option<BlobAuth> {
    const SECRETS: [&str; 3] = ["connection_string", "account_key", "sas"];
    let named: Vec<&str> = SECRETS
        .into_iter()
        .filter(|key| section.has(key))
        .chain(section.has("identity").then_some("identity"))
        .collect();
    let [string, key, sas] = SECRETS.map(|key| secret::read(section, key));
    let identity = identity::read(section, ca_file);
    if let [_, second, ..] = named[..] {
        section.problem(
            second,
            format!(
                "stands beside another credential: keep one of {}",
                named.join(", ")
            ),
        );
        return None;
    }
    let found = string
        .map(BlobAuth::ConnectionString)
        .or(key.map(BlobAuth::AccountKey))
        .or(sas.map(BlobAuth::Sas))
        .or(identity.flatten().map(BlobAuth::Identity));
    if found.is_some() || !named.is_empty() {
        return found;
    }
    match hub_auth {
        Some(HubAuth::Identity(identity)) => Some(BlobAuth::Identity(identity.clone())),
        Some(HubAuth::ConnectionString(_)) => {
            section.problem(
                "",
                "has no credential: add connection_string, account_key or sas: { env: NAME }, or an identity",
            );
            None
        }
        None => None,
    }
}
