//! A frozen process is silent at its probes, so that the kubelet gives it up; one that hears again answers again.

use std::process::Command;
use std::time::Duration;

use crate::support::eventually;
use crate::support::service::Service;

/// As long as the manifest's probes wait.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn answers(service: &Service, path: &str) -> bool {
    let asked = reqwest::get(format!("http://{}{path}", service.http));
    let answer = tokio::time::timeout(TIMEOUT, asked).await;
    matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
}

async fn until_it_answers(service: &Service, path: &str) {
    eventually(path, TIMEOUT, async || {
        answers(service, path).await.then_some(())
    })
    .await;
}

/// The state of each of its threads, as /proc has it: a signal is there before it has stopped them all.
fn threads(service: &Service) -> impl Iterator<Item = char> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.pid())).expect("its threads");
    tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    })
}

fn signal(service: &Service, name: &str) {
    let pid = service.pid().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("kill").success());
}

#[tokio::test]
async fn a_frozen_process_answers_no_probe() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let service = Service::start(
        "server: { grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }\n\
         sources: [ { name: main, redis: { url: \"redis://127.0.0.1:1\" } } ]\n\
         groups: [ { name: g, source: main, stream: s, consumer_group: g } ]\n",
    );
    for path in ["/livez", "/readyz"] {
        until_it_answers(&service, path).await;
        signal(&service, "-STOP");
        eventually("every thread has stopped", TIMEOUT, async || {
            threads(&service).all(|state| state == 'T').then_some(())
        })
        .await;
        assert!(!answers(&service, path).await, "{path} of a frozen process");
        signal(&service, "-CONT");
        until_it_answers(&service, path).await;
    }
}
