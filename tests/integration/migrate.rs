//! `streamgauge migrate` as a user runs it: the examples of the documentation, and a trigger that is moved to a running service.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_yaml::Value;

use crate::support::keda::Keda;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

fn migrate(manifests: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("scaledobject.yaml");
    std::fs::write(&file, manifests).expect("written");
    Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("migrate")
        .arg(&file)
        .args(arguments)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_documentation_shows_what_it_prints() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating-from-keda.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let blocks = page.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect();
    let (examples, rest) = blocks.as_chunks::<2>();
    assert_eq!(
        (examples.len(), rest.len()),
        (3, 0),
        "before and after of each"
    );
    for [before, after] in examples {
        let output = migrate(before, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), **after);
    }
}

#[test]
fn what_cannot_be_moved_ends_with_1_and_stands_on_stderr() {
    let output = migrate(
        "kind: ScaledObject\nmetadata: { name: a }\nspec: { triggers: [{ type: redis-streams, metadata: { stream: s } }] }\n",
        &["--namespace", "shop"],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(
        told.starts_with("problem: shop/a, trigger 1 (redis-streams): "),
        "{told}"
    );
    let output = migrate("kind: Deployment\n", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(told.contains("there is no ScaledObject"), "{told}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_a_complaint() {
    let object = "kind: ScaledObject\nmetadata: { name: a }\n---\n".repeat(10_000);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("many.yaml");
    std::fs::write(&file, object).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("migrate")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn a_moved_trigger_is_answered_with_what_kedas_own_would_count() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE orders billing $ MKSTREAM");
    for _ in 0..70 {
        run::<String>(&mut redis, "XADD orders * d a");
    }
    run::<()>(
        &mut redis,
        "XREADGROUP GROUP billing c COUNT 20 STREAMS orders >",
    );
    let counted = [
        ("lagCount: '10'", 50.0),
        ("pendingEntriesCount: '10'", 20.0),
        // KEDA's default: pending entries.
        ("activationLagCount: '5'", 20.0),
    ];
    for (threshold, expected) in counted {
        let before = format!(
            "kind: ScaledObject\nmetadata: {{ name: billing, namespace: shop }}\nspec:\n  triggers:\n  - type: redis-streams\n    metadata:\n      address: \
             127.0.0.1:{}\n      stream: orders\n      consumerGroup: billing\n      {threshold}\n",
            server.port
        );
        let config = text(&migrate(&before, &["--only", "config"]).stdout);
        let listens = "server: { grpc: '127.0.0.1:0', http: '127.0.0.1:0' }";
        let service = Service::start(&format!("{listens}\n{config}"));
        let object = text(&migrate(&before, &["--only", "objects"]).stdout);
        let object: Value = serde_yaml::from_str(&object).expect("one object");
        let metadata = object["spec"]["triggers"][0]["metadata"].as_mapping();
        let metadata: Vec<(&str, &str)> = metadata
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?)))
            .collect();
        let mut keda = Keda::new(&service, "billing", &metadata).await;
        let counted = |value: f64, active: bool| (value - expected).abs() < 0.5 && active;
        keda.until(threshold, Duration::from_secs(10), counted)
            .await;
    }
}
