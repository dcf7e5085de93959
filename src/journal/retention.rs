//! What is kept: the segments of so many hours, and of all groups together so many bytes. A group's newest segment is what a restart goes
//! on from; it stays until the whole group is too old.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::files::segments;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalRules {
    /// What is older is deleted.
    pub keep: Duration,
    /// All journals together take no more, for longer than a minute.
    pub max_bytes: u64,
}

/// What is left.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    pub bytes: u64,
    /// Folders of groups.
    pub folders: BTreeSet<PathBuf>,
}

/// Some files that go together.
struct Piece {
    age: Duration,
    bytes: u64,
    files: Vec<PathBuf>,
}

/// Deletes what is too old, and the oldest of what is too much.
pub(super) fn prune(journals: &Path, rules: JournalRules) -> io::Result<Remaining> {
    let mut found = Remaining::default();
    let mut old = Vec::new();
    let entries = match fs::read_dir(journals) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        let all = whole(&folder)?;
        if all.age > rules.keep {
            // Of a group that nobody asks for, or what was set aside.
            fs::remove_dir_all(&folder)?;
            continue;
        }
        found.bytes += all.bytes;
        let mut segments = segments(&folder)?;
        segments.pop();
        for segment in segments {
            old.push(piece([segment.snapshot(), segment.events()])?);
        }
        found.folders.insert(folder);
    }
    old.sort_by_key(|piece| std::cmp::Reverse(piece.age));
    for piece in old {
        if piece.age > rules.keep || found.bytes > rules.max_bytes {
            found.bytes -= piece.bytes;
            for file in piece.files {
                remove(&file)?;
            }
        }
    }
    Ok(found)
}

/// All of a folder, as old as the newest in it.
fn whole(folder: &Path) -> io::Result<Piece> {
    let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    piece(files.collect::<io::Result<Vec<_>>>()?)
}

fn piece(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Piece> {
    let mut piece = Piece {
        age: Duration::MAX,
        bytes: 0,
        files: Vec::new(),
    };
    for file in files {
        let found = match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        // From the future: of this moment.
        let age = SystemTime::now().duration_since(found.modified()?);
        piece.age = piece.age.min(age.unwrap_or_default());
        piece.bytes += found.len();
        piece.files.push(file);
    }
    Ok(piece)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
