//! One group whose polls fail takes nothing from the groups of others on the same Redis; an outage of all is still one.

use std::time::Duration;

use crate::support::keda::{HEALS_WITHIN, Keda, unavailable};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;
use crate::support::{eventually, patience};

/// A poll of `slow` may take 300 ms, one of the others two seconds.
const CONFIG: &str = r#"
server: { grpc: "127.0.0.1:0", http: "127.0.0.1:0" }
sources:
  - name: main
    redis: { url: "redis://127.0.0.1:PORT" }
    poll_interval: 2s
    allow: [ { namespaces: ["shop"], streams: ["*"], consumer_groups: ["*"] } ]
groups:
  - { name: slow, source: main, stream: slow, consumer_group: g, poll_interval: 300ms }
  - { name: many, source: main, stream: "many:*", consumer_group: g }
"#;

/// So long a request of `slow` is on its way: too long for itself, not for those behind it.
const HELD: Duration = Duration::from_millis(600);

struct Scene {
    redis: RedisServer,
    proxy: FaultProxy,
    service: Service,
    /// Two groups of others, which have nothing to do.
    others: [Keda; 2],
}

impl Scene {
    /// Everything works.
    async fn new() -> Self {
        let redis = RedisServer::start(Flavour::Redis82);
        for key in ["slow", "a", "b", "many:1"] {
            let create = format!("XGROUP CREATE {key} g $ MKSTREAM");
            run::<()>(&mut redis.connect(), &create);
        }
        let proxy = FaultProxy::start(redis.port).await;
        let service = Service::start(&CONFIG.replace("PORT", &proxy.port.to_string()));
        let mut others = [keda(&service, "a").await, keda(&service, "b").await];
        for other in &mut others {
            other
                .until("nothing to do", HEALS_WITHIN, |v, active| {
                    v == 0.0 && !active
                })
                .await;
        }
        Self {
            redis,
            proxy,
            service,
            others,
        }
    }

    /// The sum of `poll_errors_total` by reason.
    async fn errors(&self, reason: &str) -> f64 {
        let metrics = self.service.get("/metrics").await;
        let label = format!("reason=\"{reason}\"");
        let of_reason = metrics.lines().filter(|line| {
            line.starts_with("streamgauge_poll_errors_total") && line.contains(&label)
        });
        let value = |line: &str| line.split(' ').nth(1)?.parse::<f64>().ok();
        of_reason.filter_map(value).sum()
    }

    async fn circuit(&self) -> String {
        let sources = self.service.get_json("/api/v1/sources").await;
        sources["sources"][0]["circuit"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Others are fresh all that time, and see a message at once.
    async fn others_are_as_ever(&mut self, what: &str) {
        let time = Duration::from_secs(12);
        let idle = |answer: &Result<_, _>| matches!(answer, Ok((0.0, false)));
        let [a, b] = &mut self.others;
        tokio::join!(a.during(what, time, idle), b.during(what, time, idle));
        run::<String>(&mut self.redis.connect(), "XADD a * n 1");
        a.until("the message is seen", HEALS_WITHIN, |v, active| {
            v > 0.0 && active
        })
        .await;
        assert_eq!(self.errors("circuit_open").await, 0.0);
        assert_eq!(self.circuit().await, "closed");
    }
}

async fn keda(service: &Service, stream: &str) -> Keda {
    let trigger = [
        ("source", "main"),
        ("stream", stream),
        ("consumerGroup", "g"),
        ("capacityPerReplica", "1"),
    ];
    Keda::new(service, stream, &trigger).await
}

#[tokio::test]
async fn a_group_whose_polls_time_out_leaves_the_others_fresh_and_the_circuit_closed() {
    let mut scene = Scene::new().await;
    let opened = scene.proxy.opened();
    scene.proxy.set(Mode::Hold("slow", HELD));
    scene.others_are_as_ever("while `slow` times out").await;
    let timeouts = scene.errors("timeout").await;
    assert!((5.0..20.0).contains(&timeouts), "{timeouts}");
    let rebuilt = scene.proxy.opened() - opened;
    println!("{timeouts} timeouts, {rebuilt} connections");
    scene.proxy.set(Mode::Pass);
    eventually("`slow` is read again", HEALS_WITHIN, async || {
        let before = scene.errors("timeout").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        (scene.errors("timeout").await == before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn when_nothing_is_answered_the_circuit_opens_and_all_are_right_again_afterwards() {
    let mut scene = Scene::new().await;
    scene.proxy.set(Mode::BlackholeAll);
    eventually("the circuit opens", Duration::from_secs(8), async || {
        (scene.circuit().await != "closed").then_some(())
    })
    .await;
    let before = scene.errors("timeout").await;
    let time = Duration::from_secs(6);
    tokio::time::sleep(time).await;
    let probes = scene.errors("timeout").await - before;
    // One at a time: two seconds and one before each.
    assert!(probes <= patience(time).as_secs_f64(), "{probes} probes");
    for other in &mut scene.others {
        assert!(unavailable(&other.ask().await));
    }
    scene.proxy.set(Mode::Pass);
    for other in &mut scene.others {
        other
            .until("right again", HEALS_WITHIN, |v, active| v == 0.0 && !active)
            .await;
    }
    assert_eq!(scene.circuit().await, "closed");
}
