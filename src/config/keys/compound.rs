//! Values made of several parts: secrets, lists, addresses.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use serde_yaml::Value;
use url::Url;

use super::entry::optional;
use super::keys;
use super::kind::{Kind, print};
use super::mapping::{NOT_TEXT, Sub, schema};
use super::place::Place;
use super::scalar::{Parsed, Scalar, file, variable};
use crate::config::addresses::{WebhookUrl, webhook_url, without_path};
use crate::config::secret::{SHAPE, Secret};

/// A list of values.
pub struct ListOf<K> {
    kind: K,
    advice: &'static str,
}

impl<K: Scalar> ListOf<K> {
    /// One with at least one item; `advice` is for one without.
    pub const fn of(kind: K, advice: &'static str) -> Self {
        Self { kind, advice }
    }
}

impl<K: Scalar> Kind for ListOf<K> {
    type Value = Vec<K::Value>;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Self::Value> {
        let Value::Sequence(items) = value else {
            at.fault("must be a list, such as [\"a\", \"b\"]");
            return None;
        };
        if items.is_empty() {
            at.fault(format!("is empty: {}", self.advice));
            return None;
        }
        let read = |(n, item)| self.kind.read(item, &mut at.item(n));
        Some(items.into_iter().enumerate().filter_map(read).collect())
    }

    fn read_text(&self, _: &str) -> Result<Self::Value, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &Self::Value) -> Value {
        value.iter().map(|item| self.kind.print(item)).collect()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "minItems": 1, "items": self.kind.schema() })
    }

    fn limits(&self) -> Option<String> {
        self.kind.limits()
    }
}

keys! {
    /// Where a secret is found; the value itself never stands in the config.
    struct SecretKeys {
        /// An environment variable.
        env: Option<String> = optional(variable()),
        /// A file. It is read again when it changes; a trailing line break is not part of the secret.
        file: Option<PathBuf> = optional(file()),
    }
    exactly_one ["env", "file"]
}

/// A reference to a secret. A plain value is refused and never shown.
pub struct SecretKind;

/// A reference to a secret.
pub const fn secret() -> SecretKind {
    SecretKind
}

impl Kind for SecretKind {
    type Value = Secret;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Secret> {
        if !value.is_mapping() {
            at.fault(format!("must not contain the secret itself: {SHAPE}"));
            return None;
        }
        let keys = Sub::<SecretKeys>::new().read(value, at)?;
        match (keys.env, keys.file) {
            (Some(name), None) => Some(Secret::Env(name)),
            (None, Some(path)) => Some(Secret::File(path)),
            _ => {
                if !at.is_faulty("") {
                    at.fault(format!("must have exactly one of env and file: {SHAPE}"));
                }
                None
            }
        }
    }

    fn read_text(&self, _: &str) -> Result<Secret, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &Secret) -> Value {
        let (env, file) = match value {
            Secret::Env(name) => (Some(name.clone()), None),
            Secret::File(path) => (None, Some(path.clone())),
        };
        print(&SecretKeys { env, file })
    }

    fn schema(&self) -> Json {
        schema::<SecretKeys>()
    }

    fn limits(&self) -> Option<String> {
        Some("`{ env: NAME }` or `{ file: /path }`.".into())
    }
}

/// An address that may be a secret itself.
pub struct UrlOrSecret;

impl UrlOrSecret {
    fn plain() -> Parsed<Url> {
        Parsed::new(webhook_url, without_path, "^\\s*https?://[^/@?#]+")
    }
}

impl Kind for UrlOrSecret {
    type Value = WebhookUrl;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<WebhookUrl> {
        match value.is_mapping() {
            true => SecretKind.read(value, at).map(WebhookUrl::Secret),
            false => Self::plain().read(value, at).map(WebhookUrl::Plain),
        }
    }

    fn read_text(&self, _: &str) -> Result<WebhookUrl, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &WebhookUrl) -> Value {
        match value {
            WebhookUrl::Plain(url) => Self::plain().print(url),
            WebhookUrl::Secret(place) => SecretKind.print(place),
        }
    }

    fn schema(&self) -> Json {
        json!({ "oneOf": [Self::plain().schema(), SecretKind.schema()] })
    }
}

/// One expression or a list of keys, as it stands: what it means depends on the source.
pub struct StreamNames;

impl Kind for StreamNames {
    type Value = Value;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Value> {
        let texts = value
            .as_sequence()
            .map(|items| items.iter().all(Value::is_string));
        if value.is_string() || texts == Some(true) {
            return Some(value);
        }
        at.fault("must be a string or a list of strings: put numbers in quotes");
        None
    }

    fn read_text(&self, _: &str) -> Result<Value, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &Value) -> Value {
        value.clone()
    }

    fn schema(&self) -> Json {
        let text = json!({ "type": "string", "minLength": 1 });
        json!({ "oneOf": [text, { "type": "array", "minItems": 1, "items": text }] })
    }
}
