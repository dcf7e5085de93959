//! A service between a Redis with work to do and a Kubernetes API server with one ScaledObject.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::keda::Keda;
use crate::support::kubernetes::Kubernetes;
use crate::support::prometheus::{http_body, http_json};
use crate::support::proxy::FaultProxy;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

pub const WITHIN: Duration = Duration::from_secs(20);

/// A stream with a backlog of 300, more than seven replicas do before others could help, two consumers, and the one ScaledObject that asks for it.
pub struct World {
    pub cluster: Kubernetes,
    pub line: FaultProxy,
    pub redis: RedisServer,
    pub service: Service,
    pub keda: Keda,
}

impl World {
    /// `kubernetes` is the section of the config; `{}` is the kubeconfig's path in it.
    pub async fn new(kubernetes: &str, prepare: impl FnOnce(&Kubernetes)) -> Self {
        let cluster = Kubernetes::start().await;
        cluster.scaled_object("worker", &agreeing(), &json!({}));
        cluster.pods("worker", 7, 7);
        prepare(&cluster);
        let line = FaultProxy::start(cluster.address.port()).await;
        let redis = RedisServer::start(Flavour::Redis70);
        let mut connection = redis.connect();
        run::<()>(&mut connection, "XGROUP CREATE busy g $ MKSTREAM");
        for n in 0..300 {
            run::<String>(&mut connection, &format!("XADD busy * n {n}"));
        }
        for consumer in ["c1", "c2"] {
            run::<redis::Value>(
                &mut connection,
                &format!("XREADGROUP GROUP g {consumer} COUNT 1 STREAMS busy >"),
            );
        }
        let section = kubernetes.replace("{}", &shown(&cluster.kubeconfig(line.port)));
        let service = Service::start(&config(&redis, &section));
        let trigger = [("group", "busy"), ("maxReplicas", "50")];
        let mut keda = Keda::new(&service, "worker", &trigger).await;
        keda.until("an answer", WITHIN, |value, active| value >= 10.0 && active)
            .await;
        Self {
            cluster,
            line,
            redis,
            service,
            keda,
        }
    }

    pub fn targets(&self) -> Option<Vec<Value>> {
        let group = http_json(self.service.http, "/api/v1/groups/busy")?;
        group["targets"].as_array().cloned()
    }

    pub fn target(&self) -> Option<Value> {
        Some(self.targets()?.swap_remove(0))
    }

    /// The inputs of what is decided now.
    pub fn inputs(&self) -> Option<Value> {
        let decisions = http_json(self.service.http, "/api/v1/decisions?group=busy&limit=1")?;
        Some(decisions["decisions"][0]["inputs"].clone())
    }

    pub async fn until_current(&self, what: &str, current: u64) {
        eventually(what, WITHIN, async || {
            (self.target()?["current"] == current).then_some(())
        })
        .await;
    }

    pub fn metric(&self, line: &str) -> Option<String> {
        let body = http_body(self.service.http, "/metrics")?;
        let found = body.lines().find(|l| l.starts_with(line))?;
        Some(found.rsplit(' ').next()?.to_owned())
    }

    pub async fn until_metric(&self, line: &str, value: &str) {
        eventually(&format!("{line} {value}"), WITHIN, async || {
            (self.metric(line)? == value).then_some(())
        })
        .await;
    }

    pub fn said(&self, words: &str) -> usize {
        let log = self.service.log();
        log.iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until it was said, and finds that it was said once.
    pub async fn says_once(&self, words: &str) {
        self.service.until_logged(words).await;
        assert_eq!(self.said(words), 1, "{:#?}", self.service.log());
    }
}

pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

pub fn config(redis: &RedisServer, kubernetes: &str) -> String {
    format!(
        r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }}
{kubernetes}
poll_interval: 200ms
sources: [ {{ name: main, redis: {{ url: "redis://{}" }} }} ]
groups:
  - {{ name: busy, source: main, stream: busy, consumer_group: g, policy: {{ capacity_per_replica: 0.25, target_delay: 120s, scale_in_hold: 1s }} }}
"#,
        redis.address()
    )
}

pub const ON: &str = "kubernetes: { kubeconfig: \"{}\", poll_interval: 1s }";

/// What leaves nothing to be said.
pub fn agreeing() -> Value {
    json!({
        "triggers": [{"type": "external", "metadata": {"group": "busy", "maxReplicas": "50"}}],
        "minReplicaCount": 0, "maxReplicaCount": 50,
        "fallback": {"failureThreshold": 3, "replicas": 5, "behavior": "currentReplicasIfHigher"},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}},
    })
}
