//! Sorts what the server or the network said into classes of failures, each with a text that says what to do.

use redis::{ErrorKind, RedisError, ServerError};

use super::key;
use crate::model::sample::{Failure, FailureKind};
use crate::tls::TlsError;

/// The ACL rule that a user of ours needs, besides its key patterns.
pub const ACL_HINT: &str =
    "+xinfo +xpending +xrange +xread +scan +time +multi +exec +ping +select +client|setname +hello";

/// What a handshake that failed means, and what to do.
pub fn of_tls(address: &str, error: &TlsError) -> Failure {
    let (kind, advice) = match error {
        TlsError::Unusable(_) => (FailureKind::Misconfigured, ""),
        TlsError::NotTrusted(_) => (
            FailureKind::Misconfigured,
            ": if its authority is private, set tls.ca_file; if it is for another name, correct the host or set tls.server_name; if it has expired, renew it",
        ),
        TlsError::NotAccepted(_) => (
            FailureKind::Misconfigured,
            ": it may require a client certificate: set tls.cert_file and tls.key_file to one that it accepts",
        ),
        TlsError::Failed(_) => (FailureKind::Unreachable, ""),
    };
    Failure::new(kind, format!("redis at {address}: {error}{advice}"))
}

/// What a command failed with, told as a failure of the connection to `address`.
pub fn of_error(address: &str, error: &RedisError) -> Failure {
    if let Some(code) = error.code() {
        return of_answer(address, code, error.detail().unwrap_or_default());
    }
    if error.is_timeout() {
        return late(address);
    }
    match error.kind() {
        ErrorKind::Io => Failure::new(
            FailureKind::Unreachable,
            format!("redis at {address} cannot be reached: {error}"),
        ),
        ErrorKind::AuthenticationFailed => of_answer(
            address,
            "WRONGPASS",
            error.detail().unwrap_or("authentication failed"),
        ),
        ErrorKind::Client | ErrorKind::InvalidClientConfig => Failure::new(
            FailureKind::Misconfigured,
            format!("redis at {address}: {error}"),
        ),
        _ => garbled(address, "the reply does not follow the protocol"),
    }
}

/// No answer in time.
pub fn late(address: &str) -> Failure {
    let text = format!("redis at {address} did not answer in time");
    Failure::new(FailureKind::Timeout, text)
}

/// A sentinel holds no streams.
pub fn is_sentinel(address: &str) -> Failure {
    let text = format!(
        "redis at {address} is a sentinel, which holds no streams: set mode: sentinel and sentinel.master, or set url to the address of the primary"
    );
    Failure::new(FailureKind::Misconfigured, text)
}

/// A pattern asked of one node of a cluster gives only the keys of that node.
pub fn is_part_of_cluster(address: &str) -> Failure {
    let text = format!(
        "redis at {address} is a node of a cluster and knows only its own keys, so a pattern may miss others: set mode: cluster"
    );
    Failure::new(FailureKind::Misconfigured, text)
}

/// A replica follows its primary with a delay, and after a failover may follow nobody.
pub fn is_replica(address: &str) -> Failure {
    let text = format!(
        "redis at {address} is a replica, though the sentinels name it as the primary: a failover may be under way; streamgauge retries"
    );
    Failure::new(FailureKind::Transient, text)
}

/// What the refusal of a sentinel means: it has users and passwords of its own.
pub fn of_sentinel(address: &str, error: &ServerError) -> Failure {
    let (code, detail) = (error.code(), error.details().unwrap_or_default());
    let failure = of_answer(address, code, detail);
    let advice = match failure.kind {
        FailureKind::Auth => "check sentinel.username and sentinel.password",
        FailureKind::Misconfigured => {
            "it is no sentinel: list the addresses of sentinels in urls, or set mode: standalone"
        }
        _ => return failure,
    };
    let text = format!("redis at {address}: {}: {advice}", said(code, detail));
    Failure::new(failure.kind, text)
}

