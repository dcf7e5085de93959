//! A Kubernetes API server of our own: TLS, a bearer token, objects that change, faults that can be switched on. It reads only
//! what it has to and takes nothing but GET, so that a service with more rights than it needs is noticed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::event_hub::tls::Certificates;

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

#[derive(Default)]
struct Cluster {
    /// By path.
    objects: BTreeMap<String, Value>,
    /// What is answered instead, by the plural of the resource.
    faults: BTreeMap<&'static str, (u16, &'static str)>,
    asked: Vec<(Method, String)>,
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

    pub fn remove(&self, name: &str) {
        let end = format!("/{name}");
        self.state().objects.retain(|path, _| !path.ends_with(&end));
    }

    /// Whoever asks for that resource gets this status and body.
    pub fn fail(&self, plural: &'static str, status: u16, body: &'static str) {
        self.state().faults.insert(plural, (status, body));
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
            .map(|(method, path)| format!("{method} {path}"))
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
        let path = format!("/apis/{version}/namespaces/{NAMESPACE}/{plural}/{name}");
        self.state().objects.insert(path, content);
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

async fn answer(State(state): State<Arc<Mutex<Cluster>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut state = state.lock().expect("the cluster");
    state.asked.push((request.method().clone(), path.clone()));
    let token = request.headers().get(header::AUTHORIZATION);
    if token.is_none_or(|token| token.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return status(401, "Unauthorized");
    }
    if request.method() != Method::GET {
        return status(405, "MethodNotAllowed");
    }
    let fault = state
        .faults
        .iter()
        .find(|(plural, _)| path.contains(**plural));
    match (fault, state.objects.get(&path)) {
        (Some((_, (code, ""))), _) => status(*code, "Fault"),
        (Some((_, (code, body))), _) => {
            let code = StatusCode::from_u16(*code).expect("a status");
            (code, *body).into_response()
        }
        (None, Some(found)) => axum::Json(found.clone()).into_response(),
        (None, None) => status(404, "NotFound"),
    }
}

/// As the real one says it.
fn status(code: u16, reason: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).expect("a status");
    (code, axum::Json(body)).into_response()
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
