//! What answers KEDA, without a server: calls reach the scaler directly, and nothing is polled.

use std::sync::Arc;

use streamgauge::adapters::grpc::Scaler;
use streamgauge::adapters::grpc::proto::external_scaler_server::ExternalScaler;
use streamgauge::adapters::grpc::proto::{MetricSpec, ScaledObjectRef};
use streamgauge::clock::Clock;
use streamgauge::config::types::Config;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::registry::Registry;
use streamgauge::shutdown::Shutdown;
use tonic::Request;

pub const CONFIG: &str = r#"
limits: { scaled_objects_per_namespace: 50 }
sources:
  - name: main
    redis: { url: "redis://127.0.0.1:1" }
    allow: [ { namespaces: ["shop"], streams: ["orders:*"], consumer_groups: ["*"] } ]
groups:
  - { name: billing, source: main, stream: "bills", consumer_group: g }
  - { name: mails, source: main, stream: mails, consumer_group: g, policy: { mode: backlog, backlog_threshold: 100 } }
"#;

/// Its registry knows the groups of [`CONFIG`].
pub struct BareScaler {
    pub registry: Arc<Registry>,
    pub scaler: Scaler,
    pub clock: Clock,
    pub shutdown: Shutdown,
}

pub fn config(text: &str) -> Config {
    Config::parse(text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

impl BareScaler {
    pub fn new() -> Self {
        let clock = Clock::start();
        let (registry, _) = Registry::new(config(CONFIG), CapacityRules::default(), clock.now());
        let registry = Arc::new(registry);
        let shutdown = Shutdown::default();
        let scaler = Scaler::new(registry.clone(), clock, shutdown.clone(), Arc::default());
        Self {
            registry,
            scaler,
            clock,
            shutdown,
        }
    }

    pub async fn spec(&self, object: &ScaledObjectRef) -> MetricSpec {
        let answer = self.scaler.get_metric_spec(Request::new(object.clone()));
        let mut specs = answer.await.expect("always answered").into_inner();
        assert_eq!(specs.metric_specs.len(), 1);
        specs.metric_specs.remove(0)
    }
}

pub fn object(namespace: &str, pairs: &[(&str, &str)]) -> ScaledObjectRef {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ScaledObjectRef {
        name: "worker".into(),
        namespace: namespace.into(),
        scaler_metadata: pairs.iter().map(pair).collect(),
    }
}
