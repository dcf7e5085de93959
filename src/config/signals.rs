//! Signals that come from elsewhere than the stream: a group's `signals`, and the `prometheus` section that answers PromQL.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::model::signal::{ErrorSource, Signal};

use super::secret;
use super::section::Section;
use super::types::Secret;
use super::web;

/// How often expressions may be asked.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// How long an answer may take.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Reads the `prometheus` section.
pub(super) fn read_prometheus(root: &mut Section<'_>) -> Option<PrometheusConfig> {
    let mut section = root.section("prometheus")?;
    if !section.has("url") {
        section.missing("url", "add url: http://prometheus:9090");
    }
    let url = web::read_address(&mut section, "url", "http://prometheus:9090");
    let timeout = web::read_between(&mut section, "timeout", &TIMEOUTS, "between 100ms and 30s");
    let interval = web::read_between(&mut section, "interval", &INTERVALS, "between 1s and 10m");
    let credential = read_credential(&mut section);
    let ca_file = section.file("ca_file");
    section.finish();
    Some(PrometheusConfig {
        url: url?,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        interval: interval.unwrap_or(DEFAULT_INTERVAL),
        credential,
        ca_file,
    })
}

fn read_credential(section: &mut Section<'_>) -> Option<HttpCredential> {
    let token = secret::read(section, "bearer_token");
    let username = section.text("username");
    let password = secret::read(section, "password");
    match (token, username, password) {
        (Some(token), None, None) => Some(HttpCredential::Bearer(token)),
        (None, Some(username), Some(password)) => Some(HttpCredential::Basic(username, password)),
        (None, None, None) => None,
        (Some(_), ..) => {
            section.problem(
                "bearer_token",
                "excludes username and password: keep one of both ways",
            );
            None
        }
        (None, ..) => {
            section.problem("username", "and password belong together: add the other");
            None
        }
    }
}

/// Reads a group's `signals`. `asks` is whether a Prometheus is configured, `counts` whether its source can count errors.
pub(super) fn read_signals(group: &mut Section<'_>, asks: bool, counts: bool) -> SignalSources {
    let mut found = SignalSources::new();
    let Some(mut section) = group.section("signals") else {
        return found;
    };
    for (key, signal) in [
        ("error_rate", Signal::ErrorRate),
        ("resource_utilization", Signal::ResourceUtilization),
    ] {
        if let Some(mut of_signal) = section.section(key) {
            let source = read_source(&mut of_signal, signal, asks, counts);
            found.extend(source.map(|source| (signal, source)));
            of_signal.finish();
        }
    }
    section.finish();
    found
}

fn read_source(
    section: &mut Section<'_>,
    signal: Signal,
    asks: bool,
    counts: bool,
) -> Option<SignalSource> {
    let mut found = Vec::new();
    if let Some(expression) = section.text("promql") {
        if expression.trim().is_empty() {
            section.problem("promql", "is empty: give an expression with one value");
        } else if !asks {
            section.problem(
                "promql",
                "needs somebody to ask: add prometheus: { url: http://prometheus:9090 } at the top",
            );
        }
        found.push(SignalSource::PromQl(expression));
    }
    if signal == Signal::ErrorRate {
        found.extend(read_counted(section, counts).map(SignalSource::Counted));
    }
    let one = found.pop();
    if one.is_none() || !found.is_empty() {
        let ways = match signal {
            Signal::ErrorRate => "promql: \"…\", redeliveries: true or dead_letter: KEY",
            _ => "promql: \"…\"",
        };
        section.problem("", format!("must come from one place: {ways}"));
    }
    one
}

fn read_counted(section: &mut Section<'_>, counts: bool) -> Option<ErrorSource> {
    let redeliveries = section.flag("redeliveries");
    let key = section.text("dead_letter");
    let asked = match (&redeliveries, &key) {
        (Some(_), _) => "redeliveries",
        (None, Some(_)) => "dead_letter",
        (None, None) => return None,
    };
    if !counts {
        section.problem(asked, "is only counted in Redis Streams: use promql");
    }
    match (redeliveries, key) {
        (Some(true), None) => Some(ErrorSource::Redeliveries),
        (Some(false), None) => {
            section.problem("redeliveries", "must be true: or leave the signal out");
            None
        }
        (None, Some(key)) if !key.is_empty() => Some(ErrorSource::DeadLetter(key)),
        (None, _) => {
            section.problem("dead_letter", "is empty: give the key of a stream");
            None
        }
        (Some(_), Some(_)) => {
            section.problem("dead_letter", "excludes redeliveries: keep one of both");
            None
        }
    }
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
                "{at}.error_rate.promql: needs somebody to ask: add prometheus: {{ url: http://prometheus:9090 }} at the top"
            ),
        );
        check(
            "",
            "hub",
            "{ error_rate: { redeliveries: true } }",
            &format!("{at}.error_rate.redeliveries: is only counted in Redis Streams: use promql"),
        );
        check(
            "prometheus: { url: 'http://p' }",
            "main",
            "{ error_rate: { promql: a, dead_letter: d }, resource_utilization: { redeliveries: true }, errors: 1 }",
            &format!(
                "{at}.error_rate: must come from one place: promql: \"…\", redeliveries: true or dead_letter: KEY\n\
                 {at}.resource_utilization: must come from one place: promql: \"…\"\n\
                 {at}.resource_utilization.redeliveries: unknown key: remove it; known here: promql\n\
                 {at}.errors: unknown key: remove it; known here: error_rate, resource_utilization"
            ),
        );
        check(
            "prometheus: { url: 'http://hunter2@p', interval: 20m, timeout: 1m, bearer_token: { env: T }, username: u }",
            "main",
            "{}",
            "prometheus.url: must not hold a user or password: put them into username and password\n\
             prometheus.timeout: must be between 100ms and 30s\n\
             prometheus.interval: must be between 1s and 10m\n\
             prometheus.bearer_token: excludes username and password: keep one of both ways",
        );
        check(
            "prometheus: { url: 'http://p?x=1', username: u }",
            "main",
            "{}",
            "prometheus.url: must be an http or https address without parameters, such as http://prometheus:9090\n\
             prometheus.username: and password belong together: add the other",
        );
    }
}