/// No sentinel knows a primary of that name.
pub fn unknown_primary(sentinels: &str, master: &str) -> Failure {
    let text = format!(
        "the sentinels at {sentinels} know no primary {master:?}: set sentinel.master to a name in their configuration (sentinel monitor)"
    );
    Failure::new(FailureKind::Misconfigured, text)
}

/// Without it the nodes of a cluster cannot be found.
pub fn needs_slots(address: &str) -> Failure {
    let text = format!(
        "redis at {address}: the user may not ask which node has which keys: add +cluster|slots to its ACL on every node"
    );
    Failure::new(FailureKind::Auth, text)
}

/// No node of the cluster is responsible for the key.
pub fn is_uncovered(address: &str) -> Failure {
    let text = format!(
        "redis at {address}: no node of the cluster has the key's slot: a node may be down; streamgauge retries"
    );
    Failure::new(FailureKind::Transient, text)
}

/// A reply that cannot be understood.
pub fn garbled(address: &str, what: &str) -> Failure {
    Failure::new(
        FailureKind::Protocol,
        format!("redis at {address} sent a reply that could not be parsed: {what}"),
    )
}

/// As [`garbled`], of what was said of a key.
pub fn garbled_frame(subject: &Subject) -> Failure {
    garbled(&subject.text, "XINFO")
}

/// What a reply is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// For texts: the address, with the key where there is one.
    text: String,
    /// Whether keys are looked for on the node that has them.
    follows: bool,
}

impl Subject {
    /// A server; one of a cluster whose other nodes are known, if it `follows` keys to them.
    pub fn server(address: &str, follows: bool) -> Self {
        let text = address.to_owned();
        Self { text, follows }
    }

    /// A key on that server.
    pub fn key(self, key: &str) -> Self {
        let text = format!("{}, key {:?}", self.text, key::shown(key));
        Self { text, ..self }
    }

    /// Whether the answer says that the key is on another node, and it is looked for there.
    pub fn follows(&self, error: &ServerError) -> bool {
        self.follows && is_elsewhere(error)
    }
}

/// Whether the key is on another node of the cluster, or on its way there.
fn is_elsewhere(error: &ServerError) -> bool {
    matches!(error.code(), "MOVED" | "ASK")
        || error.code() == "EXECABORT"
            && error.details().is_some_and(|detail| {
                detail.contains("because of: MOVED") || detail.contains("because of: ASK")
            })
}

/// What the refusal of a transaction means: without one, nothing can be read of a key at one moment.
pub fn of_transaction(subject: &Subject, error: &ServerError) -> Failure {
    let failure = of_reply(subject, error);
    let is_refused = matches!(
        failure.kind,
        FailureKind::Protocol | FailureKind::Misconfigured
    );
    if !is_refused || is_elsewhere(error) {
        return failure;
    }
    let text = format!(
        "redis at {}: MULTI was refused ({}): streamgauge reads each key in a transaction, which proxies such as Envoy or twemproxy do not support: connect to the server directly",
        subject.text,
        said(error.code(), error.details().unwrap_or_default()),
    );
    Failure::new(FailureKind::Misconfigured, text)
}

/// What an error reply means.
pub fn of_reply(subject: &Subject, error: &ServerError) -> Failure {
    let (code, detail) = (error.code(), error.details().unwrap_or_default());
    if subject.follows(error) {
        let said = said(code, detail);
        let text = format!(
            "redis at {}: {said}: the key is moving to another node of the cluster; streamgauge follows",
            subject.text
        );
        return Failure::new(FailureKind::Transient, text);
    }
    of_answer(&subject.text, code, detail)
}

