//! Names: of a group, of a partition, of how partitions are shared out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::{is_label, label};

/// What is observed once, however many ask: one consumer group on one stream of one source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// Name of the configured source.
    pub source: String,
    /// The stream as written: a key, a pattern, a template, or a list joined by commas.
    pub stream: String,
    /// The consumer group; empty where only the stream's length is asked for.
    pub consumer_group: String,
}

impl GroupKey {
    /// What it consists of.
    pub fn parts(&self) -> [&str; 3] {
        [&self.source, &self.stream, &self.consumer_group]
    }
}

impl fmt::Display for GroupKey {
    /// The `group` label of a group that the config does not name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.source, self.stream, self.consumer_group)
    }
}

/// One partition within its stream, as labels show it (`7` for `orders:7` in `orders:*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(Arc<str>);

impl PartitionId {
    /// A partition of that name, as far as a label can show it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        match is_label(&name) {
            true => Self(name),
            false => Self(label(&name).into()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How messages of a partition find a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// Any consumer may take any message (Redis Streams).
    #[default]
    Shared,
    /// A partition belongs to one consumer at a time (Event Hubs; Redis keys pinned to pods).
    Exclusive,
}

impl Assignment {
    /// The word users write and read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}
