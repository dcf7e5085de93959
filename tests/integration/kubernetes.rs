//! Replicas as the real binary reads them from a Kubernetes API server, and what becomes of its answers while that fails.

mod failures;
mod objects;
mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use streamgauge::clock::Clock;
use streamgauge::cluster::Cluster;
use streamgauge::collector::replicas::watch_replicas;
use streamgauge::config::types::Config;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::registry::Registry;

use crate::support::eventually;
use crate::support::kubernetes::Kubernetes;
use crate::support::prometheus::{http_body, promtool_complaints};
use world::{ON, WITHIN, World, agreeing, config, shown};

#[tokio::test]
async fn replicas_come_from_the_scale_target_with_nothing_but_list_and_watch() {
    let mut world = World::new(ON, |_| {}).await;
    world.until_current("the Deployment's count", 7).await;
    world.cluster.pods("worker", 9, 6);
    world.until_current("the new count", 9).await;
    let target = world.target().expect("a target");
    assert_eq!(target["kubernetes"]["ready"], 6);
    assert_eq!(target["kubernetes"]["hpa_desired"], 9);
    assert_eq!(target["warnings"], json!([]));
    // One fewer than run is wanted: what is sent lies below it, to pass the HPA's dead band.
    world.cluster.pods("worker", 11, 6);
    world
        .keda
        .until("the dead band is passed", WITHIN, |value, _| value == 9.01)
        .await;
    let inputs = world.inputs().expect("inputs");
    assert_eq!(inputs["current_source"], "kubernetes");
    assert_eq!(
        (&inputs["current"], &inputs["ready"]),
        (&json!(11), &json!(6))
    );
    let labels = "group=\"busy\",source=\"main\",stream=\"busy\",consumer_group=\"g\",scaled_object=\"shop/worker\"";
    for (metric, value) in [("current_replicas", "11"), ("ready_replicas", "6")] {
        let line = format!("streamgauge_group_{metric}{{{labels}}}");
        world.until_metric(&line, value).await;
    }
    world.until_metric("streamgauge_kubernetes_up", "1").await;
    let exposition = http_body(world.service.http, "/metrics").expect("metrics");
    assert_eq!(promtool_complaints(&exposition), "");
    let shop = "namespaces/shop";
    let mut asked = Vec::new();
    for verb in ["list", "watch"] {
        for of in [
            format!("apps/v1/{shop}/deployments"),
            format!("autoscaling/v2/{shop}/horizontalpodautoscalers"),
            format!("keda.sh/v1alpha1/{shop}/scaledjobs"),
            format!("keda.sh/v1alpha1/{shop}/scaledobjects"),
        ] {
            asked.push(format!("{verb} /apis/{of}"));
        }
    }
    assert_eq!(world.cluster.asked(), asked);
}

