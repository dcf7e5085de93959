//! Signed requests to one storage account over one kept connection pool, each counted and bounded by a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, Url};
use tokio::time::{Instant, timeout_at};

use super::account::Account;
use super::failure;
use crate::model::sample::{Failure, FailureKind};
use crate::sources::entra::Tokens;

/// The longest answer that is read: a page of 5,000 blobs with long names and metadata stays well below.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// What stays as it is in names; every other byte is percent-encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes one value of a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Encodes a path; slashes separate.
pub fn encode_path(path: &str) -> String {
    const PATH: &AsciiSet = &UNRESERVED.remove(b'/');
    utf8_percent_encode(path, PATH).to_string()
}

/// One request.
pub struct BlobRequest<'a> {
    /// GET or HEAD.
    pub method: Method,
    /// Container and blob, encoded, beginning with a slash.
    pub path: String,
    /// The query, encoded, without `?`; may be empty.
    pub query: String,
    /// Asked for only if its ETag is another.
    pub unless: Option<&'a str>,
    /// What it is about, for texts.
    pub subject: &'a str,
}

/// The store's answer, whatever its status.
pub struct BlobResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The content.
    pub body: Vec<u8>,
}

impl BlobResponse {
    /// The store's own code for what is wrong; empty if it gave none.
    pub fn code(&self) -> &str {
        let code = self.headers.get("x-ms-error-code");
        let code = code.and_then(|code| code.to_str().ok());
        code.filter(|code| code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()))
            .unwrap_or_default()
    }

    /// Whether the container is missing, not just the blob.
    pub fn lacks_container(&self) -> bool {
        self.status == 404 && self.code() == "ContainerNotFound"
    }

    /// Whether the blob is missing.
    pub fn lacks_blob(&self) -> bool {
        self.status == 404 && self.code() == "BlobNotFound"
    }

    /// What it means if it is not a success.
    pub fn refusal(&self, subject: &str) -> Failure {
        failure::of_answer(subject, self.status, self.code())
    }
}

/// Sends requests to one account with one credential.
pub struct Sender {
    http: reqwest::Client,
    account: Account,
    tokens: Option<Arc<Tokens>>,
    requests: Arc<AtomicU64>,
}

impl Sender {
    /// `tokens` are asked where the account has no credential of its own.
    pub fn new(
        http: reqwest::Client,
        account: Account,
        tokens: Option<Arc<Tokens>>,
        requests: Arc<AtomicU64>,
    ) -> Self {
        Self {
            http,
            account,
            tokens,
            requests,
        }
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// No answer came, or not before `until`.
    pub async fn send(
        &self,
        request: &BlobRequest<'_>,
        until: Instant,
    ) -> Result<BlobResponse, Failure> {
        let attempt = async {
            let mut outcome = self.try_once(request).await;
            // A kept connection that the server has just closed shows itself only now.
            if outcome.as_ref().is_err_and(SendError::is_broken_line) {
                outcome = self.try_once(request).await;
            }
            outcome
        };
        let outcome = timeout_at(until, attempt).await;
        let outcome = outcome.map_err(|_| failure::timed_out(request.subject))?;
        outcome.map_err(|error| error.told(request.subject, &self.account.secrets))
    }

    async fn try_once(&self, request: &BlobRequest<'_>) -> Result<BlobResponse, SendError> {
        let signed = self.signed(request).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = self.http.execute(signed).await.map_err(SendError::Line)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(SendError::Line)? {
            if body.len() + chunk.len() > MAX_BODY {
                let failure = failure::garbled(request.subject, "it is far too long");
                return Err(SendError::Told(failure));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(BlobResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        })
    }

    async fn signed(&self, request: &BlobRequest<'_>) -> Result<reqwest::Request, SendError> {
        let token = match (&self.account.credential, &self.tokens) {
            (None, Some(tokens)) => Some(AzureCredential::BearerToken(tokens.token().await?)),
            _ => None,
        };
        let credential = self.account.credential.as_ref().or(token.as_ref());
        let unusable = |what: &str| {
            let text = format!("{}: the request cannot be built: {what}", request.subject);
            Failure::new(FailureKind::Misconfigured, text)
        };
        let mut signing = HttpRequest::new(HttpRequestBody::empty());
        *signing.method_mut() = request.method.clone();
        let mut url = format!("{}{}", self.account.endpoint, request.path);
        if !request.query.is_empty() {
            url = format!("{url}?{}", request.query);
        }
        *signing.uri_mut() = url.parse().map_err(|_| unusable("no such url"))?;
        if let Some(etag) = request.unless {
            let value = HeaderValue::from_str(&format!("\"{etag}\""));
            let value = value.map_err(|_| unusable("its ETag is not a valid header"))?;
            signing.headers_mut().insert(IF_NONE_MATCH, value);
        }
        let credential = credential.ok_or_else(|| unusable("there is no credential"))?;
        AzureAuthorizer::new(credential, &self.account.name)
            .try_authorize(&mut signing)
            .map_err(|_| unusable("it cannot be signed"))?;
        let (parts, _) = signing.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| unusable("no such url"))?;
        let mut signed = reqwest::Request::new(parts.method, url);
        *signed.headers_mut() = parts.headers;
        Ok(signed)
    }
}

/// Why a request was not answered.
enum SendError {
    Line(reqwest::Error),
    Told(Failure),
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        Self::Told(failure)
    }
}

impl SendError {
    fn is_broken_line(&self) -> bool {
        match self {
            Self::Line(error) => !error.is_connect() && !error.is_timeout() && !error.is_builder(),
            Self::Told(_) => false,
        }
    }

    fn told(self, subject: &str, secrets: &[String]) -> Failure {
        match self {
            Self::Line(error) => failure::of_transport(subject, error, secrets),
            Self::Told(failure) => failure,
        }
    }
}
