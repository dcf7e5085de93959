//! The five layouts of checkpoints: how their blobs are named, and what these tell.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use crate::config::types::CheckpointStrategy;

/// A layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// Positions in metadata, owners in blobs of their own.
    BlobMetadata,
    /// JSON beside the place where `BlobMetadata` has its folders.
    AzureFunction,
    /// JSON, named by the partition alone.
    GoSdk,
    /// JSON, named by a prefix.
    Dapr,
    /// JSON under the consumer group.
    Legacy,
}

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

impl Layout {
    /// Every layout, those first that are written most.
    pub const ALL: [Self; 5] = [
        Self::BlobMetadata,
        Self::AzureFunction,
        Self::Dapr,
        Self::Legacy,
        Self::GoSdk,
    ];

    /// The layout that a strategy asks for; `None`: whichever there is.
    pub fn of(strategy: CheckpointStrategy) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.strategy() == strategy)
    }

    const fn strategy(self) -> CheckpointStrategy {
        match self {
            Self::BlobMetadata => CheckpointStrategy::BlobMetadata,
            Self::AzureFunction => CheckpointStrategy::AzureFunction,
            Self::GoSdk => CheckpointStrategy::GoSdk,
            Self::Dapr => CheckpointStrategy::Dapr,
            Self::Legacy => CheckpointStrategy::Legacy,
        }
    }

    /// The word for it in the config.
    pub fn word(self) -> &'static str {
        self.strategy().as_str()
    }

    /// Whether a blob's name says of which event hub and consumer group it is.
    pub const fn names_its_group(self) -> bool {
        matches!(self, Self::BlobMetadata | Self::AzureFunction | Self::Dapr)
    }

    /// Where it says who holds a partition.
    pub const fn owner_place(self) -> OwnerPlace {
        match self {
            Self::BlobMetadata => OwnerPlace::Ownership,
            Self::AzureFunction | Self::Legacy => OwnerPlace::Lease,
            Self::GoSdk | Self::Dapr => OwnerPlace::Nowhere,
        }
    }

    /// Whether positions are in the blobs' content (JSON), not in their metadata.
    pub const fn has_content(self) -> bool {
        !matches!(self, Self::BlobMetadata)
    }

    /// Whether the position is in the content's `checkpoint`, not at its top.
    pub const fn is_nested(self) -> bool {
        matches!(self, Self::GoSdk | Self::Dapr)
    }
}

/// Where a consumer group's blobs are: a layout, and what their names begin with as somebody spelled it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// How to read them.
    pub layout: Layout,
    /// What the names begin with.
    pub prefix: String,
}

impl Site {
    /// The name of a partition's checkpoint.
    pub fn checkpoint(&self, partition: &str) -> String {
        match self.layout {
            Layout::BlobMetadata => format!("{}checkpoint/{partition}", self.prefix),
            _ => format!("{}{partition}", self.prefix),
        }
    }

    /// The name of a partition's ownership, where there are such blobs.
    pub fn ownership(&self, partition: &str) -> Option<String> {
        let has = self.layout.owner_place() == OwnerPlace::Ownership;
        has.then(|| format!("{}ownership/{partition}", self.prefix))
    }
}

/// Whose blob a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The consumer group's.
    Ours(Site),
    /// A checkpoint or ownership of something else: its path without the partition.
    Others(String),
    /// Nobody's that is known here.
    Unknown,
}

/// The names by which one consumer group's blobs are recognized.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The host of the namespace.
    pub namespace: &'a str,
    /// The event hub.
    pub event_hub: &'a str,
    /// The consumer group.
    pub group: &'a str,
}

