//! The other replicas: the address for them, and how they are found.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bind::bind;
use super::parts::ServiceParts;
use crate::adapters::grpc::{self, Forwarding, Scaler};
use crate::clock::Clock;
use crate::cluster::has_account;
use crate::config::kubernetes::KubernetesConfig;
use crate::config::replication::ReplicationConfig;
use crate::config::types::Config;
use crate::replication::Members;
use crate::replication::leases::{LeaseHolder, keep_leases, release};
use crate::replication::service::ReplicaService;
use crate::shutdown::{Phase, Shutdown};

/// Where the pod is, from its manifest.
const POD_IP: &str = "POD_IP";
/// Its name; without it, the host's.
const POD_NAME: &str = "POD_NAME";
/// Its namespace; without it, the service account's.
const POD_NAMESPACE: &str = "POD_NAMESPACE";
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// What the kernel calls this machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The part of a service that is for other replicas; nothing runs yet.
pub(super) struct OtherReplicas {
    /// Who is there.
    pub members: Arc<Members>,
    listener: TcpListener,
    found_by: FoundBy,
}

/// How the others are found.
enum FoundBy {
    /// The config names them.
    Peers(BTreeSet<Arc<str>>),
    /// By their Leases.
    Leases(LeaseHolder, KubernetesConfig),
}

impl OtherReplicas {
    /// Binds the address; `None` where there are no others.
    pub async fn listen(config: &Config) -> Result<Option<Self>> {
        let Config {
            replication,
            kubernetes,
            ..
        } = config;
        // In a test's or a developer's place of the pod's account there is a kubeconfig.
        let is_pod = has_account() || kubernetes.kubeconfig.is_some();
        let pod_ip = std::env::var(POD_IP).ok().filter(|_| is_pod);
        if !replication.is_on(pod_ip.is_some()) {
            return Ok(None);
        }
        let listener = bind(replication.listen, "replication.listen").await?;
        let at = listener.local_addr()?;
        let found_by = match (&replication.peers, pod_ip) {
            (Some(peers), _) => {
                FoundBy::Peers(peers.iter().map(|peer| Arc::from(peer.as_str())).collect())
            }
            (None, Some(ip)) => {
                let holder = lease_holder(&ip, at, replication)?;
                FoundBy::Leases(holder, kubernetes.clone())
            }
            (None, None) => bail!(
                "replication.enabled is true, but where the other replicas are is not known: set replication.peers, or in a pod \
                 {POD_IP} to its address (fieldRef status.podIP) and mount the service account's token"
            ),
        };
        let name = match &found_by {
            FoundBy::Peers(_) => format!("{}:{}", host_name(), at.port()),
            FoundBy::Leases(holder, _) => holder.name.clone(),
        };
        Ok(Some(Self {
            members: Arc::new(Members::new(&name)),
            listener,
            found_by,
        }))
    }

    /// Serves the others, and asks them, on the threads that also answer KEDA.
    pub fn start(
        self,
        parts: &ServiceParts,
        shutdown: &Shutdown,
        tasks: &mut JoinSet<Result<()>>,
        callers: &Handle,
        clock: Clock,
    ) -> Result<()> {
        let Self {
            members,
            listener,
            found_by,
        } = self;
        tracing::info!(name = members.me(), address = %listener.local_addr()?, "replicas share the groups");
        let registry = parts.registry.clone();
        let service = ReplicaService::new(members.clone(), registry.clone(), clock);
        // Counted where KEDA asked.
        let scaler = Scaler::new(registry.clone(), clock, shutdown.clone(), Arc::default())
            .with_replicas(Forwarding::of_replicas(members.clone()));
        let listener = listener.into_std()?;
        let until = shutdown.clone();
        let answering = async move {
            let listener = TcpListener::from_std(listener)?;
            grpc::serve_replicas(listener, scaler, service, until).await?;
            std::future::pending().await
        };
        tasks.spawn_on(answering, callers);
        let (found, addresses) = watch::channel(None);
        match found_by {
            FoundBy::Peers(peers) => drop(found.send_replace(Some(peers))),
            FoundBy::Leases(holder, config) => {
                let until = shutdown.clone();
                tasks.spawn_on(
                    async move {
                        tokio::select! {
                            () = keep_leases(holder.clone(), config.clone(), found) => {}
                            () = until.reached(Phase::Draining) => release(holder, config).await,
                        }
                        std::future::pending().await
                    },
                    callers,
                );
            }
        }
        let watching = async move {
            members.keep_watch(addresses, registry, clock).await;
            bail!("nobody watches the other replicas any more")
        };
        tasks.spawn_on(watching, callers);
        Ok(())
    }
}

/// What says where this pod is.
fn lease_holder(
    ip: &str,
    listens_at: SocketAddr,
    config: &ReplicationConfig,
) -> Result<LeaseHolder> {
    let ip: IpAddr = ip
        .parse()
        .with_context(|| format!("{POD_IP} is no IP address; set it by fieldRef status.podIP"))?;
    let namespace = std::env::var(POD_NAMESPACE)
        .or_else(|_| std::fs::read_to_string(NAMESPACE))
        .with_context(|| {
            format!("replication: neither {POD_NAMESPACE} nor {NAMESPACE} says the namespace")
        })?;
    Ok(LeaseHolder {
        name: std::env::var(POD_NAME).unwrap_or_else(|_| host_name()),
        namespace: namespace.trim().to_owned(),
        address: SocketAddr::new(ip, listens_at.port()).to_string(),
        set: config.set.clone(),
    })
}

/// In a pod, the pod's name.
fn host_name() -> String {
    let host = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    host.trim().to_owned()
}
