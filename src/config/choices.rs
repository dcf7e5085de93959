//! Keys with a closed set of values, and what each value means.

/// The five layouts of checkpoints, by KEDA's names, and whichever of them there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointStrategy {
    /// Whichever is there, partition by partition.
    #[default]
    Auto,
    /// Metadata of a blob, as today's SDKs write it; so do Azure Functions since their extension 5 and Dapr since 1.10.
    BlobMetadata,
    /// JSON, as older Azure Functions wrote it.
    AzureFunction,
    /// JSON, as the old Go SDK writes it.
    GoSdk,
    /// As [`Self::GoSdk`], under the names of Dapr before 1.10.
    Dapr,
    /// JSON of the old event processor host.
    Legacy,
}

impl CheckpointStrategy {
    /// Every strategy with the word for it, in config and metadata.
    pub const WORDS: [(&str, Self); 6] = [
        ("auto", Self::Auto),
        ("blob_metadata", Self::BlobMetadata),
        ("azure_function", Self::AzureFunction),
        ("go_sdk", Self::GoSdk),
        ("dapr", Self::Dapr),
        ("legacy", Self::Legacy),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        let found = Self::WORDS.into_iter().find(|(_, known)| *known == self);
        found.map_or("", |(word, _)| word)
    }
}

/// Which client reads partition properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManagementClient {
    /// Ours: one link, requests in flight together, replies told apart by correlation id.
    #[default]
    Pipelined,
    /// The Azure SDK's, several of them, each asking one thing at a time.
    Sdk,
}

/// Azure's clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The public one.
    #[default]
    Public,
    /// US government.
    UsGovernment,
    /// China.
    China,
}

/// How finely a group is exported as metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    /// With every partition.
    #[default]
    Partition,
    /// The group alone.
    Group,
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
