//! Connection strings of Event Hubs: of a namespace, of one event hub, or of the emulator.

use std::fmt;

use url::Url;

/// What a connection string says. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    /// The endpoint's host, in lower case.
    pub namespace: String,
    /// The endpoint's port, if it names one.
    pub port: Option<u16>,
    /// The event hub that it is limited to.
    pub event_hub: Option<String>,
    /// Whether it leads to the emulator, which speaks without TLS.
    pub emulator: bool,
    /// What proves who asks.
    pub grant: Grant,
}

/// What a connection string proves its bearer with.
#[derive(Clone, PartialEq, Eq)]
pub enum Grant {
    /// A shared access key: signs tokens for as long as it is not replaced.
    Key {
        /// The policy that the key belongs to.
        name: String,
        /// The key.
        key: String,
    },
    /// A ready token, `SharedAccessSignature sr=…`.
    Signature(String),
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { name, .. } => f.debug_struct("Key").field("name", name).finish(),
            Self::Signature(_) => f.write_str("Signature"),
        }
    }
}

/// Why a text is not a connection string. Names keys of the format, never what stands behind them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A part without `=`.
    #[error("part {0} is not of the form Key=Value")]
    NoPair(usize),
    /// A key that stands there twice.
    #[error("{0} appears twice")]
    Twice(&'static str),
    /// A key without a value.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A key that is needed.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// No address.
    #[error("Endpoint is not of the form sb://host/")]
    Endpoint,
    /// A switch that is neither on nor off.
    #[error("UseDevelopmentEmulator must be true or false")]
    Switch,
    /// Two ways to prove who asks.
    #[error("SharedAccessKey and SharedAccessSignature cannot be used together")]
    TwoGrants,
}

const ENDPOINT: &str = "Endpoint";
const KEY_NAME: &str = "SharedAccessKeyName";
const KEY: &str = "SharedAccessKey";
const SIGNATURE: &str = "SharedAccessSignature";
const ENTITY: &str = "EntityPath";
const EMULATOR: &str = "UseDevelopmentEmulator";
const KEYS: [&str; 6] = [ENDPOINT, KEY_NAME, KEY, SIGNATURE, ENTITY, EMULATOR];

impl ConnectionString {
    /// Reads a connection string: parts in any order, keys in any case, unknown keys passed over as Microsoft's clients do.
    ///
    /// # Errors
    /// If it does not say where to go, or not what to prove oneself with.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let parts = KnownParts::split(text)?;
        let (namespace, port) = address(parts.needed(ENDPOINT)?)?;
        let emulator = match parts.get(EMULATOR) {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("true") => true,
            Some(word) if word.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(ConnectionStringError::Switch),
        };
        Ok(Self {
            namespace,
            port,
            event_hub: parts.get(ENTITY).map(str::to_owned),
            emulator,
            grant: grant(&parts)?,
        })
    }
}

/// The parts that this program knows, by key.
struct KnownParts<'a>(Vec<(&'static str, &'a str)>);

impl<'a> KnownParts<'a> {
    fn split(text: &'a str) -> Result<Self, ConnectionStringError> {
        let mut found: Vec<(&'static str, &'a str)> = Vec::new();
        let parts = text.split(';').map(str::trim).enumerate();
        for (index, part) in parts.filter(|(_, part)| !part.is_empty()) {
            // The first `=` parts them: keys and signatures contain more of them.
            let (key, value) = part
                .split_once('=')
                .ok_or(ConnectionStringError::NoPair(index + 1))?;
            let known = KEYS
                .into_iter()
                .find(|k| k.eq_ignore_ascii_case(key.trim()));
            let Some(known) = known else { continue };
            match value.trim() {
                "" => return Err(ConnectionStringError::Empty(known)),
                _ if found.iter().any(|(key, _)| *key == known) => {
                    return Err(ConnectionStringError::Twice(known));
                }
                value => found.push((known, value)),
            }
        }
        Ok(Self(found))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| *value)
    }

    fn needed(&self, key: &'static str) -> Result<&'a str, ConnectionStringError> {
        self.get(key).ok_or(ConnectionStringError::Missing(key))
    }
}

fn address(endpoint: &str) -> Result<(String, Option<u16>), ConnectionStringError> {
    let url = Url::parse(endpoint).map_err(|_| ConnectionStringError::Endpoint)?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(ConnectionStringError::Endpoint)?;
    Ok((host.to_ascii_lowercase(), url.port()))
}

