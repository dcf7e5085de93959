//! Which storage account is meant, and with which credential: account urls, connection strings, signatures.

use object_store::azure::{AzureAccessKey, AzureCredential};
use url::{Host, Url, form_urlencoded};

use crate::config::types::BlobAuth;
use crate::model::sample::{Failure, FailureKind};

/// The emulator's account and key, the same everywhere: published, no secret.
const EMULATOR: (&str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

/// An account with a credential, as the config and the secret's value of now say.
pub struct Account {
    /// Its name; part of a signature by key.
    pub name: String,
    /// Where its blob service is, without a slash at the end.
    pub endpoint: String,
    /// The credential; `None`: tokens of an identity.
    pub credential: Option<AzureCredential>,
    /// What must not show in any text.
    pub secrets: Vec<String>,
}

/// The parts of a connection string that matter here.
#[derive(Default)]
struct StorageParts {
    name: Option<String>,
    key: Option<String>,
    signature: Option<String>,
    endpoint: Option<String>,
    suffix: Option<String>,
    protocol: Option<String>,
    emulator: bool,
}

impl Account {
    /// Puts together what `account_url` and the value of the secret say.
    ///
    /// # Errors
    /// Something is missing or cannot be what it should be. No text carries a part of the secret.
    pub fn new(
        account_url: Option<&str>,
        auth: &BlobAuth,
        secret: Option<&str>,
    ) -> Result<Self, Failure> {
        let value = secret.map(str::trim).unwrap_or_default();
        if secret.is_some() && value.is_empty() {
            return Err(unusable("the secret is empty"));
        }
        let parts = match auth {
            BlobAuth::ConnectionString(_) => StorageParts::parse(value)?,
            BlobAuth::AccountKey(_) => StorageParts {
                key: Some(value.to_owned()),
                ..StorageParts::default()
            },
            BlobAuth::Sas(_) => StorageParts {
                signature: Some(value.to_owned()),
                ..StorageParts::default()
            },
            BlobAuth::Identity(_) => StorageParts::default(),
        };
        parts.into_account(account_url, matches!(auth, BlobAuth::Identity(_)))
    }
}

impl StorageParts {
    fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = Self::default();
        for pair in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(unusable(
                    "the storage connection string is not a list of key=value pairs",
                ));
            };
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim().to_ascii_lowercase().as_str() {
                "accountname" => parts.name = value,
                "accountkey" => parts.key = value,
                "sharedaccesssignature" => parts.signature = value,
                "blobendpoint" => parts.endpoint = value,
                "endpointsuffix" => parts.suffix = value,
                "defaultendpointsprotocol" => parts.protocol = value,
                "usedevelopmentstorage" => {
                    parts.emulator = value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
                }
                _ => {}
            }
        }
        if parts.emulator {
            let (name, key) = EMULATOR;
            parts.name.get_or_insert_with(|| name.to_owned());
            parts.key.get_or_insert_with(|| key.to_owned());
            let endpoint = || format!("http://127.0.0.1:10000/{name}");
            parts.endpoint.get_or_insert_with(endpoint);
        }
        Ok(parts)
    }

    fn into_account(
        self,
        account_url: Option<&str>,
        is_identity: bool,
    ) -> Result<Account, Failure> {
        let endpoint = self.endpoint(account_url)?;
        let name = self.name.or_else(|| name_in(&endpoint)).ok_or_else(|| {
            let text = "the storage account's name is missing: set checkpoints.account_url to \
                        https://ACCOUNT.blob.core.windows.net, or use a connection string with AccountName";
            Failure::new(FailureKind::Misconfigured, text)
        })?;
        let mut secrets = Vec::new();
        let credential = match (is_identity, &self.key, &self.signature) {
            (true, ..) => None,
            (_, Some(key), _) => {
                secrets.push(key.clone());
                let key = AzureAccessKey::try_new(key)
                    .map_err(|_| unusable("the storage account's key is not base64"))?;
                Some(AzureCredential::AccessKey(key))
            }
            (_, None, Some(signature)) => {
                let pairs = split_signature(signature)?;
                secrets.extend(
                    pairs
                        .iter()
                        .filter(|(k, _)| k == "sig")
                        .map(|(_, v)| v.clone()),
                );
                secrets.push(signature.trim_start_matches('?').to_owned());
                Some(AzureCredential::SASToken(pairs))
            }
            _ => {
                let text = "the storage connection string has neither AccountKey nor SharedAccessSignature";
                return Err(unusable(text));
            }
        };
        let endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
        Ok(Account {
            name,
            endpoint,
            credential,
            secrets,
        })
    }

    fn endpoint(&self, account_url: Option<&str>) -> Result<Url, Failure> {
        let text = match (account_url, &self.endpoint, &self.name) {
            (Some(url), ..) => url.to_owned(),
            (None, Some(endpoint), _) => endpoint.clone(),
            (None, None, Some(name)) => {
                let protocol = self.protocol.as_deref().unwrap_or("https");
                let suffix = self.suffix.as_deref().unwrap_or("core.windows.net");
                format!("{protocol}://{name}.blob.{suffix}")
            }
            (None, None, None) => {
                let text = "the storage account is missing: set checkpoints.account_url, or use a connection string \
                            with AccountName or BlobEndpoint";
                return Err(Failure::new(FailureKind::Misconfigured, text));
            }
        };
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let mut url = Url::parse(&text).ok().filter(usable).ok_or_else(|| {
            let text = "the blob endpoint is not an http:// or https:// URL: correct checkpoints.account_url or the \
                        connection string's BlobEndpoint";
            Failure::new(FailureKind::Misconfigured, text)
        })?;
        url.set_query(None);
        url.set_fragment(None);
        Ok(url)
    }
}

/// The account's name: the first part of the path with an emulator, of the host elsewhere.
fn name_in(endpoint: &Url) -> Option<String> {
    let first = endpoint.path_segments().and_then(|mut parts| parts.next());
    if let Some(name) = first.filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    match endpoint.host() {
        Some(Host::Domain(domain)) => {
            let label = domain
                .split('.')
                .next()
                .filter(|label| *label != "localhost")?;
            // The read-only replica's address; signatures go by the account's own name.
            Some(label.strip_suffix("-secondary").unwrap_or(label).to_owned())
        }
        _ => None,
    }
}

/// The parameters of a signature, decoded; they are encoded again into each request.
fn split_signature(text: &str) -> Result<Vec<(String, String)>, Failure> {
    // A plus is part of the base64 of a signature that somebody forgot to encode, never a space.
    let text = text.trim_start_matches('?').replace('+', "%2B");
    let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    if pairs
        .iter()
        .any(|(key, value)| key == "sig" && !value.is_empty())
    {
        return Ok(pairs);
    }
    Err(unusable(
        "the shared access signature has no sig= parameter",
    ))
}

fn unusable(what: &str) -> Failure {
    let advice = "correct the secret that the source's checkpoints.auth refers to";
    Failure::new(
        FailureKind::Auth,
        format!("checkpoint store: {what}: {advice}"),
    )
}

#[cfg(test)]
mod tests;
