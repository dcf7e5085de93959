//! The configuration in force in the shape of the file, defaults filled in: it could be started with. Secrets are named by where
//! they are, never by what they are.

use std::time::Duration;

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use crate::config::incidents::{WebhookConfig, WebhookUrl};
use crate::config::kubernetes::{Enabled, KubernetesConfig};
use crate::config::signals::{HttpCredential, PrometheusConfig, SignalSource, SignalSources};
use crate::config::types::{Config, Granularity, GroupConfig, Secret};
use crate::model::signal::ErrorSource;
use crate::model::stream::StreamSelector;
use crate::policy::spec::{Mode, TargetSpec};

use super::config_sources::source;
use super::policy::mode;
use super::scaled_object::scaled_object;

/// What is in force, and what to write to use it.
#[derive(Serialize)]
pub(super) struct ConfigShape {
    config: Value,
    /// The same as text.
    yaml: String,
    /// Of every group of the config, a ScaledObject to start from.
    scaled_objects: Vec<ScaledObjectShape>,
}

#[derive(Serialize)]
struct ScaledObjectShape {
    group: String,
    yaml: String,
}

impl ConfigShape {
    pub(super) fn of(config: &Config) -> Self {
        let shape = whole(config);
        let scaled_objects = config.groups.iter().map(|group| ScaledObjectShape {
            group: group.name.clone(),
            yaml: scaled_object(group),
        });
        Self {
            yaml: serde_yaml::to_string(&shape).unwrap_or_default(),
            scaled_objects: scaled_objects.collect(),
            config: shape,
        }
    }
}

/// Keys in the order they are set; those without a value are left out.
#[derive(Default)]
pub(super) struct Fields(Mapping);

impl Fields {
    pub(super) fn set(mut self, key: &str, value: impl Serialize) -> Self {
        // Only maps whose keys are no text cannot be written, and there are none.
        match serde_yaml::to_value(value) {
            Ok(Value::Null) | Err(_) => {}
            Ok(value) => drop(self.0.insert(key.into(), value)),
        }
        self
    }

    pub(super) fn done(self) -> Value {
        Value::Mapping(self.0)
    }
}

fn whole(config: &Config) -> Value {
    let server = Fields::default()
        .set("grpc", config.server.grpc)
        .set("http", config.server.http)
        .set("reflection", config.server.reflection);
    let recording = config.recording.as_ref().map(|recording| {
        let fields = Fields::default().set("dir", &recording.dir);
        fields.set("keep_files", recording.keep_files).done()
    });
    let state = config.state.as_ref().map(|state| {
        let fields = Fields::default().set("dir", &state.dir);
        fields.set("interval", duration(state.interval)).done()
    });
    let told = |webhook| Fields::default().set("webhook", webhook_of(webhook)).done();
    let max_series = Fields::default().set("max_series", config.max_series);
    Fields::default()
        .set("server", server.done())
        .set("kubernetes", kubernetes(&config.kubernetes))
        .set("metrics", max_series.done())
        .set("recording", recording)
        .set("state", state)
        .set("prometheus", config.prometheus.as_ref().map(prometheus))
        .set("incidents", config.webhook.as_ref().map(told))
        .set(
            "sources",
            config.sources.iter().map(source).collect::<Vec<_>>(),
        )
        .set(
            "groups",
            config.groups.iter().map(group).collect::<Vec<_>>(),
        )
        .done()
}

fn kubernetes(config: &KubernetesConfig) -> Value {
    let fields = match config.enabled {
        Enabled::Yes => Fields::default().set("enabled", true),
        Enabled::No => Fields::default().set("enabled", false),
        Enabled::Auto => Fields::default().set("enabled", "auto"),
    };
    fields
        .set("kubeconfig", &config.kubeconfig)
        .set("context", &config.context)
        .set("poll_interval", duration(config.poll_interval))
        .done()
}

fn prometheus(config: &PrometheusConfig) -> Value {
    let fields = Fields::default()
        .set("url", bare(&config.url))
        .set("timeout", duration(config.timeout))
        .set("interval", duration(config.interval))
        .set("ca_file", &config.ca_file);
    match &config.credential {
        None => fields.done(),
        Some(HttpCredential::Bearer(token)) => fields.set("bearer_token", secret(token)).done(),
        Some(HttpCredential::Basic(user, password)) => fields
            .set("username", user)
            .set("password", secret(password))
            .done(),
    }
}

fn webhook_of(config: &WebhookConfig) -> Value {
    let fields = match &config.url {
        WebhookUrl::Plain(url) => Fields::default().set("url", bare(url)),
        WebhookUrl::Secret(place) => Fields::default().set("url", secret(place)),
    };
    fields
        .set("secret", secret(&config.secret))
        .set("timeout", duration(config.timeout))
        .set("source", &config.source)
        .set("kinds", &config.kinds)
        .set("ca_file", &config.ca_file)
        .done()
}

fn group(config: &GroupConfig) -> Value {
    let granularity = match config.granularity {
        Granularity::Partition => "partition",
        Granularity::Group => "group",
    };
    let spec = config.policy.resolve();
    Fields::default()
        .set("name", &config.name)
        .set("source", &config.key.source)
        .set("stream", stream(config))
        .set("consumer_group", &config.key.consumer_group)
        .set("assignment", spec.assignment.as_str())
        .set("consumers_per_replica", spec.consumers_per_replica)
        .set("poll_interval", duration(config.poll_interval))
        .set("granularity", granularity)
        .set("policy", policy(&spec))
        .set("signals", signals(&config.signals))
        .done()
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

fn policy(spec: &TargetSpec) -> Value {
    let threshold = match spec.mode {
        Mode::Replicas | Mode::Jobs => None,
        Mode::Backlog { threshold, .. } => Some(threshold),
    };
    Fields::default()
        .set("mode", mode(spec))
        .set("backlog_threshold", threshold)
        .set("target_delay", duration(spec.target_delay))
        .set("capacity_per_replica", spec.capacity_per_replica)
        .set("min_replicas", spec.min_replicas)
        .set("max_replicas", spec.max_replicas)
        .set("activation_backlog", spec.activation_backlog)
        .set("activation_window", spec.activation_window.map(duration))
        .set("scale_in_hold", duration(spec.scale_in_hold))
        .set("forecast", spec.forecast)
        .done()
}

fn signals(sources: &SignalSources) -> Option<Value> {
    let mut all = Fields::default();
    for (signal, source) in sources {
        let shape = match source {
            SignalSource::PromQl(expression) => Fields::default().set("promql", expression),
            SignalSource::Counted(ErrorSource::Redeliveries) => {
                Fields::default().set("redeliveries", true)
            }
            SignalSource::Counted(ErrorSource::DeadLetter(key)) => {
                Fields::default().set("dead_letter", key)
            }
        };
        all = all.set(signal.as_str(), shape.done());
    }
    (!sources.is_empty()).then(|| all.done())
}

/// As it is written in the config.
pub(super) fn secret(secret: &Secret) -> Value {
    match secret {
        Secret::Env(name) => Fields::default().set("env", name).done(),
        Secret::File(path) => Fields::default().set("file", path).done(),
    }
}

/// As it is written in the config: `5s`, `500ms`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

/// An address without path and query: tokens like to hide there.
fn bare(url: &url::Url) -> String {
    let rest = match (url.path(), url.query()) {
        ("/", None) => "/",
        _ => "/…",
    };
    format!("{}{rest}", url.origin().ascii_serialization())
}
