//! The account, credential and connections in use, for as long as the secrets they were made from stay the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::account::Account;
use super::http::Sender;
use crate::config::types::{BlobAuth, CheckpointsConfig};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::entra::Tokens;
use crate::web;

/// Readings without a listing after one was refused, before it is tried again: rights may be granted meanwhile.
const READINGS_WITHOUT_LISTING: u32 = 240;

/// What a session rests on. Not printable: it holds the secret.
#[derive(PartialEq, Eq)]
pub struct AccountBasis {
    secret: Option<String>,
    authorities: Option<Vec<u8>>,
}

impl AccountBasis {
    /// Reads the secret and the file of authorities as they are now.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(config: &CheckpointsConfig) -> Result<Self, Failure> {
        let secret = match &config.auth {
            BlobAuth::ConnectionString(secret)
            | BlobAuth::AccountKey(secret)
            | BlobAuth::Sas(secret) => {
                let value = secret.read().map_err(|error| {
                    Failure::new(FailureKind::Auth, format!("checkpoint store: {error}"))
                })?;
                Some(value)
            }
            // An identity looks after its own secret.
            BlobAuth::Identity(_) => None,
        };
        let authorities = config.ca_file.as_deref().map(web::read_ca).transpose()?;
        Ok(Self {
            secret,
            authorities,
        })
    }
}

/// An account, opened.
pub struct AccountSession {
    basis: AccountBasis,
    /// Sends its requests.
    pub sender: Sender,
    /// Account and container, for texts.
    pub place: String,
    /// Readings that still do without a listing.
    without_listing: AtomicU32,
}

impl AccountSession {
    /// Opens the account; nothing is sent yet.
    ///
    /// # Errors
    /// Config or secret cannot be used.
    pub fn open(
        config: &CheckpointsConfig,
        container: &str,
        basis: AccountBasis,
        tokens: Option<Arc<Tokens>>,
        requests: Arc<AtomicU64>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let url = config.account_url.as_deref();
        let account = Account::new(url, &config.auth, basis.secret.as_deref())?;
        let ca = config.ca_file.as_deref().zip(basis.authorities.as_deref());
        let client = web::client(ca, patience)?;
        let place = format!("storage account {}, container {container}", account.name);
        Ok(Self {
            sender: Sender::new(client, account, tokens, requests),
            place,
            basis,
            without_listing: AtomicU32::new(0),
        })
    }

    /// Whether it was made from just this.
    pub fn rests_on(&self, basis: &AccountBasis) -> bool {
        self.basis == *basis
    }

    /// Whether this reading has to do without a listing.
    pub fn skips_listing(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let (done, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        self.without_listing.fetch_update(done, seen, less).is_ok()
    }

    /// Remembers that blobs have to be asked one by one.
    pub fn forgo_listing(&self) {
        let readings = READINGS_WITHOUT_LISTING;
        self.without_listing.store(readings, Ordering::Relaxed);
    }
}
