//! An API server that refuses, fails or talks nonsense, and a line to it that does.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::world::{ON, WITHIN, World, shown};
use crate::support::eventually;
use crate::support::kubernetes::Kubernetes;
use crate::support::ports::free_port;
use crate::support::proxy::Mode;

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
    let nobody = cluster.kubeconfig(free_port());
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
