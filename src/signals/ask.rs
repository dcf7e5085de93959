//! One question over HTTP, within its deadline and a bound on the answer.

use std::time::Duration;

use url::Url;

use crate::config::signals::{HttpCredential, PrometheusConfig};
use crate::model::sample::{Failure, FailureKind};
use crate::web::{self, root_cause};

use super::answer::{self, Said};

/// The largest response that is read: one number needs a few hundred bytes, and many series are an error anyway.
const LARGEST_ANSWER: usize = 1 << 20;

/// The secret and authorities as they are now. Not printable.
#[derive(Clone, PartialEq, Eq)]
pub struct PromqlBasis {
    secret: Option<String>,
    authorities: Option<Vec<u8>>,
}

impl PromqlBasis {
    /// Reads them.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(config: &PrometheusConfig) -> Result<Self, Failure> {
        let secret = config.credential.as_ref().map(|credential| {
            let (key, secret) = credential.secret();
            let fail =
                |error| Failure::new(FailureKind::Auth, format!("prometheus.{key}: {error}"));
            secret.read().map_err(fail)
        });
        Ok(Self {
            secret: secret.transpose()?,
            authorities: config.ca_file.as_deref().map(web::read_ca).transpose()?,
        })
    }
}

/// A client and its credential, in use for as long as these stay the same.
#[derive(Clone)]
pub struct PromqlSession {
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
    credential: Option<HttpCredential>,
    basis: PromqlBasis,
}

impl std::fmt::Debug for PromqlSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromqlSession").finish_non_exhaustive()
    }
}

impl PromqlSession {
    /// A session that has asked nothing yet.
    ///
    /// # Errors
    /// The authorities cannot be used.
    pub fn open(config: &PrometheusConfig, basis: PromqlBasis) -> Result<Self, Failure> {
        let ca = config.ca_file.as_deref().zip(basis.authorities.as_deref());
        Ok(Self {
            client: web::client(ca, config.timeout)?,
            url: web::below(&config.url, "api/v1/query"),
            timeout: config.timeout,
            credential: config.credential.clone(),
            basis,
        })
    }

    /// Whether it was made from just this.
    pub fn rests_on(&self, basis: &PromqlBasis) -> bool {
        self.basis == *basis
    }

    /// Asks for the value of an expression.
    ///
    /// # Errors
    /// No answer in time, or none that makes sense.
    pub async fn ask(&self, expression: &str) -> Result<Said, Failure> {
        let answered = tokio::time::timeout(self.timeout, self.answer(expression)).await;
        answered.unwrap_or_else(|_| {
            let limit = humantime::format_duration(self.timeout);
            let text = format!("prometheus did not answer within {limit}");
            Err(Failure::new(FailureKind::Timeout, text))
        })
    }

    async fn answer(&self, expression: &str) -> Result<Said, Failure> {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expression)
            .append_pair("timeout", &format!("{}ms", self.timeout.as_millis()))
            .finish();
        // As a form: an expression may be longer than servers let an address be.
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let request = match (&self.credential, &self.basis.secret) {
            (Some(HttpCredential::Bearer(_)), Some(token)) => request.bearer_auth(token),
            (Some(HttpCredential::Basic(user, _)), Some(password)) => {
                request.basic_auth(user, Some(password))
            }
            _ => request,
        };
        let mut response = request.send().await.map_err(of_transport)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(of_transport)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                let text = "the expression returned far too many values: reduce them to one, for example with sum() or max()";
                return Ok(Err(text.to_owned()));
            }
        }
        answer::read(status, &body)
    }
}

/// What kept a question from being answered. The address is the user's own and not repeated: it may hold what is secret.
fn of_transport(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if error.is_timeout() {
        let text = "prometheus did not accept a connection in time";
        return Failure::new(FailureKind::Timeout, text);
    }
    let text = format!("prometheus cannot be reached: {}", root_cause(&error));
    Failure::new(FailureKind::Unreachable, text)
}