fn grant(parts: &KnownParts<'_>) -> Result<Grant, ConnectionStringError> {
    let Some(signature) = parts.get(SIGNATURE) else {
        return Ok(Grant::Key {
            name: parts.needed(KEY_NAME)?.to_owned(),
            key: parts.needed(KEY)?.to_owned(),
        });
    };
    if parts.get(KEY).is_some() {
        return Err(ConnectionStringError::TwoGrants);
    }
    // Some tools leave the scheme's name out.
    let fields = signature.strip_prefix(SIGNATURE).unwrap_or(signature);
    Ok(Grant::Signature(format!("{SIGNATURE} {}", fields.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, key: &str) -> Grant {
        Grant::Key {
            name: name.into(),
            key: key.into(),
        }
    }

    fn parse(text: &str) -> ConnectionString {
        ConnectionString::parse(text).expect("a connection string")
    }

    #[test]
    fn a_namespace_and_an_event_hub_in_any_order_and_case() {
        let expect = ConnectionString {
            namespace: "ns.servicebus.windows.net".into(),
            port: None,
            event_hub: None,
            emulator: false,
            grant: key("Root", "a+b/c=="),
        };
        for text in [
            "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=a+b/c==",
            " sharedaccesskey=a+b/c== ; SHAREDACCESSKEYNAME=Root;endpoint=sb://NS.servicebus.windows.net;",
            "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=a+b/c==;TransportType=Amqp",
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
        let of_hub =
            parse("Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=orders");
        assert_eq!(of_hub.event_hub.as_deref(), Some("orders"));
    }

    #[test]
    fn the_emulator_with_and_without_a_port() {
        let text = "Endpoint=sb://localhost;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=TRUE;";
        assert!(parse(text).emulator);
        assert_eq!(parse(text).port, None);
        let with_port = parse(&text.replace("localhost", "localhost:15672"));
        assert_eq!(
            (with_port.namespace.as_str(), with_port.port),
            ("localhost", Some(15672))
        );
        assert!(!parse(&text.replace("TRUE", "false")).emulator);
    }

    #[test]
    fn a_ready_signature_with_and_without_its_scheme() {
        let expect = Grant::Signature("SharedAccessSignature sr=a&sig=b%3D&se=1&skn=n".into());
        for value in [
            "sr=a&sig=b%3D&se=1&skn=n",
            "SharedAccessSignature sr=a&sig=b%3D&se=1&skn=n",
        ] {
            let text = format!("Endpoint=sb://ns/;SharedAccessSignature={value}");
            assert_eq!(parse(&text).grant, expect, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expect: &str| {
            let error = ConnectionString::parse(text).expect_err(text);
            assert_eq!(error.to_string(), expect, "{text}");
        };
        check("", "Endpoint is missing");
        check("s3cret", "part 1 is not of the form Key=Value");
        check(
            "Endpoint=ns;SharedAccessKeyName=n;SharedAccessKey=k",
            "Endpoint is not of the form sb://host/",
        );
        check(
            "Endpoint=sb:///;SharedAccessKeyName=n;SharedAccessKey=k",
            "Endpoint is not of the form sb://host/",
        );
        check(
            "Endpoint=sb://ns/;SharedAccessKey=k",
            "SharedAccessKeyName is missing",
        );
        check(
            "Endpoint=sb://ns/;SharedAccessKeyName=n",
            "SharedAccessKey is missing",
        );
        check(
            "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=",
            "SharedAccessKey is empty",
        );
        check(
            "Endpoint=sb://ns/;endpoint=sb://ns/",
            "Endpoint appears twice",
        );
        check(
            "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=1",
            "UseDevelopmentEmulator must be true or false",
        );
        check(
            "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=k;SharedAccessSignature=sr=x",
            "SharedAccessKey and SharedAccessSignature cannot be used together",
        );
    }

    proptest::proptest! {
        #[test]
        fn no_error_and_no_debug_output_shows_a_secret(
            secret in "[A-Za-z0-9+/]{16,44}",
            shape in 0..6_usize,
        ) {
            let text = [
                format!("Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey={secret}"),
                format!("Endpoint=sb://ns/;SharedAccessSignature=sr=x&sig={secret}&se=1&skn=n"),
                format!("Endpoint=sb://ns/;SharedAccessKeyName=n;{secret}"),
                format!("Endpoint={secret};SharedAccessKeyName=n;SharedAccessKey={secret}"),
                format!("Endpoint=sb://ns/;SharedAccessKey={secret}"),
                format!("{secret}=;UseDevelopmentEmulator={secret}"),
            ];
            let shown = match ConnectionString::parse(&text[shape]) {
                Ok(parsed) => format!("{parsed:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            proptest::prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
