//! Address and credential of the API server: the pod's service account or a kubeconfig.

use std::path::Path;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::config::kubernetes::KubernetesConfig;
use crate::scaled_object::{Unread, UnreadKind};

/// Where a pod finds the token of its service account, unless that is not mounted.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Whether this process has a pod's service account.
pub fn has_account() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists()
}

/// A client; it connects at its first call, and reads a rotated token again by itself.
///
/// # Errors
/// The configuration cannot be used.
pub async fn client(config: &KubernetesConfig) -> Result<kube::Client, Unread> {
    let mut config = match &config.kubeconfig {
        Some(path) => of_file(path, config.context.clone()).await?,
        None if has_account() => Config::incluster().map_err(|error| {
            misconfigured(format!("the pod's service account is incomplete: {error}"))
        })?,
        // Not the library's own guess: it tries a kubeconfig first, and its errors quote the file.
        None => of_user().await?,
    };
    // Deadlines and pauses are ours.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|_| {
        misconfigured("the cluster's address, certificates or credentials are invalid")
    })
}

async fn of_file(path: &Path, context: Option<String>) -> Result<Config, Unread> {
    // Without the reason: the library quotes the lines around a fault, and these may hold a token.
    let no_kubeconfig = || {
        misconfigured(format!(
            "kubernetes.kubeconfig: {} cannot be read, is not a kubeconfig, or lacks the context",
            path.display()
        ))
    };
    let file = Kubeconfig::read_from(path).map_err(|_| no_kubeconfig())?;
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options).await;
    config.map_err(|_| no_kubeconfig())
}

async fn of_user() -> Result<Config, Unread> {
    let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    config.map_err(|_| {
        misconfigured(
            "this pod has no service account token and no usable kubeconfig: mount the token, set \
             kubernetes.kubeconfig, or set kubernetes.enabled to false",
        )
    })
}

pub(super) fn misconfigured(text: impl Into<String>) -> Unread {
    Unread {
        kind: UnreadKind::Misconfigured,
        text: text.into(),
    }
}
