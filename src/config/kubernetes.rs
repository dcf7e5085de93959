//! The `kubernetes` section: whether and how the API of the cluster is read.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;

/// Readings count for two minutes: even at the longest interval a few may fail.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// Where replicas are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Whether it is read at all.
    pub enabled: Enabled,
    /// A kubeconfig file; `None`: the pod's service account, else the user's own kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// The context of that file; `None`: its current one.
    pub context: Option<String>,
    /// How often the replicas of a ScaledObject are read.
    pub poll_interval: Duration,
}

/// Whether the Kubernetes API is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enabled {
    /// Yes.
    Yes,
    /// No.
    No,
    /// In a pod that has a service account's token, or with a kubeconfig that the section names.
    #[default]
    Auto,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            enabled: Enabled::Auto,
            kubeconfig: None,
            context: None,
            poll_interval: Duration::from_secs(10),
        }
    }
}

impl KubernetesConfig {
    /// Whether the API is to be read by a process that has, or has not, a pod's service account.
    pub const fn is_on(&self, has_account: bool) -> bool {
        match self.enabled {
            Enabled::Yes => true,
            Enabled::No => false,
            Enabled::Auto => has_account || self.kubeconfig.is_some(),
        }
    }
}

pub(super) fn read(root: &mut Section<'_>) -> KubernetesConfig {
    let mut config = KubernetesConfig::default();
    let Some(mut section) = root.section("kubernetes") else {
        return config;
    };
    config.enabled = section.switch("enabled").unwrap_or_default();
    config.kubeconfig = section.file("kubeconfig");
    config.context = section.text("context");
    if config.context.is_some() && config.kubeconfig.is_none() {
        section.problem(
            "context",
            "is the context of a kubeconfig: name that, too, or remove it",
        );
    }
    match section.duration("poll_interval") {
        Some(interval) if INTERVALS.contains(&interval) => config.poll_interval = interval,
        Some(_) => section.problem("poll_interval", "must be between 1s and 30s"),
        None => {}
    }
    section.finish();
    config
}

#[cfg(test)]
mod tests {
    use crate::config::types::Config;

    use super::*;

    const SOURCE: &str = "sources: [ { name: main, redis: { url: \"redis://localhost\" } } ]\n";

    fn parse(section: &str) -> Result<KubernetesConfig, String> {
        Config::parse(&format!("{SOURCE}kubernetes: {section}\n"), "c.yaml")
            .map(|config| config.kubernetes)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn without_the_section_it_is_on_in_a_pod_with_an_account_and_silently_off_elsewhere() {
        let config = Config::parse(SOURCE, "c.yaml").map(|config| config.kubernetes);
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config, KubernetesConfig::default());
        assert!(config.is_on(true));
        assert!(!config.is_on(false));
    }

    #[test]
    fn it_is_switched_by_true_false_and_auto_and_a_kubeconfig_means_yes() {
        let is_on = |section: &str, account| parse(section).map(|config| config.is_on(account));
        assert_eq!(is_on("{ enabled: true }", false), Ok(true));
        assert_eq!(is_on("{ enabled: false }", true), Ok(false));
        assert_eq!(is_on("{ enabled: auto }", false), Ok(false));
        assert_eq!(is_on("{ enabled: auto }", true), Ok(true));
        assert_eq!(is_on("{ kubeconfig: /k }", false), Ok(true));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let said = parse("{ enabled: perhaps, context: x, poll_interval: 5m, kubeconf: /k }");
        let said = said.err();
        assert_eq!(
            said.as_deref(),
            Some(
                "c.yaml: kubernetes.enabled: must be true, false or auto\n\
                 c.yaml: kubernetes.context: is the context of a kubeconfig: name that, too, or remove it\n\
                 c.yaml: kubernetes.poll_interval: must be between 1s and 30s\n\
                 c.yaml: kubernetes.kubeconf: unknown key: did you mean kubeconfig? Known here: enabled, kubeconfig, context, poll_interval"
            )
        );
    }
}