impl Names<'_> {
    /// Tells from its name whose blob it is. Event Hubs ignores the case of names and writers keep it or do not, so case
    /// does not count here.
    pub fn recognize(&self, name: &str, partitions: &BTreeSet<&str>) -> Whose {
        let parts: Vec<&str> = name.split('/').collect();
        let site = |layout, end: &str| {
            Whose::Ours(Site {
                layout,
                prefix: name[..name.len() - end.len()].to_owned(),
            })
        };
        match parts[..] {
            [
                namespace,
                hub,
                group,
                kind @ ("checkpoint" | "ownership"),
                partition,
            ] => {
                let end = &name[name.len() - kind.len() - 1 - partition.len()..];
                match self.are(namespace, hub, group) {
                    true if partitions.contains(partition) => site(Layout::BlobMetadata, end),
                    true => Whose::Unknown,
                    false => Whose::Others(format!("{namespace}/{hub}/{group}")),
                }
            }
            [namespace, hub, group, partition] if is_partition(partition, partitions) => match self
                .are(namespace, hub, group)
            {
                true if partitions.contains(partition) => site(Layout::AzureFunction, partition),
                true => Whose::Unknown,
                false => Whose::Others(format!("{namespace}/{hub}/{group}")),
            },
            [group, partition] if is_partition(partition, partitions) => {
                match is_same(group, self.group) {
                    true if partitions.contains(partition) => site(Layout::Legacy, partition),
                    true => Whose::Unknown,
                    false => Whose::Others(group.to_owned()),
                }
            }
            [name] if partitions.contains(name) => site(Layout::GoSdk, name),
            [name] => self.of_dapr(name, partitions),
            _ => Whose::Unknown,
        }
    }

    fn of_dapr(&self, name: &str, partitions: &BTreeSet<&str>) -> Whose {
        let Some((prefix, partition)) = name.rsplit_once('-') else {
            return Whose::Unknown;
        };
        if !prefix.starts_with("dapr-") || !is_partition(partition, partitions) {
            return Whose::Unknown;
        }
        let ours = format!("dapr-{}-{}", self.event_hub, self.group);
        match is_same(prefix, &ours) {
            true if partitions.contains(partition) => Whose::Ours(Site {
                layout: Layout::Dapr,
                prefix: format!("{prefix}-"),
            }),
            true => Whose::Unknown,
            false => Whose::Others(prefix.to_owned()),
        }
    }

    fn are(&self, namespace: &str, hub: &str, group: &str) -> bool {
        is_same(&host(namespace), &host(self.namespace))
            && is_same(hub, self.event_hub)
            && is_same(group, self.group)
    }

    /// Where the blobs of a layout may be, for want of a listing that tells: in lower case as most writers have it, as given,
    /// and with only the group in lower case.
    pub fn candidates(&self, layout: Layout) -> Vec<Site> {
        let Self {
            namespace,
            event_hub,
            group,
        } = self;
        let of = |group: &str| match layout {
            Layout::BlobMetadata | Layout::AzureFunction => {
                format!("{namespace}/{event_hub}/{group}/")
            }
            Layout::GoSdk => String::new(),
            Layout::Dapr => format!("dapr-{event_hub}-{group}-"),
            Layout::Legacy => format!("{group}/"),
        };
        let as_given = of(group);
        let mut prefixes = vec![as_given.to_lowercase()];
        for prefix in [as_given, of(&group.to_lowercase())] {
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        let site = |prefix| Site { layout, prefix };
        prefixes.into_iter().map(site).collect()
    }
}

/// Partitions of event hubs are numbered; one that is not there any more is still no other kind of blob.
fn is_partition(text: &str, partitions: &BTreeSet<&str>) -> bool {
    partitions.contains(text) || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Some writers percent-encode the `$` of `$Default`.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        decoded.to_lowercase()
    };
    plain(one) == plain(other)
}

/// The host alone: some writers add the port of an emulator, and its machine has several names.
fn host(namespace: &str) -> String {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let host = match namespace.rsplit_once(':') {
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => namespace,
    };
    match host.to_ascii_lowercase().as_str() {
        "127.0.0.1" | "[::1]" | "::1" | "localhost" => "localhost".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether the name can be a part of a blob's path without changing what the path means.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests;
