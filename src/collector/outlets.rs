//! Where what is seen of groups goes, beside the groups themselves.

use std::sync::Arc;

use crate::journal::Journals;
use crate::publish::notices::Notices;
use crate::recording::Recording;
use crate::replication::Members;
use crate::state::Keeper;

/// All of it that is asked for.
#[derive(Clone, Debug, Default)]
pub struct Outlets {
    /// Arrivals are recorded here.
    pub recording: Option<Recording>,
    /// News of incidents are told here.
    pub notices: Option<Notices>,
    /// What is learned is kept here.
    pub state: Option<Arc<Keeper>>,
    /// What happens is written down here.
    pub journals: Option<Journals>,
    /// The other replicas share the groups with this one.
    pub members: Option<Arc<Members>>,
}
