//! Which journals are kept, of which group and of which time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::files::{FolderError, group_folders, segments};
use super::header::JournalHeader;
use crate::model::identity::GroupKey;
use crate::model::time::Timestamp;

/// The journal of a group.
#[derive(Clone, Debug)]
pub struct KeptJournal {
    /// Where it is.
    pub folder: PathBuf,
    /// The group.
    pub group: GroupKey,
    /// Its name.
    pub name: String,
    /// What the wall clock showed when it begins.
    pub begins: Timestamp,
    /// When it was last written to.
    pub ends: Timestamp,
}

/// All below that folder that this build can read, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn kept(journals: &Path) -> Result<Vec<KeptJournal>, FolderError> {
    let folders = match group_folders(journals) {
        Err(FolderError::Nothing(_)) => return Ok(Vec::new()),
        folders => folders?,
    };
    let mut all: Vec<_> = folders.iter().filter_map(|of| of_group(of)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

fn of_group(folder: &Path) -> Option<KeptJournal> {
    let segments = segments(folder).ok()?;
    let mut headers = segments.iter().filter_map(|segment| {
        let file = crate::files::open(&segment.snapshot()).ok()?;
        JournalHeader::read(&mut std::io::BufReader::new(file)).ok()
    });
    let first = headers.next()?;
    let begins = first.moment().on_the_wall();
    let written = fs::metadata(segments.last()?.events()).and_then(|file| file.modified());
    let written = written.ok()?.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(KeptJournal {
        folder: folder.to_owned(),
        group: first.group,
        name: first.name,
        begins,
        ends: Timestamp::from_millis(u64::try_from(written).ok()?).max(begins),
    })
}
