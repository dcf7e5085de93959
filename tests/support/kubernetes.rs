//! A Kubernetes API server of our own: TLS, a bearer token, lists in pages, watches that end when they are asked to, a history that
//! can be forgotten, faults that can be switched on. It takes nothing but list and watch, and Leases, so that a service that needs more
//! rights is noticed.

mod answers;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::serve::Listener;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Certificates;
use answers::answer;
use state::Cluster;

const TOKEN: &str = "not-to-be-seen-anywhere";

/// The namespace of everything.
pub const NAMESPACE: &str = "shop";

/// A running API server; ends when dropped.
pub struct Kubernetes {
    pub address: SocketAddr,
    state: Arc<Mutex<Cluster>>,
    certificates: Certificates,
    folder: TempDir,
    serving: JoinHandle<()>,
}

impl Kubernetes {
    pub async fn start() -> Self {
        let certificates = Certificates::make();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(Cluster::default()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let tls = Tls {
            listener,
            acceptor: certificates.acceptor.clone(),
        };
        let serving = tokio::spawn(async move {
            let _ended = axum::serve(tls, router).await;
        });
        Self {
            address,
            state,
            certificates,
            folder: TempDir::new().expect("a folder"),
            serving,
        }
    }

    /// A kubeconfig that leads to that port, with the right token.
    pub fn kubeconfig(&self, port: u16) -> PathBuf {
        self.kubeconfig_with(port, TOKEN)
    }

    pub fn kubeconfig_with(&self, port: u16, token: &str) -> PathBuf {
        let path = self
            .folder
            .path()
            .join(format!("kubeconfig-{port}-{}", token.len()));
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": self.certificates.authority,
            }}],
            "users": [{"name": "test", "user": {"token": token}}],
        });
        let text = serde_yaml::to_string(&content).expect("YAML");
        std::fs::write(&path, text).expect("a written kubeconfig");
        path
    }

    /// A ScaledObject of that name for a Deployment of that name; `spec` and `annotations` are added to it.
    pub fn scaled_object(&self, name: &str, spec: &Value, annotations: &Value) {
        let mut content = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
            "spec": {"scaleTargetRef": {"name": name}, "triggers": []},
            "status": {
                "hpaName": format!("keda-hpa-{name}"),
                "scaleTargetGVKR": {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"},
            },
        });
        for (key, value) in spec.as_object().expect("a mapping") {
            content["spec"][key] = value.clone();
        }
        self.put("keda.sh/v1alpha1", "scaledobjects", name, content);
    }

    /// The Deployment and its HPA as they are with so many pods.
    pub fn pods(&self, name: &str, asked: u32, ready: u32) {
        let mut status =
            json!({"observedGeneration": 3, "replicas": asked, "updatedReplicas": asked});
        if ready > 0 {
            // As the real one does: a zero is left out.
            status["readyReplicas"] = ready.into();
        }
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"replicas": asked, "template": {"spec": {"containers": [{"env": [{"name": "K", "value": TOKEN}]}]}}},
            "status": status,
        });
        self.put("apps/v1", "deployments", name, deployment);
        let hpa = format!("keda-hpa-{name}");
        let content = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": hpa, "namespace": NAMESPACE},
            "spec": {},
            "status": {"currentReplicas": asked, "desiredReplicas": asked, "conditions": []},
        });
        self.put("autoscaling/v2", "horizontalpodautoscalers", &hpa, content);
    }

    /// A pod of the Deployment, which finds its pods from now on, with a container that waits for that reason.
    pub fn stuck_pod(&self, deployment: &str, pod: &str, reason: &str, restarts: u32) {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}");
        let mut found = self.state().objects[&path].clone();
        found["spec"]["selector"] = json!({"matchLabels": {"app": deployment}});
        self.put("apps/v1", "deployments", deployment, found);
        let container = json!({
            "name": "worker", "ready": false, "restartCount": restarts,
            "state": {"waiting": {"reason": reason, "message": "back-off 5m0s"}},
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
        });
        let content = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": NAMESPACE, "labels": {"app": deployment}},
            "spec": {}, "status": {"phase": "Running", "containerStatuses": [container]},
        });
        self.put("v1", "pods", pod, content);
    }

    /// A ScaledJob of that name.
    pub fn scaled_job(&self, name: &str, spec: &Value) {
        let content = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec, "status": {},
        });
        self.put("keda.sh/v1alpha1", "scaledjobs", name, content);
    }

    /// A job of that ScaledJob; `ended` is `Complete` or `Failed`.
    pub fn job(&self, name: &str, scaled_job: &str, ended: Option<&str>) {
        let conditions: Vec<Value> = ended
            .into_iter()
            .map(|kind| json!({"type": kind, "status": "True"}))
            .collect();
        let content = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"scaledjob.keda.sh/name": scaled_job}},
            "spec": {}, "status": {"conditions": conditions},
        });
        self.put("batch/v1", "jobs", name, content);
    }

    pub fn remove(&self, name: &str) {
        let end = format!("/{name}");
        let mut state = self.state();
        let objects = state.objects.clone();
        for (path, content) in objects.into_iter().filter(|(path, _)| path.ends_with(&end)) {
            state.change(&path, "DELETED", content);
        }
    }

    /// As after a restart of the API server: watches end, and none can go on where it was.
    pub fn forget_history(&self) {
        let mut state = self.state();
        state.version += 1;
        state.oldest = state.version;
        state.watches_since = state.watches;
        state.changed.notify_waiters();
    }

    /// As [`Self::remove`], but no watch hears of it before it lists again.
    pub fn remove_unseen(&self, name: &str) {
        let end = format!("/{name}");
        let mut state = self.state();
        state.objects.retain(|path, _| !path.ends_with(&end));
        drop(state);
        self.forget_history();
    }

    /// Whoever asks for that resource gets this status and body.
    pub fn fail(&self, plural: &'static str, status: u16, body: &'static str) {
        let mut state = self.state();
        state.faults.insert(plural, (status, body));
        state.changed.notify_waiters();
    }

    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// What was asked so far, each path once.
    pub fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> = self
            .state()
            .asked
            .iter()
            .map(|(verb, path)| format!("{verb} {path}"))
            .collect();
        asked.sort();
        asked.dedup();
        asked
    }

    /// How often that resource was asked for.
    pub fn times_asked(&self, plural: &str) -> usize {
        let state = self.state();
        let of_resource = state.asked.iter();
        of_resource
            .filter(|(_, path)| path.contains(plural))
            .count()
    }

    fn put(&self, version: &str, plural: &str, name: &str, content: Value) {
        // The oldest group has no name.
        let root = if version == "v1" { "api" } else { "apis" };
        let path = format!("/{root}/{version}/namespaces/{NAMESPACE}/{plural}/{name}");
        let mut state = self.state();
        let kind = match state.objects.contains_key(&path) {
            true => "MODIFIED",
            false => "ADDED",
        };
        state.change(&path, kind, content);
    }

    fn state(&self) -> MutexGuard<'_, Cluster> {
        self.state.lock().expect("the cluster")
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.expect("a connection");
            // One at a time: a client that says nothing would hold up the others, and none of the tests' does.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
