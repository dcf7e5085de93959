//! Replicas as the real binary reads them from a Kubernetes API server, and what becomes of its answers while that fails.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamgauge::clock::Clock;
use streamgauge::cluster::Cluster;
use streamgauge::collector::replicas::watch_replicas;
use streamgauge::config::types::Config;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::registry::Registry;

use crate::support::eventually;
use crate::support::keda::Keda;
use crate::support::kubernetes::Kubernetes;
use crate::support::prometheus::{http_body, promtool_complaints};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

const WITHIN: Duration = Duration::from_secs(20);

/// A stream with a backlog of 300, more than seven replicas do before others could help, two consumers, and the one ScaledObject that asks for it.
struct World {
    cluster: Kubernetes,
    line: FaultProxy,
    redis: RedisServer,
    service: Service,
    keda: Keda,
}

impl World {
    /// `kubernetes` is the section of the config; `{}` is the kubeconfig's path in it.
    async fn new(kubernetes: &str, prepare: impl FnOnce(&Kubernetes)) -> Self {
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

    fn target(&self) -> Option<Value> {
        let body = http_body(self.service.http, "/api/v1/groups/busy")?;
        let group: Value = serde_json::from_str(&body).ok()?;
        Some(group["targets"][0].clone())
    }

    /// The inputs of what is decided now.
    fn inputs(&self) -> Option<Value> {
        let body = http_body(self.service.http, "/api/v1/decisions?group=busy&limit=1")?;
        let decisions: Value = serde_json::from_str(&body).ok()?;
        Some(decisions["decisions"][0]["inputs"].clone())
    }

    async fn until_current(&self, what: &str, current: u64) {
        eventually(what, WITHIN, async || {
            (self.target()?["current"] == current).then_some(())
        })
        .await;
    }

    fn metric(&self, line: &str) -> Option<String> {
        let body = http_body(self.service.http, "/metrics")?;
        let found = body.lines().find(|l| l.starts_with(line))?;
        Some(found.rsplit(' ').next()?.to_owned())
    }

    async fn until_metric(&self, line: &str, value: &str) {
        eventually(&format!("{line} {value}"), WITHIN, async || {
            (self.metric(line)? == value).then_some(())
        })
        .await;
    }

    fn said(&self, words: &str) -> usize {
        let log = self.service.log();
        log.iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until it was said, and finds that it was said once.
    async fn says_once(&self, words: &str) {
        self.service.until_logged(words).await;
        assert_eq!(self.said(words), 1, "{:#?}", self.service.log());
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn config(redis: &RedisServer, kubernetes: &str) -> String {
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

const ON: &str = "kubernetes: { kubeconfig: \"{}\", poll_interval: 1s }";

/// What leaves nothing to be said.
fn agreeing() -> Value {
    json!({
        "triggers": [{"type": "external", "metadata": {"group": "busy", "maxReplicas": "50"}}],
        "minReplicaCount": 0, "maxReplicaCount": 50,
        "fallback": {"failureThreshold": 3, "replicas": 5, "behavior": "currentReplicasIfHigher"},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}},
    })
}

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
    world
        .until_metric(
            &format!("streamgauge_group_current_replicas{{{labels}}}"),
            "11",
        )
        .await;
    world
        .until_metric(
            &format!("streamgauge_group_ready_replicas{{{labels}}}"),
            "6",
        )
        .await;
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
async fn a_pause_is_known_at_once() {
    let world = World::new(ON, |_| {}).await;
    world.until_current("the Deployment's count", 7).await;
    let started = Instant::now();
    let paused = json!({"autoscaling.keda.sh/paused-scale-in": "true"});
    world.cluster.scaled_object("worker", &agreeing(), &paused);
    eventually("the pause is known", WITHIN, async || {
        let warnings = world.target()?["warnings"].to_string();
        warnings.contains("Scale-in is paused").then_some(())
    })
    .await;
    println!("a pause was known after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_deleted_object_leaves_at_once_however_its_end_is_learned() {
    for is_seen in [true, false] {
        let world = World::new(ON, |_| {}).await;
        world.until_current("the Deployment's count", 7).await;
        let series = "scaled_object=\"shop/worker\"";
        let exported = || http_body(world.service.http, "/metrics").map(|m| m.contains(series));
        assert_eq!(exported(), Some(true));
        let started = Instant::now();
        match is_seen {
            true => world.cluster.remove("worker"),
            // The watch was away meanwhile: the next list is without it.
            false => world.cluster.remove_unseen("worker"),
        }
        eventually("its series are gone", WITHIN, async || {
            (!exported()?).then_some(())
        })
        .await;
        println!(
            "deleted, seen {is_seen}: gone after {:?}",
            started.elapsed()
        );
        let target = world.target().expect("the group's own target");
        assert_ne!(target["scaled_object"], "shop/worker", "{target}");
        world.says_once("the object was deleted").await;
    }
}

#[tokio::test]
async fn an_object_that_no_watch_ever_showed_is_answered_for_all_the_same() {
    let mut world = World::new(ON, |cluster| cluster.remove("worker")).await;
    let said = "there is no ScaledObject or ScaledJob shop/worker";
    world.says_once(said).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let target = world.target().expect("a target");
    assert_eq!(target["scaled_object"], "shop/worker", "{target}");
    assert!(world.keda.ask().await.is_ok());
}

fn triggers(all: &[&[(&str, &str)]]) -> Value {
    let one = |pairs: &&[(&str, &str)]| {
        let metadata: HashMap<&str, &str> = pairs.iter().copied().collect();
        json!({"type": "external", "metadata": metadata})
    };
    let mut spec = agreeing();
    spec["triggers"] = all.iter().map(one).collect();
    spec
}

#[tokio::test]
async fn an_edited_trigger_keeps_its_label_and_what_is_known_of_it() {
    let (old, new): (&[_], &[_]) = (
        &[("group", "busy"), ("maxReplicas", "50")],
        &[("group", "busy"), ("maxReplicas", "40")],
    );
    let world = World::new(ON, |cluster| {
        cluster.scaled_object("worker", &triggers(&[old]), &json!({}));
    })
    .await;
    world.until_current("the Deployment's count", 7).await;
    let before = world.target().expect("a target");
    world
        .cluster
        .scaled_object("worker", &triggers(&[new]), &json!({}));
    let mut edited = Keda::new(&world.service, "worker", new).await;
    let first = edited.ask().await;
    assert!(first.is_ok_and(|(value, _)| value >= 10.0), "at once");
    let labels = || {
        let body = http_body(world.service.http, "/api/v1/groups/busy")?;
        let group: Value = serde_json::from_str(&body).ok()?;
        let targets = group["targets"].as_array()?.clone();
        let labels = targets
            .iter()
            .map(|t| t["scaled_object"].as_str().map(str::to_owned));
        labels.collect::<Option<Vec<_>>>()
    };
    assert_eq!(labels(), Some(vec!["shop/worker".to_owned()]));
    let after = world.target().expect("a target");
    assert_eq!(after["current"], before["current"], "it knows what runs");
    // Two triggers are numbered in the order of the spec, whichever asks first.
    let other: &[_] = &[
        ("group", "busy"),
        ("mode", "backlog"),
        ("backlogThreshold", "10"),
    ];
    world
        .cluster
        .scaled_object("worker", &triggers(&[other, new]), &json!({}));
    let mut second = Keda::new(&world.service, "worker", other).await;
    eventually("both are numbered", WITHIN, async || {
        let _ = (second.ask().await, edited.ask().await);
        let body = http_body(world.service.http, "/metrics")?;
        let first = "streamgauge_group_desired_replicas{group=\"busy\",source=\"main\",stream=\"busy\",consumer_group=\"g\",scaled_object=\"shop/worker#1\"}";
        body.contains(first).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_scaled_job_is_recognised_and_its_running_jobs_are_counted() {
    let spec = json!({"maxReplicaCount": 20, "triggers": agreeing()["triggers"]});
    let world = World::new(ON, |cluster| {
        cluster.remove("worker");
        cluster.scaled_job("worker", &spec);
        for (name, ended) in [("a", None), ("b", None), ("c", Some("Complete"))] {
            cluster.job(name, "worker", ended);
        }
        cluster.job("d", "another", None);
    })
    .await;
    // Two as well as the consumers are: what ends tells them apart.
    world.cluster.job("e", "worker", None);
    world.until_current("its running jobs", 3).await;
    world.cluster.job("a", "worker", Some("Failed"));
    world.cluster.job("b", "worker", Some("Complete"));
    world.until_current("one job is left", 1).await;
    let warnings = world.target().expect("a target")["warnings"].clone();
    assert_eq!(warnings, json!([]), "no fallback, no HPA to be set right");
}

#[tokio::test]
async fn who_may_list_but_not_watch_is_told_so() {
    let world = World::new(ON, |cluster| cluster.fail("watch", 403, "")).await;
    eventually("it is said", WITHIN, async || {
        let said = "is not allowed to watch scaledobjects.keda.sh in namespace shop";
        (world.said(said) == 1).then_some(())
    })
    .await;
    world.until_metric("streamgauge_kubernetes_up", "0").await;
}

#[tokio::test]
async fn what_contradicts_is_said_once_and_shown_until_it_is_cured() {
    let object = json!({"minReplicaCount": 2, "maxReplicaCount": 30});
    let paused = json!({"autoscaling.keda.sh/paused-replicas": "7"});
    let mut world = World::new(ON, |cluster| {
        cluster.scaled_object("worker", &object, &paused)
    })
    .await;
    world.until_current("the Deployment's count", 7).await;
    let target = world.target().expect("a target");
    let warnings = target["warnings"].as_array().expect("a list");
    let expect = [
        "maxReplicaCount is 30, maxReplicas 50",
        "minReplicaCount is 2, minReplicas 0",
        "stabilizationWindowSeconds is not set",
        "There is no fallback",
        "paused at 7",
    ];
    assert_eq!(warnings.len(), expect.len(), "{warnings:#?}");
    for (warning, expect) in warnings.iter().zip(expect) {
        assert!(
            warning.as_str().is_some_and(|w| w.contains(expect)),
            "{warning}"
        );
    }
    eventually("the pause is said in the decision", WITHIN, async || {
        let target = world.target()?;
        target["text"]
            .as_str()?
            .ends_with("KEDA does not apply the replica count.")
            .then_some(())
    })
    .await;
    let answer = world.keda.ask().await;
    assert!(
        answer.is_ok_and(|(value, _)| value >= 10.0),
        "decided all the same"
    );
    world.cluster.forget_history();
    let readings = world.cluster.times_asked("scaledobjects");
    eventually("it was read again", WITHIN, async || {
        (world.cluster.times_asked("scaledobjects") > readings + 2).then_some(())
    })
    .await;
    world.says_once("maxReplicaCount is 30").await;
    world
        .cluster
        .scaled_object("worker", &agreeing(), &json!({}));
    eventually("no warning is left", WITHIN, async || {
        (world.target()?["warnings"] == json!([])).then_some(())
    })
    .await;
    world.says_once("agrees with the policy now").await;
}

/// `fault` is on from the start: answers go by the two consumers, the metric says why; after `heal` the cluster counts.
async fn goes_on(world: &mut World, reason: &str, up: &str) {
    let errors = format!("streamgauge_kubernetes_errors_total{{reason=\"{reason}\"}}");
    eventually(
        &format!("a failure is counted: {errors}"),
        WITHIN,
        async || (world.metric(&errors)? != "0").then_some(()),
    )
    .await;
    world.until_metric("streamgauge_kubernetes_up", up).await;
    world.until_current("the consumers", 2).await;
    // Not the history of decisions: it holds only those that changed the answer.
    let target = world.target().expect("a target");
    assert_eq!(target["inputs"]["current_source"], "consumers");
    let answer = world.keda.ask().await;
    assert!(
        answer
            .as_ref()
            .is_ok_and(|(value, active)| *value >= 10.0 && *active),
        "{answer:?}"
    );
    world.cluster.heal();
    world.line.set(Mode::Pass);
    world.until_current("the cluster again", 7).await;
    world.until_metric("streamgauge_kubernetes_up", "1").await;
    assert_eq!(
        world.said("not-to-be-seen-anywhere"),
        0,
        "no secret is logged"
    );
}

#[tokio::test]
async fn refusals_and_nonsense_leave_the_answer_to_the_consumers() {
    let deployment_as_text =
        r#"{"kind":"Deployment","metadata":{},"status":"not-to-be-seen-anywhere"}"#;
    for (plural, code, body, reason, up) in [
        ("scaledobjects", 403, "", "auth", "0"),
        ("scaledobjects", 404, "", "not_found", "1"),
        ("scaledobjects", 404, "404 page not found", "not_found", "1"),
        ("scaledobjects", 500, "", "transient", "0"),
        ("scaledobjects", 429, "", "throttled", "0"),
        (
            "scaledobjects",
            200,
            "not-to-be-seen-anywhere",
            "protocol",
            "0",
        ),
        (
            "scaledobjects",
            200,
            "{\"metadata\":{},\"spec\":[]}",
            "protocol",
            "0",
        ),
        ("apps", 200, deployment_as_text, "protocol", "0"),
    ] {
        let mut world = World::new(ON, |cluster| {
            cluster.fail(plural, code, body);
            cluster.fail("horizontalpodautoscalers", 403, "");
        })
        .await;
        goes_on(&mut world, reason, up).await;
    }
}

#[tokio::test]
async fn where_only_the_target_may_not_be_read_the_hpa_tells_the_count() {
    let world = World::new(ON, |cluster| cluster.fail("apps", 403, "")).await;
    world.until_current("the HPA's count", 7).await;
    let target = world.target().expect("a target");
    assert_eq!(target["kubernetes"]["ready"], Value::Null);
    let said = "is not allowed to list deployments.apps in namespace shop";
    assert!(
        target["warnings"][0]
            .as_str()
            .is_some_and(|w| w.contains(said)),
        "{target}"
    );
    world.says_once(said).await;
    world.until_metric("streamgauge_kubernetes_up", "0").await;
}

#[tokio::test]
async fn a_line_that_hangs_breaks_or_babbles_never_changes_whether_there_is_an_answer() {
    let mut world = World::new(ON, |_| {}).await;
    world.until_current("the Deployment's count", 7).await;
    let mut pods = 7;
    for (mode, reason) in [
        (Mode::BlackholeAll, "timeout"),
        (Mode::Reset, "unreachable"),
        (Mode::Garbage(b"HTTP/9.9 what\r\n".to_vec()), "unreachable"),
    ] {
        let errors = format!("streamgauge_kubernetes_errors_total{{reason=\"{reason}\"}}");
        let before = world.metric(&errors).expect("a counter");
        world.line.set(mode.clone());
        eventually(&format!("{mode:?} is noticed"), WITHIN, async || {
            (world.metric(&errors)? != before).then_some(())
        })
        .await;
        world.until_metric("streamgauge_kubernetes_up", "0").await;
        let fine = |a: &Result<(f64, bool), tonic::Status>| matches!(a, Ok((value, true)) if *value >= 10.0);
        world
            .keda
            .during("while it fails", Duration::from_secs(1), fine)
            .await;
        let target = world.target().expect("a target");
        assert_eq!(
            target["current"], pods,
            "the last count stands for two minutes"
        );
        pods += 1;
        world.cluster.pods("worker", pods, pods);
        world.line.set(Mode::Pass);
        world
            .until_current("the new count after the fault", pods.into())
            .await;
        world.until_metric("streamgauge_kubernetes_up", "1").await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_or_does_not_know_us_is_no_obstacle() {
    let cluster = Kubernetes::start().await;
    let nobody = cluster.kubeconfig(crate::support::redis::free_port());
    let stranger = cluster.kubeconfig_with(cluster.address.port(), "a stranger");
    let missing = Path::new("/nowhere/kubeconfig").to_owned();
    for (path, reason) in [
        (nobody, "unreachable"),
        (stranger, "auth"),
        (missing, "misconfigured"),
    ] {
        let section = format!(
            "kubernetes: {{ kubeconfig: {}, poll_interval: 1s }}",
            shown(&path)
        );
        let world = World::new(&section, |_| {}).await;
        let errors = format!("streamgauge_kubernetes_errors_total{{reason=\"{reason}\"}}");
        eventually(&errors, WITHIN, async || {
            (world.metric(&errors)?.parse::<u64>().ok()? > 1).then_some(())
        })
        .await;
        world.until_current("the consumers", 2).await;
        // Every watch fails with the same words: they are said once.
        world.says_once("are estimated from active consumers").await;
    }
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
