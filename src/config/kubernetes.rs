//! The `kubernetes` section: whether and how the API of the cluster is read.

use super::keys::{self, Place};

pub use super::choices::Enabled;
pub use super::table::KubernetesConfig;

impl Default for KubernetesConfig {
    fn default() -> Self {
        keys::standard()
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

/// Notes keys that contradict each other.
pub(super) fn check(config: &KubernetesConfig, place: &mut Place<'_>) {
    if config.context.is_some() && config.kubeconfig.is_none() && !place.is_faulty("kubeconfig") {
        let text = "requires kubeconfig: set kubeconfig, or remove it";
        place.fault_at("context", text);
    }
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
                 c.yaml: kubernetes.context: requires kubeconfig: set kubeconfig, or remove it\n\
                 c.yaml: kubernetes.poll_interval: must be between 1s and 30s\n\
                 c.yaml: kubernetes.kubeconf: unknown key: did you mean kubeconfig? Known keys: enabled, kubeconfig, context, poll_interval"
            )
        );
    }
}
