//! The memory of the servers that keep streams in it: it bounds how much they can keep.

/// The memory of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerMemory {
    /// `host:port`.
    pub server: String,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that may be used; `None` where the server sets no limit.
    pub limit_bytes: Option<u64>,
    /// What it does at that limit.
    pub policy: EvictionPolicy,
    /// Seconds until the limit is reached if use grows on as in the last minutes; `None` where it does not grow, or there is no limit.
    pub full_in_seconds: Option<f64>,
}

/// What a server does when its memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// It refuses writes.
    NoEviction,
    /// It deletes keys, streams among them.
    AllKeys,
    /// It deletes keys that expire, and refuses writes when there are none left.
    Volatile,
    /// It does not say.
    Other,
}

impl EvictionPolicy {
    /// By the server's own word for it.
    pub fn of(policy: &str) -> Self {
        match policy {
            "noeviction" => Self::NoEviction,
            _ if policy.starts_with("allkeys-") => Self::AllKeys,
            _ if policy.starts_with("volatile-") => Self::Volatile,
            _ => Self::Other,
        }
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoEviction => "noeviction",
            Self::AllKeys => "allkeys",
            Self::Volatile => "volatile",
            Self::Other => "unknown",
        }
    }
}
