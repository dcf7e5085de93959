//! Signals that come from elsewhere than the stream: a group's `signals`, and the `prometheus` section that answers PromQL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::model::signal::{ErrorSource, Signal};

use super::keys::Place;
use super::secret::Secret;
use super::table::{ErrorRateKeys, PrometheusKeys, SignalKeys};

/// The Prometheus, or whatever speaks its HTTP API, that PromQL is asked of.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusConfig {
    /// Its address, up to where `/api/v1` begins.
    pub url: Url,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often each expression is asked.
    pub interval: Duration,
    /// How to prove who we are.
    pub credential: Option<HttpCredential>,
    /// PEM file of certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// What an HTTP server is told of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpCredential {
    /// A token.
    Bearer(Secret),
    /// A name and a password.
    Basic(String, Secret),
}

impl HttpCredential {
    /// Its secret, with its key.
    pub const fn secret(&self) -> (&'static str, &Secret) {
        match self {
            Self::Bearer(secret) => ("bearer_token", secret),
            Self::Basic(_, secret) => ("password", secret),
        }
    }
}

/// Where a signal of a group comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalSource {
    /// An expression with one value.
    PromQl(String),
    /// The group's own source counts.
    Counted(ErrorSource),
}

/// Signals by name.
pub type SignalSources = BTreeMap<Signal, SignalSource>;

/// What the group's own source is to count as errors.
pub fn counted_errors(signals: &SignalSources) -> Option<&ErrorSource> {
    match signals.get(&Signal::ErrorRate)? {
        SignalSource::Counted(errors) => Some(errors),
        SignalSource::PromQl(_) => None,
    }
}

/// `None` only after a fault.
pub(super) fn prometheus(keys: PrometheusKeys, place: &mut Place<'_>) -> Option<PrometheusConfig> {
    let credential = credential(keys.bearer_token, keys.username, keys.password, place);
    Some(PrometheusConfig {
        url: keys.url?,
        timeout: keys.timeout,
        interval: keys.interval,
        credential,
        ca_file: keys.ca_file,
    })
}

fn credential(
    token: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    place: &mut Place<'_>,
) -> Option<HttpCredential> {
    match (token, username, password) {
        (Some(token), None, None) => Some(HttpCredential::Bearer(token)),
        (None, Some(username), Some(password)) => Some(HttpCredential::Basic(username, password)),
        (None, None, None) => None,
        (Some(_), ..) => {
            let text =
                "cannot be used together with username and password: remove one or the other";
            place.fault_at("bearer_token", text);
            None
        }
        (None, Some(_), None) => {
            place.missing("password", "username requires it");
            None
        }
        (None, None, Some(_)) => {
            place.missing("username", "password requires it");
            None
        }
    }
}

/// What a group's `signals` mean. `asks` is whether a Prometheus is configured, `counts` whether its source can count errors.
pub(super) fn signals(
    keys: SignalKeys,
    asks: bool,
    counts: bool,
    place: &mut Place<'_>,
) -> SignalSources {
    let mut found = SignalSources::new();
    if let Some(keys) = keys.error_rate {
        let source = error_rate(keys, asks, counts, &mut place.at("error_rate"));
        found.extend(source.map(|source| (Signal::ErrorRate, source)));
    }
    if let Some(expression) = keys.resource_utilization.and_then(|keys| keys.promql) {
        let source = prom_ql(expression, asks, &mut place.at("resource_utilization"));
        found.insert(Signal::ResourceUtilization, source);
    }
    found
}

fn error_rate(
    keys: ErrorRateKeys,
    asks: bool,
    counts: bool,
    place: &mut Place<'_>,
) -> Option<SignalSource> {
    let counted = [
        ("redeliveries", keys.redeliveries.is_some()),
        ("dead_letter", keys.dead_letter.is_some()),
    ];
    for (key, _) in counted
        .into_iter()
        .filter(|(_, is_there)| *is_there && !counts)
    {
        place.fault_at(
            key,
            "is available only for Redis Streams: use promql instead",
        );
    }
    match (keys.promql, keys.redeliveries, keys.dead_letter) {
        (Some(expression), None, None) => Some(prom_ql(expression, asks, place)),
        (None, Some(true), None) => Some(SignalSource::Counted(ErrorSource::Redeliveries)),
        (None, Some(false), None) => {
            place.fault_at("redeliveries", "must be true: remove it to turn it off");
            None
        }
        (None, None, Some(key)) => Some(SignalSource::Counted(ErrorSource::DeadLetter(key))),
        _ => {
            if !place.is_faulty("") {
                place.fault(
                    "must have exactly one of promql, redeliveries and dead_letter: write promql: \"…\", redeliveries: true or dead_letter: KEY",
                );
            }
            None
        }
    }
}

