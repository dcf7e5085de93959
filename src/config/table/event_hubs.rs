//! An event hub, the store of its checkpoints, and the identities for both.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::addresses::{Endpoint, account_url, authority, endpoint, host};
use crate::config::choices::{CheckpointStrategy, Cloud, ManagementClient};
use crate::config::keys::{
    DurationRange, Parsed, Sub, Text, Whole, Words, file, flat, keys, name, optional, preset,
    required, secret,
};
use crate::config::secret::Secret;

keys! {
    /// An Azure event hub.
    pub struct EventHubsKeys {
        /// The host name of the namespace, as in the connection string.
        namespace: Option<String> = required(
            Parsed::new(host, String::clone, r"^[A-Za-z0-9.-]+$"),
            "set it to the host name from the connection string, such as ns.servicebus.windows.net"
        ),
        /// The name of the event hub; becomes the `stream` label.
        event_hub: Option<String> = required(name(), "set it to the name of the event hub"),
        /// A connection string of the event hub or the namespace. With `UseDevelopmentEmulator=true` the connection has no TLS and
        /// uses port 5672.
        connection_string: Option<Secret> = optional(secret()),
        /// Instead of `connection_string`, a Microsoft Entra identity.
        identity: IdentityKeys = flat::<IdentityKeys>(),
        /// Where to connect instead of the namespace: `amqps://host:port`, or `amqp://host:port` without TLS. For a private endpoint, a
        /// proxy, an emulator.
        endpoint: Option<Endpoint> = optional(Parsed::new(endpoint, ToString::to_string, r"^amqps?://[^@/?#]+/?$"))
            .else_words("the namespace"),
        /// A PEM file of certificate authorities to trust in addition to the system's; also for fetching tokens.
        ca_file: Option<PathBuf> = optional(file()),
        /// How partition properties are read. `pipelined`: one connection with concurrent requests. `sdk`: eight clients of the Azure
        /// SDK, each with one request at a time.
        client: ManagementClient = preset(Words::of(&CLIENTS), ManagementClient::Pipelined),
        /// Maximum number of management calls in any second; Event Hubs allows 50 per namespace. If a poll cannot read all partitions
        /// within it, partitions take turns: 1,024 take two polls, 15 s apart.
        // More makes sense only against a server that sets no limit. The default leaves room for the calls of consumers.
        management_calls_per_second: u32 = preset(Whole::<u32>::from(1).to(10_000).note(" (Event Hubs allows 50)"), 45),
        /// The throughput units of the namespace, which limit what consumers can read.
        throughput_units: Option<u32> = optional(Whole::<u32>::from(1).note(" (the throughput units of the namespace)")),
        /// How long the event hub keeps events; AMQP does not report it. For the alert `StreamgaugeDataLossRisk`.
        retention: Option<Duration> = optional(DurationRange::POSITIVE),
        /// Where consumers store their checkpoints.
        checkpoints: Option<CheckpointKeys> = required(
            Sub::<CheckpointKeys>::new(),
            "describe where consumers store them, with account_url, container, strategy and credentials"
        ),
    }
}

const CLIENTS: [(&str, ManagementClient); 2] = [
    ("pipelined", ManagementClient::Pipelined),
    ("sdk", ManagementClient::Sdk),
];

keys! {
    /// Where consumers store their checkpoints: a container in Azure Blob Storage.
    pub struct CheckpointKeys {
        /// The address of the storage account, without signature.
        account_url: Option<String> = optional(Parsed::new(account_url, String::clone, r"^https?://[^@?#]+$"))
            .else_words("the connection string's"),
        /// The container. Required unless `strategy` is `auto` or `azure_function`.
        container: Option<String> = optional(Text::ANY).else_words("`azure-webjobs-eventhub`, that of Azure Functions"),
        /// The layout of the checkpoints. `auto`: detect it.
        strategy: CheckpointStrategy = preset(Words::of(&CheckpointStrategy::WORDS), CheckpointStrategy::Auto),
        /// A connection string of the storage account. At most one credential: this, `account_key`, `sas` or `identity`.
        connection_string: Option<Secret> = optional(secret()).else_words("the event hub's identity"),
        /// The key of the storage account.
        account_key: Option<Secret> = optional(secret()),
        /// A shared access signature with read and list permissions.
        sas: Option<Secret> = optional(secret()),
        /// A Microsoft Entra identity.
        identity: IdentityKeys = flat::<IdentityKeys>(),
        /// A PEM file of certificate authorities to trust in addition to the system's.
        ca_file: Option<PathBuf> = optional(file()),
        /// An ownership that was not renewed for this long has expired.
        // .NET's processor lets an ownership expire after two minutes, the others sooner.
        ownership_expiry: Duration = preset(DurationRange::POSITIVE, Duration::from_secs(120)),
    }
}

/// The kinds of identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityWord {
    /// A Kubernetes service account.
    Workload,
    /// The machine's.
    Managed,
    /// An application with a secret.
    ClientSecret,
}

const IDENTITIES: [(&str, IdentityWord); 3] = [
    ("workload", IdentityWord::Workload),
    ("managed", IdentityWord::Managed),
    ("client_secret", IdentityWord::ClientSecret),
];

const CLOUDS: [(&str, Cloud); 3] = [
    ("public", Cloud::Public),
    ("us_government", Cloud::UsGovernment),
    ("china", Cloud::China),
];

keys! {
    /// A Microsoft Entra identity.
    pub struct IdentityKeys {
        /// A Microsoft Entra identity. `workload`: a Kubernetes service account. `managed`: the machine's. `client_secret`: an
        /// application. For Event Hubs it needs *Azure Event Hubs Data Receiver* and *Storage Blob Data Reader*, for Redis a data access
        /// policy of the cache.
        identity: Option<IdentityWord> = optional(Words::of(&IDENTITIES)),
        /// The tenant ID, for `workload` and `client_secret`.
        tenant_id: Option<String> = optional(Text::ANY).else_words("`workload`: set by Azure's webhook"),
        /// The client ID; for `managed`, that of a user-assigned identity.
        client_id: Option<String> = optional(Text::ANY).else_words("`workload`: set by Azure's webhook"),
        /// The application's secret, for `client_secret`.
        client_secret: Option<Secret> = optional(secret()),
        /// The file with the service account's token, for `workload`.
        federated_token_file: Option<PathBuf> = optional(file()).else_words("set by Azure's webhook"),
        /// The Azure cloud, which determines authority and audience.
        cloud: Option<Cloud> = optional(Words::of(&CLOUDS)).else_value(&Cloud::Public),
        /// The authority that issues tokens, for `workload` and `client_secret`.
        authority_host: Option<String> = optional(Parsed::new(authority, String::clone, "^https://.+")).else_words("the cloud's"),
    }
}
