//! What one poll shows that is wrong, before it becomes an incident.

use std::collections::BTreeSet;

use crate::model::identity::PartitionId;

use super::IncidentKind;

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub kind: IncidentKind,
    /// Who is the only one that it was seen of.
    pub holder: Option<String>,
    /// Empty: all of them.
    pub partitions: BTreeSet<PartitionId>,
    /// For how many seconds already, as far as can be told.
    pub for_seconds: f64,
    /// For a person: one sentence without a full stop.
    pub text: String,
}

/// `3 partitions`, `1 partition`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
