//! How this side shows the servers who it is: a password, or a token of Microsoft Entra.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use redis::Pipeline;
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::config::types::{RedisConfig, Secret};
use crate::model::sample::{Failure, FailureKind};
use crate::sources::entra::{REDIS_SCOPE, Tokens};

/// After so much of a token's time a connection is replaced by one with a new token: the server ends those whose token has expired.
const RENEWED_AFTER: f64 = 0.75;

/// Who asks, and by what that is shown. All servers of a source take the same.
pub struct Login {
    username: Option<String>,
    credential: LoginCredential,
}

enum LoginCredential {
    None,
    Password(Secret),
    Tokens(Tokens),
}

impl Login {
    /// As the config says.
    pub fn new(config: &RedisConfig) -> Self {
        let credential = match (&config.identity, &config.password) {
            (Some(identity), _) => {
                LoginCredential::Tokens(Tokens::new(identity.clone(), REDIS_SCOPE))
            }
            (None, Some(password)) => LoginCredential::Password(password.clone()),
            (None, None) => LoginCredential::None,
        };
        Self {
            username: config.username.clone(),
            credential,
        }
    }

    /// Adds what shows the server who asks; returns when the connection has to be replaced, if it has to.
    ///
    /// # Errors
    /// The password cannot be read, or there is no token.
    pub async fn add_to(&self, commands: &mut Pipeline) -> Result<Option<Instant>, Failure> {
        let username = self.username.as_deref();
        match &self.credential {
            LoginCredential::None => Ok(None),
            LoginCredential::Password(password) => {
                with_password(commands, username, password)?;
                Ok(None)
            }
            LoginCredential::Tokens(tokens) => {
                let asked_at = Instant::now();
                let token = tokens.access_token().await?;
                let text = token.token.secret();
                let of_token = object_id(text);
                let username = username.or(of_token.as_deref()).ok_or_else(nameless)?;
                commands.cmd("AUTH").arg(username).arg(text);
                let left = token.expires_on - azure_core::time::OffsetDateTime::now_utc();
                let left = std::time::Duration::try_from(left).unwrap_or_default();
                Ok(Some(asked_at + left.mul_f64(RENEWED_AFTER)))
            }
        }
    }

    /// Takes note of why a server did not let it in: after a refusal the next token is a new one.
    pub fn note(&self, failure: &Failure) {
        if let LoginCredential::Tokens(tokens) = &self.credential
            && failure.kind == FailureKind::Auth
        {
            tokens.distrust();
        }
    }
}

/// Adds a password as it is now.
///
/// # Errors
/// It cannot be read.
pub fn with_password(
    commands: &mut Pipeline,
    username: Option<&str>,
    password: &Secret,
) -> Result<(), Failure> {
    let password = password
        .read()
        .map_err(|error| Failure::new(FailureKind::Auth, error.to_string()))?;
    let auth = commands.cmd("AUTH");
    if let Some(username) = username {
        auth.arg(username);
    }
    auth.arg(password);
    Ok(())
}

/// The object that a token is of, which is its user name on the server.
fn object_id(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Json = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("oid")?.as_str()?.to_owned())
}

fn nameless() -> Failure {
    let text = "identity: the token does not say which object it is of: set redis.username to the object ID of the identity";
    Failure::new(FailureKind::Auth, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_the_object_of_the_token() {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let token = |claims: &str| format!("{}.{}.sig", part("{}"), part(claims));
        assert_eq!(
            object_id(&token(r#"{"oid":"o-1"}"#)).as_deref(),
            Some("o-1")
        );
        for odd in ["", "a.b.c", &token("7"), &token(r#"{"oid":7}"#)] {
            assert_eq!(object_id(odd), None, "{odd}");
        }
    }
}
