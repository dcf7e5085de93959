//! The sources: servers, event hubs, and what ScaledObjects may name of them.

use std::path::PathBuf;
use std::time::Duration;

use super::{EventHubsKeys, IdentityKeys};
use crate::config::keys::{
    DurationRange, ListOf, Parsed, SectionList, Sub, Text, Words, file, flat, keys, name, optional,
    preset, required, secret,
};
use crate::config::redis_url::{RedisUrl, parse_url};
use crate::config::secret::Secret;

/// Pending entries delivered longer ago count as stuck, unless the config says otherwise.
pub(in crate::config) const STUCK_AFTER: Duration = Duration::from_secs(3_600);

keys! {
    /// A server or an event hub to read.
    pub struct SourceKeys {
        /// The name, unique among the sources. 1 to 128 of `A-Z a-z 0-9 . _ -`.
        name: Option<String> = required(name(), "give the source a name"),
        /// How often its groups are polled. On a quiet Redis stream a new message triggers a poll at once
        /// ([how](operations.md#how-a-quiet-group-wakes)).
        poll_interval: Option<Duration> = optional(DurationRange::POLL_INTERVAL).else_words("the file's, else `5s`; event hubs `15s`"),
        /// A Redis or Valkey server. Either this or `event_hubs`.
        redis: Option<RedisKeys> = optional(Sub::<RedisKeys>::new()),
        /// An Azure event hub, see [Event Hubs](event-hubs.md). Either this or `redis`.
        event_hubs: Option<EventHubsKeys> = optional(Sub::<EventHubsKeys>::new()),
        /// What ScaledObjects may name inline, see [security](security.md).
        allow: Option<Vec<Option<AllowKeys>>> = optional(SectionList::<AllowKeys>::new()).else_words("inline triggers are rejected"),
    }
    exactly_one ["redis", "event_hubs"]
}

keys! {
    /// A Redis or Valkey server, a cluster of them, or a set that sentinels watch over.
    pub struct RedisKeys {
        /// The address: `redis://host[:port][/db]`, or `rediss://…` for TLS; IPv6 hosts in brackets. Without user, password or
        /// parameters. With `mode: cluster` that of any node, with `mode: sentinel` that of a sentinel. Either this or `urls`.
        url: Option<RedisUrl> = optional(redis_url()).else_words("`urls`"),
        /// Several nodes of a cluster, which know the others; or all sentinels, of which most have to name the same primary.
        urls: Option<Vec<RedisUrl>> = optional(ListOf::of(redis_url(), "list the URLs of nodes or sentinels")).else_words("`url`"),
        /// How the servers are run: one server (alone or with replicas), Redis Cluster, or a primary with sentinels
        /// ([examples](redis.md#cluster-and-sentinel)).
        mode: RedisMode = preset(Words::of(&REDIS_MODES), RedisMode::Standalone),
        /// What the sentinels are asked for, with `mode: sentinel`.
        sentinel: Option<RedisSentinelKeys> = optional(Sub::<RedisSentinelKeys>::new()),
        /// The ACL user.
        username: Option<String> = optional(Text::filled("remove it to use the default user")).else_words("the default user"),
        /// The password. It is read at every connection, so a rotated file is picked up.
        password: Option<Secret> = optional(secret()).else_words("none"),
        /// Instead of `password`, a Microsoft Entra identity (Azure). Requires TLS.
        identity: IdentityKeys = flat::<IdentityKeys>(),
        /// Details of TLS, which `rediss://` switches on.
        tls: Option<RedisTlsKeys> = optional(Sub::<RedisTlsKeys>::new()).else_words("the system's authorities, no client certificate"),
        /// Pending entries that were delivered longer ago than this are stuck: they are exported, but do not count for the backlog,
        /// the replica count and activation. Entries that were given back (`XNACK`, `XCLAIM … TIME 0`) wait and are never stuck. The
        /// group stays active while a consumer that holds stuck entries still reads new entries or acknowledges others.
        stuck_after: Duration = preset(DurationRange::POSITIVE, STUCK_AFTER),
    }
    exactly_one ["url", "urls"]
}

keys! {
    /// How a connection to Redis is secured. The files are PEM, and are read at every connection, so rotated files are picked up.
    pub struct RedisTlsKeys {
        /// Certificate authorities to trust in addition to the system's.
        ca_file: Option<PathBuf> = optional(file()),
        /// A client certificate, for servers that require one (`tls-auth-clients`).
        cert_file: Option<PathBuf> = optional(file()),
        /// The key of `cert_file`.
        key_file: Option<PathBuf> = optional(file()),
        /// The name that the server's certificate must contain.
        server_name: Option<String> = optional(Text::filled("remove it to use the host of the url")).else_words("the host of `url`"),
    }
}

keys! {
    /// What the sentinels are asked for, and by whom. TLS is as for the servers.
    pub struct RedisSentinelKeys {
        /// The name of the primary in the sentinels' configuration (`sentinel monitor NAME …`).
        master: Option<String> = required(
            Text::filled("set it to the name of the primary"),
            "set it to the name of the primary in the sentinels' configuration"
        ),
        /// The ACL user on the sentinels.
        username: Option<String> = optional(Text::filled("remove it to use the default user")).else_words("the default user"),
        /// The sentinels' own password. It is read at every connection.
        password: Option<Secret> = optional(secret()).else_words("none"),
    }
}

const fn redis_url() -> Parsed<RedisUrl> {
    let pattern = r"^rediss?://[^@/?#]+(/[0-9]*)?$";
    Parsed::new(parse_url, ToString::to_string, pattern)
}

/// How Redis servers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// One server, alone or with replicas.
    Standalone,
    /// Several that share the keys.
    Cluster,
    /// A primary that sentinels name.
    Sentinel,
}

const REDIS_MODES: [(&str, RedisMode); 3] = [
    ("standalone", RedisMode::Standalone),
    ("cluster", RedisMode::Cluster),
    ("sentinel", RedisMode::Sentinel),
];

const EVERYTHING: &str = "list what is allowed, or [\"*\"] for everything";

keys! {
    /// A rule for what ScaledObjects may name inline. One rule must cover the whole request; `*` is the only wildcard.
    pub struct AllowKeys {
        /// The namespaces of the ScaledObjects.
        namespaces: Option<Vec<String>> = required(ListOf::of(Text::ANY, EVERYTHING), EVERYTHING),
        /// The streams they may name.
        streams: Option<Vec<String>> = required(ListOf::of(Text::ANY, EVERYTHING), EVERYTHING),
        /// The consumer groups they may name.
        consumer_groups: Option<Vec<String>> = required(ListOf::of(Text::ANY, EVERYTHING), EVERYTHING),
    }
}