/// What an error reply means by its code and its text; `subject` is the address.
pub fn of_answer(subject: &str, code: &str, detail: &str) -> Failure {
    // EXEC that was itself refused wraps the reason.
    if let Some(("EXECABORT", (code, detail))) = detail
        .split_once("because of: ")
        .and_then(|(_, reason)| Some((code, reason.split_once(' ')?)))
    {
        return of_answer(subject, code, detail);
    }
    let (kind, advice) = match code {
        "WRONGTYPE" => (
            FailureKind::WrongType,
            "the key does not hold a stream: correct the stream's name or remove the key",
        ),
        "NOAUTH" => (FailureKind::Auth, "set the source's username and password"),
        "WRONGPASS" => (
            FailureKind::Auth,
            "check the source's username and password",
        ),
        "DENIED" => (
            FailureKind::Auth,
            "the server is in protected mode: set a password",
        ),
        "NOPERM" => (FailureKind::Auth, "the user's ACL lacks a permission"),
        "MOVED" | "ASK" | "CROSSSLOT" => (
            FailureKind::Misconfigured,
            "the key is on another node of a cluster: set mode: cluster",
        ),
        "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY" | "READONLY" | "MISCONF"
        | "OOM" | "UNKILLABLE" | "NOREPLICAS" => (FailureKind::Transient, "streamgauge retries"),
        _ => of_detail(code, detail),
    };
    let acl = if code == "NOPERM" {
        format!(" ({ACL_HINT} and the key patterns)")
    } else {
        String::new()
    };
    let said = said(code, detail);
    Failure::new(kind, format!("redis at {subject}: {said}: {advice}{acl}"))
}

/// The commands that are sent, for texts that must not quote what a server repeats of them.
const COMMANDS: [&str; 17] = [
    "AUTH", "SELECT", "CLIENT", "HELLO", "PING", "TIME", "MULTI", "EXEC", "XINFO", "XPENDING",
    "XRANGE", "XREAD", "SCAN", "DISCARD", "CLUSTER", "ROLE", "SENTINEL",
];

/// What the server said. Where that may repeat what was sent while authenticating: only which command it is about.
fn said(code: &str, detail: &str) -> String {
    if !is_private(code, detail) {
        return format!("{code} {detail}");
    }
    let lower = detail.to_ascii_lowercase();
    let start = lower.find("command").unwrap_or(0);
    // The name comes first, in quotes of some kind.
    let name: String = lower[start..]
        .chars()
        .skip("command".len())
        .skip_while(|c| !c.is_ascii_alphabetic())
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let known = COMMANDS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(&name));
    known.map_or_else(
        || format!("{code} unknown command"),
        |known| format!("{code} unknown command {known}"),
    )
}

/// The bare `ERR` answers that are told apart by their text.
fn of_detail(code: &str, detail: &str) -> (FailureKind, &'static str) {
    let lower = format!("{code} {detail}").to_ascii_lowercase();
    let refused = [
        "unsupported",
        "not supported",
        "invalid request",
        "disabled",
        "not allowed",
    ];
    if lower.contains("cluster support disabled") {
        let advice = "the server is not part of a cluster: set mode: standalone, or remove mode";
        (FailureKind::Misconfigured, advice)
    } else if lower.contains("unknown command") || lower.contains("unknown subcommand") {
        let advice = "the command is renamed or disabled (rename-command), a proxy does not support it, or the server is older than Redis 6.2: allow the command, or connect to the server directly";
        (FailureKind::Misconfigured, advice)
    } else if lower.contains("upstream") {
        let advice = "the proxy cannot reach its upstream server; streamgauge retries";
        (FailureKind::Transient, advice)
    } else if !lower.contains("select is") && refused.iter().any(|word| lower.contains(word)) {
        let advice = "the server, or a proxy in front of it, refuses the command: allow the command, or connect to the server directly";
        (FailureKind::Misconfigured, advice)
    } else if lower.contains("db index") || lower.contains("select is not allowed") {
        (
            FailureKind::Misconfigured,
            "correct the database number in the source's url",
        )
    } else if lower.contains("auth") || lower.contains("password") {
        (
            FailureKind::Auth,
            "check the source's username and password",
        )
    } else if lower.contains("max number of clients") {
        (
            FailureKind::Transient,
            "the server has reached maxclients: raise it, or find out which clients hold the connections; streamgauge retries",
        )
    } else {
        (FailureKind::Protocol, "unexpected response")
    }
}

/// Whether the text of an answer may repeat what was sent while authenticating.
fn is_private(code: &str, detail: &str) -> bool {
    code == "ERR" && detail.to_ascii_lowercase().contains("unknown command")
}

#[cfg(test)]
mod tests;
