//! What is kept of every group over a restart. Losing it costs learning, never the service.

pub mod files;
mod keeper;

use crate::group::remembered::Remembered;
use crate::model::identity::GroupKey;
use crate::model::time::{Moment, Timestamp};

pub use self::files::StateFiles;
pub use self::keeper::{Keeper, KeeperStats};

/// Where it is kept.
pub trait StateStore: Send + Sync {
    /// What is kept of a group, when it was saved, and what of it could not be used; `None` where nothing is kept. Its times
    /// are those of this process.
    ///
    /// # Errors
    /// Nothing of what is there can be used.
    fn load(&self, group: &GroupKey, now: Moment) -> Result<Option<Loaded>, StateError>;

    /// Has it read no more, without losing it.
    ///
    /// # Errors
    /// It is still there.
    fn set_aside(&self, group: &GroupKey) -> Result<(), StateError>;

    /// Keeps it in the place of what was kept before: as a whole or not at all.
    ///
    /// # Errors
    /// It could not be written; what was kept before still is.
    fn save(&self, group: &GroupKey, now: Moment, state: &Remembered) -> Result<(), StateError>;
}

/// What is kept of a group.
#[derive(Debug)]
pub struct Loaded {
    /// What could be used.
    pub remembered: Remembered,
    /// When it was saved; never later than now.
    pub saved_at: Timestamp,
    /// What could not, and why.
    pub problems: Vec<String>,
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system says no.
    #[error("{0}: {1}")]
    Io(std::path::PathBuf, std::io::Error),
    /// It is none of ours, damaged, or of a version that is not known.
    #[error("{0}: {1}")]
    Unreadable(std::path::PathBuf, String),
}
