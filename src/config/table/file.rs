//! The file itself, and the sections that stand in it once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::server::listen;
use super::{GroupKeys, ServerConfig, SourceKeys};
use crate::config::addresses::{WebhookUrl, prometheus_url, reference, without_path};
use crate::config::byte_size::ByteSize;
use crate::config::choices::Enabled;
use crate::config::keys::{
    DurationRange, Flag, ListOf, Parsed, SectionList, Sub, Switch, Text, UrlOrSecret, Whole, Words,
    always, file, keys, optional, preset, required, secret,
};
use crate::config::secret::Secret;
use crate::model::incident::IncidentKind;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// How long one HTTP request may take.
const TIMEOUTS: DurationRange =
    DurationRange::between(Duration::from_millis(100), Duration::from_secs(30));

keys! {
    /// The whole file.
    pub struct FileKeys {
        /// Where streamgauge listens. Needs a restart to change.
        server: ServerConfig = always::<ServerConfig>(),
        /// Access to Kubernetes, to read current and ready replicas.
        kubernetes: KubernetesConfig = always::<KubernetesConfig>(),
        /// Several replicas that share the groups. Needs a restart to change.
        replication: ReplicationConfig = always::<ReplicationConfig>(),
        /// How much ScaledObjects may ask for.
        limits: LimitsConfig = always::<LimitsConfig>(),
        /// Limits of `/metrics`.
        metrics: MetricsKeys = always::<MetricsKeys>(),
        /// Recording of arrivals on disk, for `simulate`. Needs a restart to change.
        recording: Option<RecordingKeys> = optional(Sub::<RecordingKeys>::new()).else_words("nothing is recorded"),
        /// Where learned state is saved, so that it survives restarts. Needs a restart to change.
        state: Option<StateKeys> = optional(Sub::<StateKeys>::new()).else_words("kept in memory only"),
        /// The server to query for the PromQL of `groups[].signals`.
        prometheus: Option<PrometheusKeys> = optional(Sub::<PrometheusKeys>::new()),
        /// Where incidents are reported.
        incidents: Option<IncidentsKeys> = optional(Sub::<IncidentsKeys>::new()),
        /// How often groups are polled, unless their source or the group sets its own interval.
        poll_interval: Option<Duration> = optional(DurationRange::POLL_INTERVAL).else_words("`5s`; event hubs `15s`"),
        /// The servers and event hubs to read. At least one.
        sources: Option<Vec<Option<SourceKeys>>> = required(SectionList::<SourceKeys>::new(), "add at least one source"),
        /// The consumer groups to read.
        groups: Option<Vec<Option<GroupKeys>>> = optional(SectionList::<GroupKeys>::new()).else_words("only groups that ScaledObjects name inline"),
    }
}

keys! {
    /// Where current and ready replicas are read, beside the active consumers. Read only, by watch.
    pub struct KubernetesConfig {
        /// Whether the Kubernetes API is read. `auto`: in a pod with a service account's token, or if `kubeconfig` is set.
        enabled: Enabled = preset(Switch, Enabled::Auto),
        /// A kubeconfig file, to read a cluster from outside it.
        kubeconfig: Option<PathBuf> = optional(file()).else_words("the pod's service account, else `KUBECONFIG` or `~/.kube/config`"),
        /// The context of `kubeconfig`.
        context: Option<String> = optional(Text::ANY).else_words("the file's current context"),
        /// Each watch is renewed every three of these intervals, so that a dead one is noticed. Changes are seen at once, whatever the
        /// interval.
        // Readings count for two minutes: even at the longest interval a few may fail.
        poll_interval: Duration = preset(DurationRange::between(SECOND, SECOND.saturating_mul(30)), SECOND.saturating_mul(10)),
    }
}

