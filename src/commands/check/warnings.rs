//! What is valid but may surprise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::addresses::WebhookUrl;
use crate::config::types::{Config, SourceConfig, SourceKind};
use crate::policy::spec::{Mode, TargetSpec};

use super::connect::GroupReport;
use crate::commands::serve::tls;

/// What Event Hubs allows per namespace.
const CALLS_PER_SECOND: u32 = 50;

/// One line each, with what to do.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for source in &config.sources {
        found.extend(of_source(config, source));
    }
    found.extend(of_namespaces(config));
    found.extend(tls::fault(&config.server));
    found.extend(of_login(config));
    found.extend(of_prometheus(config));
    found.extend(of_webhook(config));
    let to_zero = config
        .groups
        .iter()
        .filter(|group| group.policy.resolve().min_replicas == 0);
    let names: Vec<&str> = to_zero.map(|group| group.name.as_str()).collect();
    if !names.is_empty() {
        found.push(format!(
            "minimum 0 ({}): while a backlog cannot be read, KEDA gets an error instead of a value; a ScaledObject with \
             fallback.replicas: 0 then scales to zero after its cooldown. Set fallback.replicas to what must keep running, with \
             behavior: currentReplicasIfHigher",
            names.join(", ")
        ));
    }
    for group in &config.groups {
        let spec = group.policy.resolve();
        if spec.mode == Mode::Replicas && spec.capacity_per_replica.is_none() {
            found.push(format!(
                "group {}: capacity_per_replica is not set: it is learned, and until then the replica count is based on the delay",
                group.name
            ));
        }
    }
    found.extend(of_jobs(config));
    found
}

/// A fleet's settings that have no meaning where each job ends by itself.
fn of_jobs(config: &Config) -> Option<String> {
    let is_odd = |policy: &TargetSpec| policy.mode == Mode::Jobs && policy.min_replicas > 0;
    let groups = config.groups.iter();
    let odd = groups.filter(|group| is_odd(&group.policy.resolve()));
    let names: Vec<&str> = odd.map(|group| group.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "min_replicas in mode jobs ({}): a minimum would start jobs without work. Remove it and use the ScaledJob's \
             minReplicaCount instead",
            names.join(", ")
        )
    })
}

fn of_login(config: &Config) -> Option<String> {
    let token = config.server.login.as_ref()?.token.as_ref()?;
    let why = match token.read() {
        Ok(token) if token.is_empty() => "it is empty".to_owned(),
        Ok(_) => return None,
        Err(error) => error.to_string(),
    };
    Some(format!(
        "server.login.token: {why}; until it can be read, nobody can log in with it"
    ))
}

fn of_prometheus(config: &Config) -> Option<String> {
    let (key, secret) = config.prometheus.as_ref()?.credential.as_ref()?.secret();
    let error = secret.read().err()?;
    Some(format!("prometheus.{key}: {error}"))
}

fn of_webhook(config: &Config) -> Vec<String> {
    let Some(webhook) = &config.webhook else {
        return Vec::new();
    };
    let of_url = match &webhook.url {
        WebhookUrl::Secret(secret) => Some(("url", secret)),
        WebhookUrl::Plain(_) => None,
    };
    let secrets = of_url.into_iter().chain([("secret", &webhook.secret)]);
    let unreadable = secrets.filter_map(|(key, secret)| Some((key, secret.read().err()?)));
    unreadable
        .map(|(key, error)| format!("incidents.webhook.{key}: {error}"))
        .collect()
}

fn of_source(config: &Config, source: &SourceConfig) -> Vec<String> {
    let mut found = Vec::new();
    let name = &source.name;
    let used = config.groups.iter().any(|group| group.key.source == *name);
    match (source.allow.is_empty(), used) {
        (true, true) => found.push(format!(
            "source {name}: allow is empty: ScaledObjects can use its configured groups, but inline metadata is rejected"
        )),
        (true, false) => found.push(format!(
            "source {name}: no group uses it and allow is empty, so it is never read"
        )),
        (false, _) => {}
    }
    let unreadable = source
        .kind
        .secrets()
        .into_iter()
        .filter_map(|(key, secret)| {
            let error = secret.read().err()?;
            Some(format!("source {name}: {key}: {error}"))
        });
    found.extend(unreadable);
    if let SourceKind::Redis(redis) = &source.kind
        && redis.username.is_some()
        && redis.password.is_none()
        && redis.identity.is_none()
    {
        found.push(format!(
            "source {name}: username without password: this works only for a `nopass` user"
        ));
    }
    found
}

/// Namespaces whose event hubs may be asked more often together than is allowed.
pub(super) fn of_namespaces(config: &Config) -> Vec<String> {
    let mut namespaces: BTreeMap<String, (u32, Vec<&str>)> = BTreeMap::new();
    for source in &config.sources {
        if let SourceKind::EventHubs(hub) = &source.kind {
            let namespace = hub.namespace.to_ascii_lowercase();
            let (calls, names) = namespaces.entry(namespace).or_default();
            *calls = calls.saturating_add(hub.management_calls_per_second);
            names.push(&source.name);
        }
    }
    let over = namespaces
        .into_iter()
        .filter(|(_, (calls, names))| *calls > CALLS_PER_SECOND && names.len() > 1);
    over.map(|(namespace, (calls, names))| {
        format!(
            "namespace {namespace}: its sources ({}) may make {calls} management calls per second together, but Event Hubs \
             allows {CALLS_PER_SECOND}: lower management_calls_per_second",
            names.join(", ")
        )
    })
    .collect()
}

/// Sources of which more is asked than their budget of management calls allows: one call per partition and poll, and one a
/// minute for the event hub itself. Groups of one poll interval are polled in step and share their calls, and so do those of an
/// interval that is a multiple of another's.
pub(super) fn over_budget(config: &Config, reports: &[GroupReport]) -> Vec<String> {
    let mut found = Vec::new();
    for source in &config.sources {
        let SourceKind::EventHubs(hub) = &source.kind else {
            continue;
        };
        let read = reports
            .iter()
            .filter(|report| report.subject.source == source.name)
            .filter_map(|report| {
                let partitions = report.result.as_ref().ok()?.partitions.len();
                Some((partitions, report.subject.poll_interval))
            });
        let (mut groups, mut most, mut intervals) = (0, 0, BTreeSet::new());
        for (partitions, every) in read {
            groups += 1;
            most = partitions.max(most);
            intervals.insert(every);
        }
        let is_multiple = |every: &&Duration| {
            let mut smaller = intervals.range(..*every);
            smaller.any(|other| every.as_nanos().is_multiple_of(other.as_nanos()))
        };
        let own = intervals.iter().filter(|every| !is_multiple(every));
        let polls: f64 = own.map(|every| 1.0 / every.as_secs_f64()).sum();
        let calls = 1.0 / 60.0 + most as f64 * polls;
        let allowed = hub.management_calls_per_second;
        if calls > f64::from(allowed) {
            found.push(format!(
                "source {}: {groups} group(s) with up to {most} partitions need {calls:.1} management calls per second, but the limit is \
                 {allowed}: partitions are read in turns, less often than poll_interval; raise poll_interval, or \
                 management_calls_per_second where Event Hubs allows it",
                source.name
            ));
        }
    }
    found
}
