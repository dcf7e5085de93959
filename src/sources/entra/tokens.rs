//! Tokens of one identity, fetched for all who ask at the same time, whether they wait to the end or not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{build, of_authority, secret_of};
use crate::config::types::Identity;
use crate::model::sample::{Failure, FailureKind};

/// An authority that has not answered after so long is asked again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// For so long after the authority was asked, those who have a token that is still good wait for a fresher one.
const PATIENCE: Duration = Duration::from_millis(500);

/// A token that lives shorter than this is not used any more even if no other can be had.
const LAST_MOMENT: Duration = Duration::from_secs(30);

/// Tokens of one identity for one scope. The library's cache renews five minutes before the end; beside that, a token is
/// used to its end if no other can be had, and a credential is rebuilt when its secret changed or it was refused.
pub struct Tokens {
    identity: Identity,
    scope: &'static str,
    slot: Arc<Mutex<TokenSlot>>,
}

#[derive(Default)]
struct TokenSlot {
    credential: Option<Arc<dyn TokenCredential>>,
    secret: Option<String>,
    last: Option<AccessToken>,
    request: Option<TokenRequest>,
}

/// A request to the authority, going on or finished, that all callers share. It is a task of its own: callers have little time,
/// and a slow answer serves the next one.
#[derive(Clone)]
struct TokenRequest {
    since: Instant,
    task: AbortHandle,
    outcome: Shared<BoxFuture<'static, Result<AccessToken, Failure>>>,
}

#[async_trait::async_trait]
impl TokenCredential for Tokens {
    /// Tokens for the scope of these, whatever is asked. The cause of an error is the [`Failure`].
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.access_token().await;
        token.map_err(|failure| Error::new(ErrorKind::Credential, failure))
    }
}

impl Tokens {
    /// Asks for nothing yet.
    pub fn new(identity: Identity, scope: &'static str) -> Self {
        Self {
            identity,
            scope,
            slot: Arc::default(),
        }
    }

    /// A token that is valid now. Where none is left from before it takes as long as the authority takes, 10 s at most.
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
        let TokenRequest { since, outcome, .. } = self.request()?;
        let outcome = match self.left() {
            Some(left) => {
                let fresher = timeout_at(since + PATIENCE, outcome).await;
                fresher.unwrap_or(Ok(left))
            }
            None => outcome.await,
        };
        outcome.or_else(|failure| self.left().ok_or(failure))
    }

    /// Forgets credential and token: the service refused them. The next token comes from what secret and files say then.
    pub fn distrust(&self) {
        *locked(&self.slot) = TokenSlot::default();
    }

    /// The request that is going on, or a new one.
    fn request(&self) -> Result<TokenRequest, Failure> {
        let secret = secret_of(&self.identity)?;
        let mut slot = locked(&self.slot);
        if slot.secret != secret {
            *slot = TokenSlot::default();
            slot.secret.clone_from(&secret);
        }
        if let Some(request) = slot.request.as_ref().filter(|r| !r.task.is_finished()) {
            return Ok(request.clone());
        }
        let credential = match &slot.credential {
            Some(credential) => Arc::clone(credential),
            None => build(&self.identity, secret.as_deref())?,
        };
        slot.credential = Some(Arc::clone(&credential));
        let task = tokio::spawn(ask(credential, self.scope, secret, Arc::clone(&self.slot)));
        let request = TokenRequest {
            since: Instant::now(),
            task: task.abort_handle(),
            outcome: async { task.await.unwrap_or_else(|_| Err(given_up())) }
                .boxed()
                .shared(),
        };
        slot.request = Some(request.clone());
        Ok(request)
    }

    /// The last token, if it is still good: nobody distrusted it, and it is of the secret of now.
    fn left(&self) -> Option<AccessToken> {
        let good_until = OffsetDateTime::now_utc() + LAST_MOMENT;
        let last = locked(&self.slot).last.clone();
        last.filter(|last| last.expires_on > good_until)
    }
}

/// Asks the authority, unless the library has a token of before, and notes what came of it.
async fn ask(
    credential: Arc<dyn TokenCredential>,
    scope: &'static str,
    secret: Option<String>,
    slot: Arc<Mutex<TokenSlot>>,
) -> Result<AccessToken, Failure> {
    let asked = timeout(ANSWERS_WITHIN, credential.get_token(&[scope], None)).await;
    let outcome = match asked {
        Ok(answer) => answer.map_err(|error| of_authority(&error, secret.as_deref())),
        Err(_) => Err(silent()),
    };
    let mut slot = locked(&slot);
    let held = slot.credential.as_ref();
    if held.is_some_and(|held| Arc::ptr_eq(held, &credential)) {
        match &outcome {
            Ok(token) => slot.last = Some(token.clone()),
            // Only a new credential reads a rotated token file before the library's ten minutes are over.
            Err(failure) if failure.kind == FailureKind::Auth => slot.credential = None,
            Err(_) => {}
        }
    }
    outcome
}

fn silent() -> Failure {
    let text = format!(
        "identity: no token: the authority did not answer within {}: check authority_host and the network path to it",
        humantime::format_duration(ANSWERS_WITHIN)
    );
    Failure::new(FailureKind::Timeout, text)
}

fn given_up() -> Failure {
    let text = "identity: no token: the request to the authority was canceled";
    Failure::new(FailureKind::Transient, text)
}

fn locked(slot: &Mutex<TokenSlot>) -> MutexGuard<'_, TokenSlot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
