//! Microsoft Entra identities: tokens from an authority over HTTPS, taken by an account that asks for them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use streamgauge::config::types::{BlobAuth, CheckpointsConfig, Cloud, Identity, IdentityKind};
use streamgauge::model::sample::FailureKind;
use streamgauge::sources::event_hubs::identity::{
    Tokens, blob_scope, credential, event_hubs_scope,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

use super::store::*;
use crate::support::azurite::Azurite;
use crate::support::certificates::Certificates;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "66666666-7777-8888-9999-000000000000";

/// A token endpoint. It gives tokens to whoever shows the secret (or assertion) of now.
struct Authority {
    port: u16,
    valid: Arc<Mutex<String>>,
    lifetime_seconds: Arc<AtomicU64>,
    issued: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Authority {
    async fn start(acceptor: TlsAcceptor, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let valid = Arc::new(Mutex::new(secret.to_owned()));
        let lifetime_seconds = Arc::new(AtomicU64::new(3600));
        let issued = Arc::new(AtomicUsize::new(0));
        let shared = (
            Arc::clone(&valid),
            Arc::clone(&lifetime_seconds),
            Arc::clone(&issued),
        );
        let accepting = tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let mut line = acceptor.accept(line).await.ok()?;
                    while let Some((path, body)) = request(&mut line).await {
                        let (valid, lifetime, issued) = &shared;
                        let valid = valid.lock().expect("unpoisoned").clone();
                        let lifetime = lifetime.load(Ordering::SeqCst);
                        let (status, answer) = answer(&path, &body, &valid, lifetime);
                        issued.fetch_add(usize::from(status == 200), Ordering::SeqCst);
                        let answer = answer.to_string();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                            answer.len()
                        );
                        line.write_all((head + &answer).as_bytes()).await.ok()?;
                        line.flush().await.ok()?;
                    }
                    Some(())
                });
            }
        });
        Self {
            port,
            valid,
            lifetime_seconds,
            issued,
            accepting,
        }
    }

    fn accept_only(&self, secret: &str) {
        *self.valid.lock().expect("unpoisoned") = secret.to_owned();
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    fn identity(&self, kind: IdentityKind, ca: PathBuf) -> Identity {
        Identity {
            kind,
            cloud: Cloud::Public,
            authority_host: Some(format!("https://localhost:{}", self.port)),
            ca_file: Some(ca),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request of an HTTP/1.1 connection: its path and its form.
async fn request(
    line: &mut (impl AsyncReadExt + Unpin),
) -> Option<(String, Vec<(String, String)>)> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                let form = form_urlencoded::parse(body.as_bytes()).into_owned();
                return Some((path, form.collect()));
            }
        }
        let mut buffer = [0; 4096];
        let count = line
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
    }
}

