//! Addresses as users write them: which are accepted, and what is said of the others. None is repeated in an error: it may hold a
//! password by mistake.

use std::fmt;

use url::Url;

use super::secret::Secret;

/// The address of an HTTP server that paths are added to.
pub(super) fn prometheus_url(text: &str) -> Result<Url, &'static str> {
    let found = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.query().is_none() && url.fragment().is_none());
    let url = found.ok_or(
        "must be an http or https URL without query parameters, such as http://prometheus:9090",
    )?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password: set username and password instead");
    }
    Ok(url)
}

/// The address of a webhook, which may be a secret itself: many carry a token.
#[derive(Clone, Debug, PartialEq)]
pub enum WebhookUrl {
    /// As it stands in the config.
    Plain(Url),
    /// Elsewhere.
    Secret(Secret),
}

/// The address, if it can be posted to.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub fn webhook_url(text: &str) -> Result<Url, &'static str> {
    let found = Url::parse(text.trim()).ok();
    let found = found.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = found.ok_or("must be an http or https URL, such as https://hooks.example/x")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not contain a user name or password: remove them; every request is signed with the secret",
        );
    }
    Ok(url)
}

/// The `source` of events: any URI reference.
pub(super) fn reference(text: &str) -> Result<String, &'static str> {
    let base = Url::parse("http://h/").ok();
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    let is_reference = is_plain && base.is_some_and(|base| base.join(text).is_ok());
    let expected = "must be a URI reference, such as /streamgauge/eu";
    is_reference.then(|| text.to_owned()).ok_or(expected)
}

/// An address as the printed config shows it: tokens like to hide in path and query.
pub(super) fn without_path(url: &Url) -> String {
    let rest = match (url.path(), url.query()) {
        ("/", None) => "/",
        _ => "/…",
    };
    format!("{}{rest}", url.origin().ascii_serialization())
}

/// An AMQP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `amqps` or `amqp`.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

/// An AMQP address.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    parse_endpoint(text).ok_or("must look like amqps://host:5671, or amqp://host:5672 without TLS")
}

fn parse_endpoint(text: &str) -> Option<Endpoint> {
    let url = Url::parse(text).ok()?;
    let tls = match url.scheme() {
        "amqps" => true,
        "amqp" => false,
        _ => return None,
    };
    let bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|host| bare && !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Endpoint {
        tls,
        host: host.to_owned(),
        port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
    })
}

/// A host name alone: what stands in a connection string beside it is a secret and must not get here.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let is_host = !text.is_empty() && text.chars().all(allowed);
    is_host.then(|| text.to_owned()).ok_or(
        "must be only the host name from the connection string, such as ns.servicebus.windows.net",
    )
}

/// An address without credentials: a signature in it would be a secret in the config.
pub(super) fn account_url(text: &str) -> Result<String, &'static str> {
    let bare = |url: &Url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if Url::parse(text).is_ok_and(|url| bare(&url)) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(
        "must be only the storage account's address, such as https://account.blob.core.windows.net: put a signature under sas: { env: NAME }",
    )
}

/// The address of an authority that issues tokens.
pub(super) fn authority(text: &str) -> Result<String, &'static str> {
    let is_https = Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    let expected = "must be an https URL, such as https://login.microsoftonline.com";
    is_https.then(|| text.to_owned()).ok_or(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port_and_nothing_else() {
        let check = |text: &str, expect: Option<(bool, &str, u16)>| {
            let found = parse_endpoint(text);
            let found = found.as_ref().map(|e| (e.tls, e.host.as_str(), e.port));
            assert_eq!(found, expect, "{text}");
        };
        check("amqps://hub.example", Some((true, "hub.example", 5671)));
        check("amqp://127.0.0.1:5673/", Some((false, "127.0.0.1", 5673)));
        check("amqp://[::1]:5673", Some((false, "::1", 5673)));
        check("amqps://key:secret@hub.example", None);
        check("sb://hub.example", None);
        check("amqps://hub.example/clicks", None);
        check("hub.example:5671", None);
        check("", None);
    }
}
