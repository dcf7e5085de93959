//! Replicas in Kubernetes: each renews a Lease that says where it is, and reads the Leases of the others. That says where to ask; who
//! is there is who answers, so that nobody is taken for gone because the API server is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::cluster::connect;
use crate::config::kubernetes::KubernetesConfig;

/// Between two renewals.
const RENEWAL: Duration = Duration::from_secs(5);
/// A Lease that was not renewed for so long is of a replica that is gone.
const LASTS: Duration = Duration::from_secs(20);
/// One call may take so long.
const CALL: Duration = Duration::from_secs(4);
/// Without a word of the API server, a replica that starts takes itself for the only one after this time.
const ALONE_AFTER: Duration = Duration::from_secs(30);
/// Of Leases, with the name of the Service whose pods share the groups.
const LABEL: &str = "streamgauge/replicas-of";
/// Of a Lease: where the replica listens for others.
const ADDRESS: &str = "streamgauge/address";

/// Where this replica is, and which Leases are those of the others.
#[derive(Clone, Debug)]
pub struct LeaseHolder {
    /// The name of this replica: its pod's.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Where it listens for others.
    pub address: String,
    /// Those of the same set share the groups.
    pub set: String,
}

/// Says where this replica is, and finds out where the others are. Never ends.
pub async fn keep_leases(
    holder: LeaseHolder,
    config: KubernetesConfig,
    found: watch::Sender<Option<BTreeSet<Arc<str>>>>,
) {
    let started = Instant::now();
    let mut seen: BTreeMap<String, LeaseRenewal> = BTreeMap::new();
    let mut was_fine = true;
    let mut api: Option<Api<Lease>> = None;
    let mut tick = tokio::time::interval(RENEWAL);
    loop {
        tick.tick().await;
        if api.is_none() {
            api = match connect::client(&config).await {
                Ok(client) => Some(leases(client, &holder)),
                Err(unread) => {
                    tracing::error!("replicas cannot find each other: {unread}");
                    None
                }
            };
        }
        let went = match &api {
            Some(api) => renew_and_list(api, &holder, &mut seen).await,
            None => Err(LeaseFault::Refused(
                "there is no access to Kubernetes".into(),
            )),
        };
        match went {
            Ok(addresses) => {
                if !was_fine {
                    tracing::info!("replicas find each other by their Leases again");
                }
                was_fine = true;
                found.send_if_modified(|before| {
                    let is_new = before.as_ref() != Some(&addresses);
                    *before = Some(addresses);
                    is_new
                });
            }
            Err(fault) => {
                if was_fine {
                    tracing::warn!(
                        "Leases in namespace {} cannot be renewed and listed; the replicas that are known stay: {fault}",
                        holder.namespace
                    );
                }
                was_fine = false;
                let is_alone =
                    matches!(fault, LeaseFault::Refused(_)) || started.elapsed() >= ALONE_AFTER;
                found.send_if_modified(|before| {
                    let is_new = is_alone && before.is_none();
                    if is_new {
                        tracing::error!(
                            "this replica takes itself for the only one: it knows of no other"
                        );
                        *before = Some(BTreeSet::new());
                    }
                    is_new
                });
            }
        }
    }
}

/// At the end of the process: nobody is to ask here any more.
pub async fn release(holder: LeaseHolder, config: KubernetesConfig) {
    let Ok(client) = connect::client(&config).await else {
        return;
    };
    let api = leases(client, &holder);
    // If it fails, the Lease runs out.
    let _ = timeout(
        CALL,
        api.delete(&lease_name(&holder), &DeleteParams::default()),
    )
    .await;
}

fn leases(client: Client, holder: &LeaseHolder) -> Api<Lease> {
    Api::namespaced(client, &holder.namespace)
}

fn lease_name(holder: &LeaseHolder) -> String {
    format!("{}-{}", holder.set, holder.name)
}

/// When a Lease was last seen to change, by this machine's clock: those of others may be wrong.
struct LeaseRenewal {
    version: String,
    seen_at: Instant,
}

/// Why it did not go.
#[derive(Debug, thiserror::Error)]
enum LeaseFault {
    /// It will not go later either.
    #[error("{0}; apply manifests/role.yaml and its binding")]
    Refused(String),
    /// It may go later.
    #[error("{0}")]
    Later(String),
}

impl From<kube::Error> for LeaseFault {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
                Self::Refused(format!("the Kubernetes API says no ({})", status.code))
            }
            kube::Error::Api(status) => Self::Later(format!(
                "the Kubernetes API returned status {}",
                status.code
            )),
            // Without the reason: it may quote a credential.
            _ => Self::Later("the Kubernetes API cannot be reached".into()),
        }
    }
}

async fn renew_and_list(
    api: &Api<Lease>,
    holder: &LeaseHolder,
    seen: &mut BTreeMap<String, LeaseRenewal>,
) -> Result<BTreeSet<Arc<str>>, LeaseFault> {
    let late = |_| LeaseFault::Later("the Kubernetes API did not answer in time".into());
    let by_us = PatchParams::apply("streamgauge").force();
    let lease = lease(holder);
    let name = lease_name(holder);
    let lease = Patch::Apply(&lease);
    let renewing = api.patch(&name, &by_us, &lease);
    timeout(CALL, renewing).await.map_err(late)??;
    let of_set = ListParams::default().labels(&format!("{LABEL}={}", holder.set));
    let all = timeout(CALL, api.list(&of_set)).await.map_err(late)??;
    let now = Instant::now();
    let mut addresses = BTreeSet::new();
    let mut there = BTreeSet::new();
    for lease in all.items {
        let ObjectMeta {
            name,
            resource_version,
            annotations,
            ..
        } = lease.metadata;
        let (Some(name), Some(version)) = (name, resource_version) else {
            continue;
        };
        let renewal = seen.entry(name.clone()).or_insert(LeaseRenewal {
            version: version.clone(),
            seen_at: now,
        });
        if renewal.version != version {
            *renewal = LeaseRenewal {
                version,
                seen_at: now,
            };
        }
        let address = annotations.and_then(|mut all| all.remove(ADDRESS));
        if let Some(address) = address.filter(|_| now - renewal.seen_at < LASTS) {
            addresses.insert(Arc::from(address));
        }
        there.insert(name);
    }
    seen.retain(|name, _| there.contains(name));
    Ok(addresses)
}

fn lease(holder: &LeaseHolder) -> Lease {
    let one = |key: &str, value: &str| Some([(key.to_owned(), value.to_owned())].into());
    Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(holder)),
            labels: one(LABEL, &holder.set),
            annotations: one(ADDRESS, &holder.address),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.name.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            renew_time: Some(MicroTime(k8s_openapi::jiff::Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}
