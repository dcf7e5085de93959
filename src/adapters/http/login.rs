//! Who may see page, API and metrics: whoever sends the token, as a bearer token (RFC 6750) or as the password of a browser (RFC 7617),
//! and whoever showed a certificate that is right.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::config::secret::Secret;
use crate::inbound::Peer;
use crate::inbound::seldom::Seldom;

/// What browsers ask their user for; others are told that a bearer token will do.
const CHALLENGES: [&str; 2] = [
    "Basic realm=\"streamgauge\", charset=\"UTF-8\"",
    "Bearer realm=\"streamgauge\"",
];

/// How often it is looked whether who was let in still would be, while an answer goes on.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What lets somebody in.
#[derive(Debug)]
pub struct HttpLogin {
    token: Option<Secret>,
    told: Seldom,
}

impl HttpLogin {
    /// With that token, where there is one. Certificates were checked when the connection came in.
    pub fn new(token: Option<Secret>) -> Self {
        Self {
            token,
            told: Seldom::default(),
        }
    }

    /// Whether the request may be answered.
    fn check(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<(), Refused> {
        if peer.is_some_and(|peer| peer.is_certified) {
            return Ok(());
        }
        let Some(sent) = headers.get(header::AUTHORIZATION) else {
            return Err(Refused::Nothing);
        };
        let Some(token) = &self.token else {
            return Err(Refused::Wrong);
        };
        let token = token
            .read()
            .map_err(|error| Refused::Unreadable(error.to_string()))?;
        if token.is_empty() {
            return Err(Refused::Unreadable("it is empty".to_owned()));
        }
        let sent = sent_token(sent).ok_or(Refused::Wrong)?;
        // Hashes take as long to compare however much of them is right.
        let is_right = Sha256::digest(&sent) == Sha256::digest(&token);
        is_right.then_some(()).ok_or(Refused::Wrong)
    }
}

/// Why a request is not answered.
#[derive(Debug)]
enum Refused {
    /// It says nothing of who sends it, as a browser's first.
    Nothing,
    Wrong,
    /// Ours cannot be read.
    Unreadable(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if let Self::Unreadable(_) = self {
            let text = "nobody can log in: server.login.token cannot be read, the log says why\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
        let text = "log in: send the token of server.login as a bearer token, or as the password for any user name\n";
        let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
        for challenge in CHALLENGES {
            let challenge = HeaderValue::from_static(challenge);
            let headers = response.headers_mut();
            headers.append(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The token in an Authorization header.
fn sent_token(value: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// Answers those who may be answered.
pub async fn check(
    State(login): State<Option<Arc<HttpLogin>>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(login) = login else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<Peer>().cloned();
    let headers = request.headers().clone();
    let Err(refused) = login.check(peer.as_ref(), &headers) else {
        let response = next.run(request).await;
        if !is_of_events(&response) {
            return response;
        }
        return response.map(|body| while_let_in(login, peer, headers, body));
    };
    let client = peer.map(|peer| peer.address);
    match &refused {
        Refused::Nothing => {}
        Refused::Wrong if login.told.is_due("wrong") => {
            tracing::warn!(?client, "a request was refused: its token is wrong");
        }
        Refused::Unreadable(why) if login.told.is_due("unreadable") => {
            tracing::error!("nobody can log in: server.login.token: {why}");
        }
        Refused::Wrong | Refused::Unreadable(_) => {}
    }
    refused.into_response()
}

/// Whether it may end between any two pieces. Others would look whole.
fn is_of_events(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// An answer that has no end ends soon after the token is another one.
fn while_let_in(login: Arc<HttpLogin>, peer: Option<Peer>, headers: HeaderMap, body: Body) -> Body {
    let mut looked = Instant::now();
    let pieces = body.into_data_stream().take_while(move |_| {
        let is_due = looked.elapsed() >= LOOK_AGAIN;
        if is_due {
            looked = Instant::now();
        }
        let is_refused =
            is_due && matches!(login.check(peer.as_ref(), &headers), Err(Refused::Wrong));
        ready(!is_refused)
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(token: &str, sent: Option<&str>) -> bool {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, token).expect("written");
        let login = HttpLogin::new(Some(Secret::File(file)));
        let mut headers = HeaderMap::new();
        if let Some(sent) = sent {
            let sent = HeaderValue::from_str(sent).expect("a header");
            headers.insert(header::AUTHORIZATION, sent);
        }
        login.check(Some(&Peer::default()), &headers).is_ok()
    }

    #[test]
    fn the_token_lets_in_as_a_bearer_and_as_a_password() {
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert!(is_let_in("s3cret\n", Some("Bearer s3cret")));
        assert!(is_let_in("s3cret", Some("bearer s3cret")));
        assert!(is_let_in("s3:cret", Some(&basic("anyone:s3:cret"))));
        assert!(is_let_in("schlüssel", Some(&basic(":schlüssel"))));
        let wrong = [
            "Bearer s3cre",
            "Bearer ",
            "s3cret",
            "Digest s3cret",
            "Basic s3cret",
        ];
        for sent in wrong {
            assert!(!is_let_in("s3cret", Some(sent)), "{sent}");
        }
        assert!(!is_let_in("s3cret", Some(&basic("s3cret:"))));
        assert!(!is_let_in("s3cret", None));
    }

    #[test]
    fn an_empty_token_lets_nobody_in() {
        assert!(!is_let_in("\n", Some("Bearer ")));
        assert!(!is_let_in("", Some("Basic Og==")));
    }

    #[test]
    fn a_certificate_needs_no_token() {
        let login = HttpLogin::new(None);
        let mut peer = Peer::default();
        assert!(login.check(Some(&peer), &HeaderMap::new()).is_err());
        peer.is_certified = true;
        assert!(login.check(Some(&peer), &HeaderMap::new()).is_ok());
    }
}