keys! {
    /// Several replicas that share the groups and give one answer: see [replicas](replicas.md). Needs a restart to change.
    pub struct ReplicationConfig {
        /// Whether there are others. `auto`: if `peers` is set, or in a pod that has a service account's token and its address in `POD_IP`.
        enabled: Enabled = preset(Switch, Enabled::Auto),
        /// The address for the other replicas (gRPC). Nobody else should reach it.
        listen: SocketAddr = preset(listen(), (Ipv4Addr::UNSPECIFIED, 9091).into()),
        /// In Kubernetes: the set of replicas that share the groups. Another installation in the same namespace needs another one.
        set: String = preset(Parsed::new(set_name, String::clone, r"^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$"), "streamgauge".into()),
        /// The addresses of all replicas, `host:port`; this one may be among them.
        peers: Option<Vec<String>> = optional(ListOf::of(peer(), "remove it to find the others by their Leases")).else_words("the others are found by their Leases in Kubernetes"),
    }
}

/// Part of the names of Leases.
fn set_name(text: &str) -> Result<String, &'static str> {
    let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = text.len() <= 42
        && text.bytes().all(|c| is_inner(c) || c == b'-')
        && text.bytes().next().is_some_and(is_inner)
        && text.bytes().last().is_some_and(is_inner);
    is_name
        .then(|| text.to_owned())
        .ok_or("must be a name of lower-case letters, digits and '-', at most 42")
}

const fn peer() -> Parsed<String> {
    let parse = |text: &str| {
        let expected = "must be a host and a port, such as streamgauge-1:9091";
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let is_address = !host.is_empty()
            && !host.contains(['/', '@'])
            && Url::parse(&format!("http://{text}/")).is_ok();
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        (is_address && is_port)
            .then(|| text.to_owned())
            .ok_or(expected)
    };
    Parsed::new(
        parse,
        String::clone,
        r"^[^\s/:]+:[0-9]{1,5}$|^\[[0-9a-fA-F:]+\]:[0-9]{1,5}$",
    )
}

keys! {
    /// How much ScaledObjects may ask for. What is beyond a limit is refused with a text that names the limit; what is served already
    /// is not touched. Groups of the config are counted and never refused.
    pub struct LimitsConfig {
        /// Maximum number of ScaledObjects and ScaledJobs.
        scaled_objects: usize = preset(Whole::<usize>::from(1), 2_000),
        /// … of one namespace.
        scaled_objects_per_namespace: usize = preset(Whole::<usize>::from(1), 500),
        /// Maximum number of partitions. Each takes about 20 KB of memory.
        partitions: usize = preset(Whole::<usize>::from(1), 20_000),
        /// … of the groups that ScaledObjects of one namespace name inline.
        partitions_per_namespace: usize = preset(Whole::<usize>::from(1), 10_000),
        /// Maximum number of patterns (`orders:*`) that ScaledObjects of one namespace name inline.
        patterns_per_namespace: usize = preset(Whole::<usize>::from(1), 20),
    }
}

keys! {
    /// Limits of `/metrics`.
    pub struct MetricsKeys {
        /// Maximum number of partition series in `/metrics`; a partition has up to 30. Above it, the largest groups are exported
        /// without their partitions, and the series left out are counted.
        // 11,000 partitions: the 10,000 that a group may have, and some.
        max_series: usize = preset(Whole::<usize>::from(0), 350_000),
    }
}

keys! {
    /// Arrivals per group on disk, in the form that `simulate --trace` reads. Needs a restart to change.
    pub struct RecordingKeys {
        /// The directory. It is created if it does not exist.
        dir: Option<PathBuf> = required(file(), "set it to the directory for the recorded files"),
        /// How many files to keep per group; older ones are deleted. A new file begins each day.
        keep_files: u32 = preset(Whole::<u32>::from(2).to(10_000), 14),
    }
}

