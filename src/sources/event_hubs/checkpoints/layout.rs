//! The five layouts: which blobs belong to a consumer group, and what they tell.

use crate::config::types::{CheckpointStrategy, CheckpointsConfig};

/// Where a layout says who holds a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerPlace {
    /// In blobs of their own, which count while they are young.
    Ownership,
    /// In the checkpoint, which counts while the blob is leased.
    Lease,
    /// Nowhere.
    Nowhere,
}

/// One event hub's layout.
#[derive(Clone, Debug)]
pub struct Layout {
    strategy: CheckpointStrategy,
    container: String,
    /// Whether the container comes into being only with the first commit, so that its absence is no mistake.
    container_is_optional: bool,
    namespace: String,
    event_hub: String,
}

impl Layout {
    /// The layout that the config asks for; without a container it is that of Azure Functions.
    pub fn new(config: &CheckpointsConfig, namespace: &str, event_hub: &str) -> Self {
        let strategy = match config.container {
            None => CheckpointStrategy::AzureFunction,
            Some(_) => config.strategy,
        };
        Self {
            strategy,
            container: config.container_name().to_owned(),
            container_is_optional: strategy == CheckpointStrategy::AzureFunction,
            namespace: namespace.to_owned(),
            event_hub: event_hub.to_owned(),
        }
    }

    /// The container.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Whether a missing container means that nobody has committed yet.
    pub const fn container_is_optional(&self) -> bool {
        self.container_is_optional
    }

    /// What names of a group's blobs may begin with: in lower case as most writers have it, and as given.
    pub fn prefixes(&self, group: &str) -> Vec<String> {
        let as_given = match self.strategy {
            CheckpointStrategy::BlobMetadata | CheckpointStrategy::AzureFunction => {
                format!("{}/{}/{group}/", self.namespace, self.event_hub)
            }
            CheckpointStrategy::GoSdk => String::new(),
            CheckpointStrategy::Dapr => format!("dapr-{}-{group}-", self.event_hub),
            CheckpointStrategy::Legacy => format!("{group}/"),
        };
        let mut prefixes = vec![as_given.to_lowercase(), as_given];
        prefixes.dedup();
        prefixes
    }

    /// The name of a partition's checkpoint.
    pub fn checkpoint(&self, prefix: &str, partition: &str) -> String {
        match self.strategy {
            CheckpointStrategy::BlobMetadata => format!("{prefix}checkpoint/{partition}"),
            _ => format!("{prefix}{partition}"),
        }
    }

    /// The name of a partition's ownership, where there are such blobs.
    pub fn ownership(&self, prefix: &str, partition: &str) -> Option<String> {
        let has = self.owner_place() == OwnerPlace::Ownership;
        has.then(|| format!("{prefix}ownership/{partition}"))
    }

    /// Where it says who holds a partition.
    pub const fn owner_place(&self) -> OwnerPlace {
        match self.strategy {
            CheckpointStrategy::BlobMetadata => OwnerPlace::Ownership,
            CheckpointStrategy::AzureFunction | CheckpointStrategy::Legacy => OwnerPlace::Lease,
            CheckpointStrategy::GoSdk | CheckpointStrategy::Dapr => OwnerPlace::Nowhere,
        }
    }

    /// Whether positions are in the blobs' content (JSON), not in their metadata.
    pub const fn has_content(&self) -> bool {
        !matches!(self.strategy, CheckpointStrategy::BlobMetadata)
    }

    /// Whether the position is in the content's `checkpoint`, not at its top.
    pub const fn is_nested(&self) -> bool {
        matches!(
            self.strategy,
            CheckpointStrategy::GoSdk | CheckpointStrategy::Dapr
        )
    }
}

/// Whether the name can be a part of a blob's path without changing what the path means.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::types::{BlobAuth, Secret};

    fn layout(strategy: CheckpointStrategy, container: Option<&str>) -> Layout {
        let config = CheckpointsConfig {
            account_url: None,
            container: container.map(str::to_owned),
            strategy,
            auth: BlobAuth::AccountKey(Secret::Env("X".into())),
            ca_file: None,
            ownership_expiry: Duration::from_secs(60),
        };
        Layout::new(&config, "Ns.example", "Orders")
    }

    #[test]
    fn every_layout_names_its_blobs() {
        use CheckpointStrategy as S;
        let check = |strategy, names: &[&str], ownership: Option<&str>| {
            let layout = layout(strategy, Some("c"));
            let prefixes = layout.prefixes("$Default");
            let found: Vec<_> = prefixes
                .iter()
                .map(|prefix| layout.checkpoint(prefix, "7"))
                .collect();
            assert_eq!(found, names, "{strategy:?}");
            assert_eq!(layout.ownership(&prefixes[0], "7").as_deref(), ownership);
            assert_eq!(layout.container(), "c");
        };
        check(
            S::BlobMetadata,
            &[
                "ns.example/orders/$default/checkpoint/7",
                "Ns.example/Orders/$Default/checkpoint/7",
            ],
            Some("ns.example/orders/$default/ownership/7"),
        );
        check(
            S::AzureFunction,
            &[
                "ns.example/orders/$default/7",
                "Ns.example/Orders/$Default/7",
            ],
            None,
        );
        check(S::GoSdk, &["7"], None);
        check(
            S::Dapr,
            &["dapr-orders-$default-7", "dapr-Orders-$Default-7"],
            None,
        );
        check(S::Legacy, &["$default/7", "$Default/7"], None);
    }

    #[test]
    fn without_a_container_it_is_that_of_azure_functions() {
        let functions = layout(CheckpointStrategy::BlobMetadata, None);
        assert_eq!(functions.container(), "azure-webjobs-eventhub");
        assert!(functions.container_is_optional() && functions.has_content());
        assert!(!layout(CheckpointStrategy::BlobMetadata, Some("c")).container_is_optional());
        assert!(layout(CheckpointStrategy::AzureFunction, Some("c")).container_is_optional());
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_not_plain() {
        for name in ["", ".", "..", "a/b", "../x", "a\\b"] {
            assert!(!is_plain(name), "{name}");
        }
        for name in ["$Default", "a.b-c_d", "0", "größe %"] {
            assert!(is_plain(name), "{name}");
        }
    }
}
