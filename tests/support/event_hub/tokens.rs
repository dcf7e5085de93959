//! Tokens: what clients put, what the server thinks of it, and when it runs out.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fe2o3_amqp::types::primitives::{SimpleValue, Value};

use super::broker::{Broker, locked};
use super::request::{Answer, Request};
use super::state::now_ms;

/// What `$cbs` does with tokens, and `$management` without a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPolicy {
    /// 202 to everything; reads need no token.
    AcceptAny,
    /// 401 to every put-token.
    Reject,
    /// Put-token is never answered.
    NeverAnswer,
    /// 202 to a token that has not run out. A read gets 401 when the connection's last token, or the one that the read
    /// carries, has run out, or when there was none (SASL PLAIN stands for a token without an end).
    Expire,
}

/// A token that a client put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutToken {
    /// `jwt` or `servicebus.windows.net:sastoken`, as the client said.
    pub kind: String,
    pub audience: String,
    pub token: String,
    /// By its own words (`se` of a SAS, `exp` of a JWT), else by the request's `expiration`.
    pub expires_at_ms: Option<i64>,
    /// The status it was answered with.
    pub status: Option<u16>,
}

/// What one connection has shown of itself.
#[derive(Default)]
pub struct Credentials(Mutex<Shown>);

#[derive(Default)]
enum Shown {
    #[default]
    Nothing,
    /// User and password by SASL PLAIN.
    Password,
    /// A token, and when it runs out.
    Token(Option<i64>),
}

impl Credentials {
    pub fn show_password(&self) {
        *locked(&self.0) = Shown::Password;
    }

    /// Whether a read that carries this token may pass.
    pub fn admit(&self, broker: &Broker, carried: Option<&str>) -> bool {
        if broker.token_policy() != TokenPolicy::Expire {
            return true;
        }
        let shown = match &*locked(&self.0) {
            Shown::Nothing => false,
            Shown::Password => true,
            Shown::Token(until) => is_valid(*until),
        };
        let carried = carried.is_none_or(|token| is_valid(expiry_of(broker, token)));
        shown && carried
    }
}

fn is_valid(until: Option<i64>) -> bool {
    until.is_none_or(|until| now_ms() < until)
}

/// By the token's own words, else as the client said when it put it.
fn expiry_of(broker: &Broker, token: &str) -> Option<i64> {
    let put = || {
        let tokens = broker.tokens();
        let put = tokens.iter().rev().find(|put| put.token == token)?;
        put.expires_at_ms
    };
    expiry_by_itself(token).or_else(put)
}

fn expiry_by_itself(token: &str) -> Option<i64> {
    let seconds: i64 = match token.strip_prefix("SharedAccessSignature ") {
        Some(fields) => {
            let mut fields = fields.split('&');
            fields
                .find_map(|field| field.strip_prefix("se="))?
                .parse()
                .ok()?
        }
        None => {
            let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
            let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
            claims["exp"].as_i64()?
        }
    };
    Some(seconds * 1000)
}

/// Takes a put-token in; nothing if it is not to be answered.
pub fn put_token(broker: &Broker, credentials: &Credentials, request: &Request) -> Option<Answer> {
    let token = request.body_text().unwrap_or_default();
    let said = match request.properties.get("expiration") {
        Some(SimpleValue::Timestamp(at)) => Some(at.milliseconds()),
        Some(SimpleValue::Long(at)) => Some(*at),
        _ => None,
    };
    let expires_at_ms = expiry_by_itself(&token).or(said);
    let status = match broker.token_policy() {
        TokenPolicy::AcceptAny => Some(202),
        TokenPolicy::Reject => Some(401),
        TokenPolicy::NeverAnswer => None,
        TokenPolicy::Expire if is_valid(expires_at_ms) => Some(202),
        TokenPolicy::Expire => Some(401),
    };
    if status == Some(202) {
        *locked(&credentials.0) = Shown::Token(expires_at_ms);
    }
    broker.saw_token(PutToken {
        kind: request.text("type").unwrap_or_default(),
        audience: request.text("name").unwrap_or_default(),
        token,
        expires_at_ms,
        status,
    });
    let refused = "InvalidSignature: The token has an invalid signature.";
    Some(match status? {
        202 => Answer::good(202, "Accepted", Value::Null),
        status => Answer::bad(status, "amqp:unauthorized-access", refused),
    })
}
