//! Where the files of a group are, and which there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::name_of;
use crate::model::identity::GroupKey;

/// Where the folders of groups are, in `state.dir`.
const FOLDER: &str = "journal";
/// The latest state.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// As long as the folder is read by a process that starts.
pub(super) const READING: &str = "reading";
/// Behind the name of a folder that could not be used.
const UNREAD: &str = ".unread";

/// The folder of all journals.
pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join(FOLDER)
}

/// The folder of a group.
pub(super) fn group_folder(journals: &Path, group: &GroupKey) -> PathBuf {
    journals.join(name_of(group.parts()))
}

/// Has a folder read no more, without losing it.
pub(super) fn set_aside(folder: &Path) -> io::Result<PathBuf> {
    let mut aside = folder.to_owned().into_os_string();
    aside.push(UNREAD);
    let aside = PathBuf::from(aside);
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(folder, &aside)?,
    }
    Ok(aside)
}

/// The files of one segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// How many events came before.
    pub position: u64,
    folder: PathBuf,
}

impl Segment {
    pub(super) fn new(folder: &Path, position: u64) -> Self {
        Self {
            position,
            folder: folder.to_owned(),
        }
    }

    /// The state that it begins with.
    pub fn snapshot(&self) -> PathBuf {
        self.file("snapshot")
    }

    /// What came next.
    pub fn events(&self) -> PathBuf {
        self.file("events")
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{:016}.{ending}", self.position))
    }
}

/// Why there are no journals to be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system says no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// Of a group, and none of its files can be used.
    #[error("{0}: no part of this journal can be read: {1}")]
    Unreadable(PathBuf, String),
    /// There are none.
    #[error(
        "{0}: no journal here: name the state.dir of the config, or the folder of one group in its journal folder"
    )]
    Nothing(PathBuf),
}

/// The segments in a folder, oldest first; none where there is no folder.
pub fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let position = name
            .to_str()
            .and_then(|name| name.strip_suffix(".snapshot"));
        if let Some(position) = position.and_then(|digits| digits.parse().ok()) {
            segments.push(Segment::new(folder, position));
        }
    }
    segments.sort();
    Ok(segments)
}

/// The folders of groups that a path names: of one group, or of all in a `state.dir`.
///
/// # Errors
/// [`FolderError`].
pub fn group_folders(path: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |error| FolderError::Io(path.to_owned(), error);
    if !segments(path).map_err(failed)?.is_empty() {
        return Ok(vec![path.to_owned()]);
    }
    let all = folder(path);
    let all = if all.is_dir() { all } else { path.to_owned() };
    let mut folders = Vec::new();
    for entry in fs::read_dir(&all).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        // Those that were set aside have an ending.
        let is_one = folder.extension().is_none() && folder.is_dir();
        if is_one && !segments(&folder).map_err(failed)?.is_empty() {
            folders.push(folder);
        }
    }
    folders.sort();
    match folders.is_empty() {
        true => Err(FolderError::Nothing(path.to_owned())),
        false => Ok(folders),
    }
}
