//! An authority of Microsoft Entra, over HTTPS, as far as applications and workloads ask it for tokens.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use streamgauge::config::types::{Cloud, Identity, IdentityKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";

/// Who is told of every token.
type Told = Box<dyn Fn(&str) + Send>;

/// A token endpoint. It gives tokens to whoever shows the secret (or assertion) of now.
pub struct Authority {
    port: u16,
    valid: Arc<Mutex<String>>,
    pub lifetime_seconds: Arc<AtomicU64>,
    issued: Arc<AtomicUsize>,
    on_issue: Arc<Mutex<Told>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Authority {
    pub async fn start(acceptor: TlsAcceptor, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let valid = Arc::new(Mutex::new(secret.to_owned()));
        let lifetime_seconds = Arc::new(AtomicU64::new(3600));
        let issued = Arc::new(AtomicUsize::new(0));
        let on_issue: Arc<Mutex<Told>> = Arc::new(Mutex::new(Box::new(|_| {})));
        let shared = (
            Arc::clone(&valid),
            Arc::clone(&lifetime_seconds),
            Arc::clone(&issued),
            Arc::clone(&on_issue),
        );
        let accepting = tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let mut line = acceptor.accept(line).await.ok()?;
                    while let Some((path, body)) = request(&mut line).await {
                        let (valid, lifetime, issued, on_issue) = &shared;
                        let valid = valid.lock().expect("unpoisoned").clone();
                        let lifetime = lifetime.load(Ordering::SeqCst);
                        let (status, answer) = answer(&path, &body, &valid, lifetime);
                        issued.fetch_add(usize::from(status == 200), Ordering::SeqCst);
                        if let Some(token) = answer["access_token"].as_str() {
                            on_issue.lock().expect("unpoisoned")(token);
                        }
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
            on_issue,
            accepting,
        }
    }

    pub fn accept_only(&self, secret: &str) {
        *self.valid.lock().expect("unpoisoned") = secret.to_owned();
    }

    /// Calls this with every token before it is given out.
    pub fn on_issue(&self, told: impl Fn(&str) + Send + 'static) {
        *self.on_issue.lock().expect("unpoisoned") = Box::new(told);
    }

    pub fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    pub fn identity(&self, kind: IdentityKind, ca: PathBuf) -> Identity {
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
