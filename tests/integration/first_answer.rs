//! From the start of the process to the first answer: KEDA may be making an HPA just then (kedacore/keda#8168), so nothing slow
//! may come before it, neither the state, nor a source, nor Kubernetes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::ports::free_port;
use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tempfile::TempDir;

/// Generous: a debug build on a busy machine. A release build takes a few milliseconds.
const WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_first_answer_waits_for_nothing() {
    let folder = TempDir::new().expect("a folder");
    // They take connections and never say a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let silent = listener.local_addr().expect("an address");
    let kubeconfig = folder.path().join("kubeconfig");
    let content = format!(
        "{{apiVersion: v1, kind: Config, current-context: t, contexts: [{{name: t, context: {{cluster: t, user: t}}}}], \
         clusters: [{{name: t, cluster: {{server: \"https://{silent}\"}}}}], users: [{{name: t, user: {{token: t}}}}]}}"
    );
    std::fs::write(&kubeconfig, content).expect("written");
    let grpc = free_port();
    let groups: Vec<String> = (0..200)
        .map(|n| format!("{{ name: g{n}, source: main, stream: s{n}, consumer_group: g }}"))
        .collect();
    let config = format!(
        "server: {{ grpc: \"127.0.0.1:{grpc}\", http: \"127.0.0.1:0\" }}\n\
         kubernetes: {{ kubeconfig: \"{}\" }}\n\
         state: {{ dir: \"{}\" }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{silent}\" }} }} ]\n\
         groups: [ {} ]\n",
        kubeconfig.display(),
        folder.path().join("state").display(),
        groups.join(", ")
    );
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, config).expect("written");
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["serve", "--config"])
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let object = ScaledObjectRef {
        name: "worker".into(),
        namespace: "shop".into(),
        scaler_metadata: [("group".to_owned(), "g0".to_owned())].into(),
    };
    let answered = loop {
        assert!(started.elapsed() < WITHIN * 5, "no answer at all");
        let address = format!("http://127.0.0.1:{grpc}");
        if let Ok(mut client) = ExternalScalerClient::connect(address).await {
            let spec = client.get_metric_spec(object.clone()).await;
            spec.expect("an answer as soon as it listens");
            break started.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    println!("the first answer came {answered:?} after the start of the process");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(answered < WITHIN, "{answered:?}");
}
