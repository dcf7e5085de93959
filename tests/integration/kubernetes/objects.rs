//! What people do to a ScaledObject or ScaledJob: they pause, edit and delete it, or write what contradicts the policy.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{ON, WITHIN, World, agreeing};
use crate::support::eventually;
use crate::support::keda::Keda;
use crate::support::prometheus::http_body;

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
        let targets = world.targets()?;
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