#[tokio::test]
async fn outside_a_cluster_it_is_silently_off_until_the_config_switches_it_on() {
    let world = World::new("", |_| {}).await;
    world.until_current("the consumers", 2).await;
    assert_eq!(world.metric("streamgauge_kubernetes"), None);
    assert_eq!(world.said("Kubernetes"), 0);
    assert_eq!(world.target().expect("a target")["warnings"], json!([]));
    let on = ON.replace("{}", &shown(&world.cluster.kubeconfig(world.line.port)));
    world.service.rewrite(&config(&world.redis, &on));
    world.until_current("the Deployment's count", 7).await;
    world
        .service
        .rewrite(&config(&world.redis, "kubernetes: { enabled: false }"));
    eventually("it is off again", WITHIN, async || {
        world
            .metric("streamgauge_kubernetes_up")
            .is_none()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn hundreds_of_objects_take_one_watch_per_kind() {
    const OBJECTS: usize = 600;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cluster = Kubernetes::start().await;
    let section = ON.replace("{}", &shown(&cluster.kubeconfig(cluster.address.port())));
    let redis = "sources: [ { name: main, redis: { url: \"redis://127.0.0.1:1\" } } ]";
    let group = "groups: [ { name: busy, source: main, stream: busy, consumer_group: g } ]";
    let config = Config::parse(&format!("{section}\n{redis}\n{group}\n"), "config.yaml");
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let clock = Clock::start();
    let reader = Arc::new(Cluster::new(&config.kubernetes, clock));
    let (registry, _started) = Registry::new(config, CapacityRules::default(), clock.now());
    for n in 0..OBJECTS {
        let name = format!("worker-{n}");
        cluster.scaled_object(&name, &agreeing(), &json!({}));
        cluster.pods(&name, 3, 3);
    }
    let metadata = HashMap::from([("group".to_owned(), "busy".to_owned())]);
    // As many as one namespace may have.
    for n in 0..50 {
        registry
            .resolve("shop", &format!("worker-{n}"), &metadata, clock.now())
            .expect("a right trigger");
    }
    let registry = Arc::new(registry);
    let started = Instant::now();
    let reading = tokio::spawn(watch_replicas(registry.clone(), reader.clone(), clock));
    let known = || {
        let snapshot = registry.groups()[0].snapshot();
        let known = snapshot.targets.values();
        known.filter(|target| target.kubernetes.is_some()).count()
    };
    eventually("every object was read", WITHIN, async || {
        (known() == 50).then_some(())
    })
    .await;
    let all_known = started.elapsed();
    let at_first = cluster.times_asked("/apis/");
    tokio::time::sleep(Duration::from_secs(6)).await;
    reading.abort();
    // On a busy machine it was longer.
    let renewals = |time: Duration| 4 * (time.as_secs_f64() / 3.0) as usize;
    let (at_first_more, later) = (renewals(all_known), renewals(started.elapsed()) + 4);
    let calls = cluster.times_asked("/apis/");
    println!(
        "50 of {OBJECTS} objects known after {all_known:?} and {at_first} calls; {calls} calls after 6 s more"
    );
    // Four kinds: two pages and a watch each; then a renewal each 3 s.
    assert!(at_first <= 12 + at_first_more, "{at_first}");
    assert!(calls <= at_first + later, "{calls}");
}

#[tokio::test]
async fn why_pods_do_not_become_ready_is_named_where_pods_may_be_read() {
    let world = World::new(ON, |cluster| {
        cluster.pods("worker", 7, 5);
        cluster.stuck_pod("worker", "worker-a", "CrashLoopBackOff", 4);
        cluster.stuck_pod("worker", "worker-b", "CrashLoopBackOff", 8);
    })
    .await;
    let waiting = async || {
        let target = world.target()?;
        let waiting = target["kubernetes"]["waiting"].clone();
        waiting.is_object().then_some((waiting, target))
    };
    let (seen, target) = eventually("a reason", WITHIN, waiting).await;
    let expect = json!({"reason": "CrashLoopBackOff", "pods": 2, "restarts": 12});
    assert_eq!(seen, expect);
    let warnings = target["warnings"].to_string();
    let words = "Pods do not become ready: 2 in CrashLoopBackOff, 12 restarts.";
    assert!(warnings.contains(words), "{warnings}");
    world.cluster.pods("worker", 7, 7);
    eventually("all are ready", WITHIN, async || {
        let target = world.target()?;
        (target["kubernetes"]["waiting"].is_null() && target["kubernetes"]["ready"] == 7)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_must_not_read_pods_misses_the_reason_and_nothing_else() {
    let world = World::new(ON, |cluster| {
        cluster.pods("worker", 7, 5);
        cluster.stuck_pod("worker", "worker-a", "CrashLoopBackOff", 4);
        cluster.fail("/pods", 403, "");
    })
    .await;
    eventually("pods were asked for", WITHIN, async || {
        (world.cluster.times_asked("/pods") > 1).then_some(())
    })
    .await;
    let target = world.target().expect("a target");
    assert_eq!(target["kubernetes"]["ready"], 5);
    assert_eq!(target["kubernetes"]["waiting"], json!(null));
    assert_eq!(target["warnings"], json!([]));
    world.until_metric("streamgauge_kubernetes_up", "1").await;
}