keys! {
    /// What groups learn over hours and weeks (baselines, capacity, the forecast, incidents), in one file per group, and a
    /// [journal](journal.md) of all that happened to them lately. Needs a restart to change.
    pub struct StateKeys {
        /// The directory. It is created if it does not exist. Two running instances must not share it.
        dir: Option<PathBuf> = required(file(), "set it to the directory for the learned state"),
        /// How often each group is saved; it is also saved at shutdown.
        interval: Duration = preset(DurationRange::between(SECOND, HOUR), MINUTE),
        /// Everything that happened to each group, with what was decided on it: a restart goes on from there, and `replay` explains it.
        journal: JournalConfig = always::<JournalConfig>(),
    }
    later ["redis"]
}

keys! {
    /// Everything that happened to each group, event by event, with what was decided on it.
    pub struct JournalConfig {
        /// Whether it is written.
        enabled: bool = preset(Flag, true),
        /// How long it is kept.
        keep: Duration = preset(DurationRange::between(MINUTE.saturating_mul(10), HOUR.saturating_mul(24 * 366)), HOUR.saturating_mul(24)),
        /// Maximum size of the journals of all groups together; the oldest parts are deleted first.
        max_bytes: ByteSize = preset(ByteSize::KIND, ByteSize::from_mib(128)),
    }
}

keys! {
    /// The server that answers the PromQL of `groups[].signals`: Prometheus, or anything with its HTTP API (Thanos, Mimir,
    /// VictoriaMetrics).
    pub struct PrometheusKeys {
        /// The address, without `/api/v1`.
        url: Option<Url> = required(
            Parsed::new(prometheus_url, without_path, r"^https?://[^@?#]+$"),
            "set it to the URL of the server, such as http://prometheus:9090"
        ),
        /// How long a query may take.
        timeout: Duration = preset(TIMEOUTS, SECOND.saturating_mul(5)),
        /// How often each expression is queried.
        interval: Duration = preset(DurationRange::between(SECOND, MINUTE.saturating_mul(10)), SECOND.saturating_mul(30)),
        /// A bearer token, read at every query. Cannot be combined with `username`.
        bearer_token: Option<Secret> = optional(secret()),
        /// A user name; needs `password`.
        username: Option<String> = optional(Text::ANY),
        /// The password of `username`, read at every query.
        password: Option<Secret> = optional(secret()),
        /// A PEM file of certificate authorities to trust in addition to the system's.
        ca_file: Option<PathBuf> = optional(file()),
    }
}

keys! {
    /// Where incidents are reported.
    pub struct IncidentsKeys {
        /// An HTTP endpoint that receives incidents as CloudEvents.
        webhook: Option<WebhookKeys> = optional(Sub::<WebhookKeys>::new()),
    }
}

keys! {
    /// An HTTP endpoint that every incident is posted to: when it begins, when its kind changes, and when it ends.
    pub struct WebhookKeys {
        /// The address, `http` or `https`. If it contains a token, write it as a secret.
        url: Option<WebhookUrl> = required(UrlOrSecret, "set it to the URL, or to { env: NAME } if the URL contains a token"),
        /// The key that signs each request: `whsec_` and base64, or any text.
        secret: Option<Secret> = required(secret(), "set it to the key that signs requests, as { env: NAME } or { file: /path }"),
        /// How long one attempt may take.
        timeout: Duration = preset(TIMEOUTS, SECOND.saturating_mul(10)),
        /// The `source` of the events, to tell several installations apart.
        source: String = preset(
            Parsed::new(reference, String::clone, r"^[!-~]+$"),
            "/streamgauge".into()
        ),
        /// The [kinds](detection.md) of incidents to report.
        kinds: Option<Vec<IncidentKind>> = optional(ListOf::of(Words::of(&KINDS), "remove it to report all kinds")).else_words("all"),
        /// A PEM file of certificate authorities to trust in addition to the system's.
        ca_file: Option<PathBuf> = optional(file()),
    }
}

const KINDS: [(&str, IncidentKind); IncidentKind::ALL.len()] = {
    let mut words = [("", IncidentKind::ALL[0]); IncidentKind::ALL.len()];
    let mut n = 0;
    while n < words.len() {
        words[n] = (IncidentKind::ALL[n].as_str(), IncidentKind::ALL[n]);
        n += 1;
    }
    words
};