fn answer(path: &str, form: &[(String, String)], valid: &str, lifetime: u64) -> (u16, Value) {
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(path, format!("/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(field("client_id"), Some(CLIENT));
    let shown = field("client_secret")
        .or(field("client_assertion"))
        .expect("a secret");
    if shown != valid {
        let text =
            format!("AADSTS7000215: Invalid client secret provided: \"{shown}\".\r\nTrace ID: x");
        return (
            401,
            json!({"error": "invalid_client", "error_description": text, "error_codes": [7000215]}),
        );
    }
    let audience = field("scope")
        .expect("a scope")
        .trim_end_matches("/.default");
    let token = token(audience, lifetime);
    (
        200,
        json!({"token_type": "Bearer", "expires_in": lifetime, "access_token": token}),
    )
}

/// A token as Azurite wants it; nobody checks its signature.
fn token(audience: &str, lifetime: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now - 60, "nbf": now - 60,
        "exp": now + lifetime, "oid": CLIENT, "tid": TENANT, "ver": "1.0", "appid": CLIENT,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.c2ln",
        part(&json!({"alg": "RS256", "typ": "JWT"})),
        part(&claims)
    )
}

fn application(secret: &SecretFile) -> IdentityKind {
    IdentityKind::ClientSecret {
        tenant_id: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: secret.secret(),
    }
}

/// An account over HTTPS that takes tokens, with one checkpoint.
fn account(certificates: &Certificates) -> Azurite {
    let server = Azurite::start_with_oauth(&certificates.certificate, &certificates.key);
    let steps = json!([["create", CONTAINER], checkpoint("0", 5, "1")]);
    prepare(
        &server.connection_string(),
        Some(&certificates.authority),
        &steps,
    );
    server
}

fn config_of(
    server: &Azurite,
    identity: Identity,
    certificates: &Certificates,
) -> CheckpointsConfig {
    let mut config = config(BlobAuth::Identity(identity));
    config.account_url = Some(server.account_url());
    config.ca_file = Some(certificates.authority.clone());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_reads_with_tokens_and_its_rotated_secret_is_picked_up() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "first-hush").await;
    let secret = SecretFile::new("first-hush\n");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let config = config_of(&server, identity, &certificates);
    let store = reader(&config);
    for _ in 0..3 {
        let (committed, requests) = read_counted(&store, 4).await;
        assert_eq!((positions(&committed), requests), ([("0", 5)].into(), 1));
    }
    assert_eq!(
        authority.issued(),
        1,
        "a token is used as long as it is valid"
    );

    authority.accept_only("second-hush");
    secret.set("second-hush");
    assert_eq!(
        positions(&read_counted(&store, 4).await.0),
        [("0", 5)].into()
    );
    assert_eq!(authority.issued(), 2, "a new secret gives a new token");

    secret.set("wrong-hush");
    let failure = store.read(GROUP, &partitions(1)).await.expect_err("wrong");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("AADSTS7000215"), "{failure}");
    assert!(!failure.text.contains("wrong-hush"), "{failure}");
    secret.set("second-hush");
    assert_eq!(
        positions(&read_counted(&store, 4).await.0),
        [("0", 5)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubernetes_service_account_reads_and_its_rotated_token_file_is_picked_up() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "assertion-1").await;
    let file = SecretFile::new("assertion-1");
    let kind = IdentityKind::Workload {
        client_id: Some(CLIENT.into()),
        tenant_id: Some(TENANT.into()),
        token_file: Some(file.path()),
    };
    let identity = authority.identity(kind, certificates.authority.clone());
    // Shorter than the library's margin: every reading asks for a token, and long enough to be used.
    authority.lifetime_seconds.store(200, Ordering::SeqCst);
    let store = reader(&config_of(&server, identity, &certificates));
    let read = async || positions(&read_counted(&store, 1).await.0) == [("0", 5)].into();
    assert!(read().await);
    let issued = authority.issued();
    authority.accept_only("assertion-2");
    file.set("assertion-2");
    // The library keeps the file's content for ten minutes. The refusal makes us read it anew; until then the token lasts.
    assert!(read().await);
    assert_eq!(authority.issued(), issued);
    assert!(read().await);
    assert_eq!(authority.issued(), issued + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_its_authority() {
    let certificates = Certificates::make();
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let scope = event_hubs_scope(&identity);
    let tokens = Tokens::new(identity, scope);
    authority.lifetime_seconds.store(200, Ordering::SeqCst);
    let first = tokens.token().await.expect("a token");
    assert_ne!(tokens.token().await.expect("a token"), "");
    assert_eq!(authority.issued(), 2, "it is renewed well before its end");
    authority.accept_only("another");
    let side_by_side = [(); 4].map(|()| tokens.token());
    for token in futures_util::future::join_all(side_by_side).await {
        token.expect("the token of before, for everybody who is refused");
    }
    assert!(!format!("{tokens:?}").contains(&first));
    tokens.distrust();
    let failure = tokens.token().await.expect_err("none is left");
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(!failure.text.contains("hush"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_trusted_or_not_there_is_told() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let mut identity = authority.identity(application(&secret), others.authority.clone());
    let told = async |identity: &Identity, kind, part: &str| {
        let tokens = Tokens::new(identity.clone(), blob_scope(identity));
        let failure = tokens.token().await.expect_err(part);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(part), "{part} in: {failure}");
        assert!(!failure.text.contains("hush"), "{failure}");
    };
    told(&identity, FailureKind::Unreachable, "certificate").await;
    identity.ca_file = Some("/nonexistent/ca.pem".into());
    told(&identity, FailureKind::Misconfigured, "/nonexistent/ca.pem").await;
    identity.ca_file = Some(secret.path());
    told(&identity, FailureKind::Misconfigured, "no PEM certificate").await;
    identity.ca_file = Some(certificates.authority.clone());
    identity.authority_host = Some("http://localhost:1".into());
    told(&identity, FailureKind::Auth, "HTTPS").await;
    identity.authority_host = Some("https://localhost:1".into());
    told(&identity, FailureKind::Unreachable, "authority_host").await;
    identity.kind = IdentityKind::Workload {
        client_id: Some(CLIENT.into()),
        tenant_id: Some(TENANT.into()),
        token_file: Some("/nonexistent/token".into()),
    };
    told(&identity, FailureKind::Auth, "/nonexistent/token").await;
    identity.kind = IdentityKind::Managed {
        client_id: Some(CLIENT.into()),
    };
    assert!(credential(&identity).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_something_else_is_refused_by_the_account() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let mut config = config_of(&server, identity, &certificates);
    authority.lifetime_seconds.store(0, Ordering::SeqCst);
    let store = reader(&config);
    let failure = store
        .read(GROUP, &partitions(1))
        .await
        .expect_err("expired");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("AuthenticationFailed"), "{failure}");
    authority.lifetime_seconds.store(3600, Ordering::SeqCst);
    assert_eq!(
        positions(&read_counted(&store, 1).await.0),
        [("0", 5)].into()
    );

    config.ca_file = None;
    let failure = reader(&config)
        .read(GROUP, &partitions(1))
        .await
        .expect_err("untrusted");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("checkpoints.ca_file"), "{failure}");
}