fn prom_ql(expression: String, asks: bool, place: &mut Place<'_>) -> SignalSource {
    if !asks {
        let text = "requires a Prometheus server: add prometheus: { url: http://prometheus:9090 } at the top level of the file";
        place.fault_at("promql", text);
    }
    SignalSource::PromQl(expression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Config;

    const HUB: &str = "{ name: hub, event_hubs: { namespace: n.servicebus.windows.net, event_hub: e, connection_string: { env: X }, \
                       checkpoints: { account_url: 'https://a.blob.core.windows.net', container: c, account_key: { env: Y } } } }";

    fn parse(prometheus: &str, source: &str, signals: &str) -> Result<Config, String> {
        let text = format!(
            "{prometheus}\nsources: [ {{ name: main, redis: {{ url: \"redis://localhost\" }} }}, {HUB} ]\n\
             groups: [ {{ name: g, source: {source}, consumer_group: c, signals: {signals}{} }} ]\n",
            if source == "main" { ", stream: s" } else { "" }
        );
        Config::parse(&text, "c.yaml").map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_signal_comes_from_promql_redeliveries_or_a_dead_letter_stream() {
        const PROMETHEUS: &str = "prometheus: { url: 'https://p:9090/x/', interval: 1m, timeout: 2s, username: u, password: { env: P }, ca_file: /ca }";
        let check = |signals: &str, expect: &[(Signal, SignalSource)]| {
            let config = parse(PROMETHEUS, "main", signals).unwrap_or_else(|e| panic!("{e}"));
            let expect: SignalSources = expect.iter().cloned().collect();
            assert_eq!(config.groups[0].signals, expect);
            config
        };
        let errors = |source| (Signal::ErrorRate, SignalSource::Counted(source));
        check(
            "{ error_rate: { redeliveries: true } }",
            &[errors(ErrorSource::Redeliveries)],
        );
        check(
            "{ error_rate: { dead_letter: 'orders:dead' } }",
            &[errors(ErrorSource::DeadLetter("orders:dead".into()))],
        );
        let config = check(
            "{ error_rate: { promql: a }, resource_utilization: { promql: b } }",
            &[
                (Signal::ErrorRate, SignalSource::PromQl("a".into())),
                (
                    Signal::ResourceUtilization,
                    SignalSource::PromQl("b".into()),
                ),
            ],
        );
        let password = HttpCredential::Basic("u".into(), Secret::Env("P".into()));
        let expect = PrometheusConfig {
            url: Url::parse("https://p:9090/x/").expect("an address"),
            timeout: Duration::from_secs(2),
            interval: Duration::from_secs(60),
            credential: Some(password),
            ca_file: Some("/ca".into()),
        };
        assert_eq!(config.prometheus, Some(expect));
    }

    #[test]
    fn every_fault_of_signals_is_told_with_its_place() {
        let check = |prometheus: &str, source: &str, signals: &str, expect: &str| {
            let said = parse(prometheus, source, signals).expect_err(signals);
            assert_eq!(
                said.replace("c.yaml: ", ""),
                expect,
                "{prometheus} {signals}"
            );
        };
        let at = "groups[0].signals";
        check(
            "",
            "main",
            "{ error_rate: { promql: a } }",
            &format!(
                "{at}.error_rate.promql: requires a Prometheus server: add prometheus: {{ url: http://prometheus:9090 }} at the top level of the file"
            ),
        );
        check(
            "",
            "hub",
            "{ error_rate: { redeliveries: true } }",
            &format!(
                "{at}.error_rate.redeliveries: is available only for Redis Streams: use promql instead"
            ),
        );
        check(
            "prometheus: { url: 'http://p' }",
            "main",
            "{ error_rate: { promql: a, dead_letter: d }, resource_utilization: { redeliveries: true }, errors: 1 }",
            &format!(
                "{at}.error_rate: must have exactly one of promql, redeliveries and dead_letter: write promql: \"…\", redeliveries: true or dead_letter: KEY\n\
                 {at}.resource_utilization.promql: is missing: set it to a PromQL expression that returns one value\n\
                 {at}.resource_utilization.redeliveries: unknown key: remove it. Known keys: promql\n\
                 {at}.errors: unknown key: remove it. Known keys: error_rate, resource_utilization"
            ),
        );
        check(
            "prometheus: { url: 'http://hunter2@p', interval: 20m, timeout: 1m, bearer_token: { env: T }, username: u }",
            "main",
            "{}",
            "prometheus.url: must not contain a user name or password: set username and password instead\n\
             prometheus.interval: must be between 1s and 10m\n\
             prometheus.timeout: must be between 100ms and 30s\n\
             prometheus.bearer_token: cannot be used together with username and password: remove one or the other",
        );
        check(
            "prometheus: { url: 'http://p?x=1', username: u }",
            "main",
            "{}",
            "prometheus.password: is missing: username requires it\n\
             prometheus.url: must be an http or https URL without query parameters, such as http://prometheus:9090",
        );
    }
}
