//! The configuration in force in the shape of the file, defaults filled in: it could be started with. Secrets are named by where
//! they are, never by what they are.

mod sources;

use serde_yaml::Value;

use crate::model::signal::{ErrorSource, Signal};
use crate::model::stream::StreamSelector;
use crate::policy::spec::{Mode, TargetSpec};

use super::incidents::WebhookConfig;
use super::keys;
use super::signals::{HttpCredential, PrometheusConfig, SignalSource, SignalSources};
use super::table::{
    ConsumerKeys, ErrorRateKeys, FileKeys, GroupKeys, IncidentsKeys, MetricsKeys, ModeWord,
    PolicyKeys, PrometheusKeys, PromqlKeys, RecordingKeys, SignalKeys, StateKeys, WebhookKeys,
};
use super::types::{Config, GroupConfig};

impl Config {
    /// As a file would say it.
    pub fn to_yaml(&self) -> Value {
        let sources = self.sources.iter().map(sources::source).map(Some);
        let groups = self.groups.iter().map(group).map(Some);
        keys::print(&FileKeys {
            server: self.server.clone(),
            kubernetes: self.kubernetes.clone(),
            replication: self.replication.clone(),
            limits: self.limits.clone(),
            metrics: MetricsKeys {
                max_series: self.max_series,
            },
            recording: self.recording.as_ref().map(|recording| RecordingKeys {
                dir: Some(recording.dir.clone()),
                keep_files: recording.keep_files,
            }),
            state: self.state.as_ref().map(|state| StateKeys {
                dir: Some(state.dir.clone()),
                interval: state.interval,
                journal: state.journal.clone(),
            }),
            prometheus: self.prometheus.as_ref().map(prometheus),
            incidents: self.webhook.as_ref().map(|config| IncidentsKeys {
                webhook: Some(webhook(config)),
            }),
            poll_interval: None,
            sources: Some(sources.collect()),
            groups: Some(groups.collect()),
        })
    }
}

fn prometheus(config: &PrometheusConfig) -> PrometheusKeys {
    let (mut bearer_token, mut username, mut password) = (None, None, None);
    match config.credential.clone() {
        None => {}
        Some(HttpCredential::Bearer(token)) => bearer_token = Some(token),
        Some(HttpCredential::Basic(user, secret)) => {
            (username, password) = (Some(user), Some(secret));
        }
    }
    PrometheusKeys {
        url: Some(config.url.clone()),
        timeout: config.timeout,
        interval: config.interval,
        bearer_token,
        username,
        password,
        ca_file: config.ca_file.clone(),
    }
}

fn webhook(config: &WebhookConfig) -> WebhookKeys {
    WebhookKeys {
        url: Some(config.url.clone()),
        secret: Some(config.secret.clone()),
        timeout: config.timeout,
        source: config.source.clone(),
        kinds: Some(config.kinds.iter().copied().collect()),
        ca_file: config.ca_file.clone(),
    }
}

fn group(config: &GroupConfig) -> GroupKeys {
    let spec = config.policy.resolve();
    GroupKeys {
        name: Some(config.name.clone()),
        source: Some(config.key.source.clone()),
        stream: Some(stream(config)),
        consumer_group: Some(config.key.consumer_group.clone()),
        consumers: ConsumerKeys {
            assignment: Some(spec.assignment),
            consumers_per_replica: Some(spec.consumers_per_replica),
        },
        poll_interval: Some(config.poll_interval),
        granularity: config.granularity,
        policy: Some(policy(&spec)),
        signals: (!config.signals.is_empty()).then(|| signals(&config.signals)),
    }
}

/// A list stands as a list, everything else as the text that names it.
fn stream(config: &GroupConfig) -> Value {
    let text = &config.key.stream;
    match &config.selector {
        StreamSelector::Keys(keys)
            if StreamSelector::parse(text).as_ref() != Ok(&config.selector) =>
        {
            keys.iter()
                .map(|(key, _)| Value::from(key.as_str()))
                .collect()
        }
        _ => text.as_str().into(),
    }
}

fn policy(spec: &TargetSpec) -> PolicyKeys {
    let (mode, backlog_threshold) = match spec.mode {
        Mode::Replicas => (ModeWord::Replicas, None),
        Mode::Jobs => (ModeWord::Jobs, None),
        Mode::Backlog { threshold, .. } => (ModeWord::Backlog, Some(threshold)),
    };
    PolicyKeys {
        mode: Some(mode),
        backlog_threshold,
        target_delay: Some(spec.target_delay),
        capacity_per_replica: spec.capacity_per_replica,
        min_replicas: Some(spec.min_replicas),
        max_replicas: Some(spec.max_replicas),
        activation_backlog: Some(spec.activation_backlog),
        activation_window: spec.activation_window,
        scale_in_hold: spec.scale_in_hold,
        forecast: Some(spec.forecast),
    }
}

fn signals(sources: &SignalSources) -> SignalKeys {
    let utilization = match sources.get(&Signal::ResourceUtilization) {
        Some(SignalSource::PromQl(expression)) => Some(expression.clone()),
        _ => None,
    };
    SignalKeys {
        error_rate: sources.get(&Signal::ErrorRate).map(error_rate),
        resource_utilization: utilization.map(|expression| PromqlKeys {
            promql: Some(expression),
        }),
    }
}

fn error_rate(source: &SignalSource) -> ErrorRateKeys {
    let mut keys: ErrorRateKeys = keys::standard();
    match source {
        SignalSource::PromQl(expression) => keys.promql = Some(expression.clone()),
        SignalSource::Counted(ErrorSource::Redeliveries) => keys.redeliveries = Some(true),
        SignalSource::Counted(ErrorSource::DeadLetter(key)) => keys.dead_letter = Some(key.clone()),
    }
    keys
}
