//! What is learned survives the process, also where there is no journal: a real service on a real Redis, ended in every way.

use std::path::Path;
use std::time::Duration;

use crate::support::keda::Keda;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

fn start(redis: &RedisServer, state: &Path) -> Service {
    Service::start(&config(redis, state, "1s"))
}

fn config(redis: &RedisServer, state: &Path, interval: &str) -> String {
    format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 100ms\n\
         state: {{ dir: \"{}\", interval: {interval}, journal: {{ enabled: false }} }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: orders, consumer_group: billing }} ]\n",
        state.display(),
        redis.address(),
    )
}

async fn signal(service: &Service, name: &str) -> Value {
    let group = service.get_json("/api/v1/groups/billing").await;
    group["signals"][name].clone()
}

/// What is expected of the backlog, once that is known at all and as wanted.
async fn expected(service: &Service, wanted: impl Fn(f64) -> bool) -> f64 {
    crate::support::eventually("an expected backlog", PATIENCE, || async {
        let expected = signal(service, "backlog").await["expected"].as_f64();
        expected.filter(|expected| wanted(*expected))
    })
    .await
}

async fn saved(service: &Service) -> Option<f64> {
    let metrics = service.get("/metrics").await;
    let name = "streamgauge_state_last_success_timestamp_seconds";
    let mut lines = metrics.lines();
    lines
        .find(|line| line.starts_with(name))?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_normal_is_known_at_the_first_poll_after_a_restart_however_the_process_ended() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders billing $ MKSTREAM");
    for _ in 0..500 {
        let _: String = run(&mut connection, "XADD orders * a b");
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");

    let mut service = start(&redis, &state);
    let learned = expected(&service, |n| n > 400.0).await;
    service.terminate();
    assert_eq!(service.ended().await, Some(0));

    // Now there is much less: who learns anew would take that for normal.
    let _: i64 = run(&mut connection, "XTRIM orders MAXLEN 5");
    let service = start(&redis, &state);
    let after = expected(&service, |_| true).await;
    assert!(after > learned * 0.7, "{after}, was {learned}");
    service.until_logged("saved state read").await;

    // Killed: what was written last is there, whole.
    let first = crate::support::eventually("a write", PATIENCE, || saved(&service)).await;
    crate::support::eventually("another write", PATIENCE, || async {
        saved(&service).await.filter(|at| *at > first)
    })
    .await;
    drop(service);
    let service = start(&redis, &state);
    expected(&service, |_| true).await;
    service.until_logged("saved state read").await;
    drop(service);

    // Damaged: said, learned anew, and kept again.
    // What it was writing when it was killed may lie beside it.
    let mut files = std::fs::read_dir(&state).unwrap();
    let file = files.find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "gz").then_some(path)
    });
    let file = file.expect("a whole file");
    std::fs::write(&file, "damaged").unwrap();
    let service = start(&redis, &state);
    crate::support::eventually("a write", PATIENCE, || saved(&service)).await;
    let said = "the saved state cannot be used; learning starts over: ";
    service.until_logged(said).await;
    service.until_logged("it is damaged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_said_and_scaling_goes_on() {
    let redis = RedisServer::start(Flavour::Redis70);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::write(&state, "a file, no folder").unwrap();
    let service = start(&redis, &state);
    crate::support::eventually("a failed write", PATIENCE, || async {
        let metrics = service.get("/metrics").await;
        let failed = |line: &str| {
            line.starts_with("streamgauge_state_write_failures_total") && !line.ends_with(" 0")
        };
        metrics.lines().any(failed).then_some(())
    })
    .await;
    let said = "the learned state cannot be saved; everything else continues: ";
    service.until_logged(said).await;
    crate::support::eventually("a fresh group", PATIENCE, || async {
        let group = service.get_json("/api/v1/groups/billing").await;
        (group["freshness"] == "fresh").then_some(())
    })
    .await;
    std::fs::remove_file(&state).unwrap();
    crate::support::eventually("a write", PATIENCE, || saved(&service)).await;
}

/// Makes what is there the files of another build.
fn of_another_build(journals: &Path) {
    let folders = std::fs::read_dir(journals).unwrap().flatten();
    for file in folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten()) {
        let mut content = std::fs::read(file.path()).unwrap();
        let code = b"\"code\":\"";
        let at = content.windows(code.len()).position(|seen| seen == code);
        content[at.expect("a header") + code.len()] = b'x';
        std::fs::write(file.path(), content).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_no_answer_is_below_the_last_one() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders billing $ MKSTREAM");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let start = || {
        let config = config(&redis, &state, "300s").replace("journal: { enabled: false }", "");
        Service::start(&config)
    };
    let mut service = start();
    let trigger = [
        ("group", "billing"),
        ("capacityPerReplica", "10"),
        ("targetDelay", "10"),
        ("maxReplicas", "900"),
    ];
    let mut keda = Keda::new(&service, "worker", &trigger).await;
    for _ in 0..600 {
        let _: String = run(&mut connection, "XADD orders * a b");
    }
    keda.until("an answer", PATIENCE, |value, _| value >= 6.0)
        .await;
    // All is done: only the hold is left.
    let _: i64 = run(&mut connection, "XTRIM orders MAXLEN 0");
    crate::support::eventually("nothing waits", PATIENCE, || async {
        let group = service.get_json("/api/v1/groups/billing").await;
        (group["backlog"]["value"] == 0).then_some(())
    })
    .await;
    let (told, _) = keda.ask().await.expect("an answer");
    assert!(told >= 6.0, "it is held: {told}");
    service.terminate();
    assert_eq!(service.ended().await, Some(0));
    of_another_build(&state.join("journal"));

    let service = start();
    let mut keda = Keda::new(&service, "worker", &trigger).await;
    let first = crate::support::eventually("an answer", PATIENCE, async || keda.ask().await.ok());
    let first = first.await.0;
    assert!(
        first >= told,
        "{first} after {told}: {:#?} {}",
        service.log(),
        service.get("/api/v1/groups/billing").await
    );
    service.until_logged("written by another build").await;
    for _ in 0..20 {
        let (value, _) = keda.ask().await.expect("an answer");
        assert!(value >= told, "{value} after {told}");
    }
}
