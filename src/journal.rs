//! What happened to each group, written down event by event with what was decided on it, and now and then its whole state: a restart goes
//! on from there, and `replay` computes every decision again.
//!
//! A group has a folder. In it are *segments* of an hour: `POSITION.snapshot`, the group's state after so many events, and
//! `POSITION.events`, what came next, each record as the difference to the one before. `checkpoint` is a later state of the newest
//! segment, replaced every two minutes, so that a restart has little to compute. A process that starts begins a segment: it never writes into
//! a file of another one. Events are handed to a thread of its own and written without waiting for the disk; what a kill of the
//! process may cost is what that thread had not come to yet.

mod files;
mod fold;
mod frames;
mod group_journal;
mod header;
mod journals;
mod kept;
mod past;
mod queue;
mod recover;
mod retention;
mod snapshot;
mod writer;

pub use self::files::{FolderError, Segment, group_folders, segments};
pub use self::fold::{Fold, Folded, Mismatch};
pub use self::frames::{FrameError, Frames, JournalRecord, encode};
pub use self::group_journal::GroupJournal;
pub use self::header::{CODE, JournalHeader, Unreadable, shown};
pub use self::journals::{JournalStats, Journals};
pub use self::kept::KeptJournal;
pub use self::past::{Continuity, Happened, PastSpan, ReplayStep, ReplayedGroup};
pub use self::recover::{Recovered, recover};
pub use self::retention::JournalRules;
pub use self::snapshot::{StateSnapshot, pack_state, unpack_state};

#[cfg(test)]
mod tests;
