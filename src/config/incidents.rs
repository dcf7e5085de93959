//! The `incidents` section: whom to tell.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::incident::IncidentKind;

use super::addresses::WebhookUrl;
use super::secret::Secret;
use super::table::WebhookKeys;

/// Where incidents are posted to, as CloudEvents.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// The address.
    pub url: WebhookUrl,
    /// What to sign with.
    pub secret: Secret,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The `source` of the events.
    pub source: String,
    /// Kinds that are told.
    pub kinds: BTreeSet<IncidentKind>,
    /// PEM file of certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// `None` only after a fault.
pub(super) fn webhook(keys: WebhookKeys) -> Option<WebhookConfig> {
    let kinds = keys.kinds.unwrap_or_else(|| IncidentKind::ALL.to_vec());
    Some(WebhookConfig {
        url: keys.url?,
        secret: keys.secret?,
        timeout: keys.timeout,
        source: keys.source,
        kinds: kinds.into_iter().collect(),
        ca_file: keys.ca_file,
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::types::Config;

    fn parse(webhook: &str) -> Result<Option<WebhookConfig>, String> {
        let text = format!(
            "sources: [ {{ name: main, redis: {{ url: \"redis://localhost\" }} }} ]\nincidents: {{ webhook: {webhook} }}\n"
        );
        Config::parse(&text, "c.yaml")
            .map(|config| config.webhook)
            .map_err(|errors| errors.to_string().replace("c.yaml: incidents.webhook", ""))
    }

    #[test]
    fn a_webhook_has_an_address_a_secret_and_defaults_for_the_rest() {
        let config = parse("{ url: 'https://h/x?t=1', secret: { env: S } }");
        let expect = WebhookConfig {
            url: WebhookUrl::Plain(Url::parse("https://h/x?t=1").expect("an address")),
            secret: Secret::Env("S".into()),
            timeout: Duration::from_secs(10),
            source: "/streamgauge".into(),
            kinds: IncidentKind::ALL.into(),
            ca_file: None,
        };
        assert_eq!(config, Ok(Some(expect.clone())));
        let config = parse(
            "{ url: { file: /u }, secret: { env: S }, timeout: 1s, source: /eu, kinds: [hot_partition], ca_file: /ca }",
        );
        let other = WebhookConfig {
            url: WebhookUrl::Secret(Secret::File("/u".into())),
            timeout: Duration::from_secs(1),
            source: "/eu".into(),
            kinds: [IncidentKind::HotPartition].into(),
            ca_file: Some("/ca".into()),
            ..expect
        };
        assert_eq!(config, Ok(Some(other)));
    }

    #[test]
    fn every_fault_of_a_webhook_is_told_with_its_place() {
        let check = |webhook: &str, expect: &str| {
            assert_eq!(parse(webhook).expect_err(webhook), expect);
        };
        check(
            "{}",
            ".url: is missing: set it to the URL, or to { env: NAME } if the URL contains a token\n\
             .secret: is missing: set it to the key that signs requests, as { env: NAME } or { file: /path }",
        );
        check(
            "{ url: 'ftp://hunter2', secret: hunter2, timeout: 1m, source: 'a b', kinds: [crash], x: 1 }",
            ".url: must be an http or https URL, such as https://hooks.example/x\n\
             .secret: must not contain the secret itself: write { env: NAME } or { file: /path }\n\
             .timeout: must be between 100ms and 30s\n\
             .source: must be a URI reference, such as /streamgauge/eu\n\
             .kinds[0]: must be producer_stop, consumer_crash, downstream_outage, hot_partition, slow_consumer, stuck_partition, traffic_surge or unclassified\n\
             .x: unknown key: remove it. Known keys: url, secret, timeout, source, kinds, ca_file",
        );
        check(
            "{ url: 'http://u:hunter2@h', secret: { env: S }, kinds: [] }",
            ".url: must not contain a user name or password: remove them; every request is signed with the secret\n.kinds: is empty: remove it to report all kinds",
        );
    }
}
