//! A folder that one process at a time writes in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Locked by the process that writes.
const LOCK: &str = "lock";

/// A folder, held from the first write on.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    held: Mutex<Option<File>>,
}

impl FolderLock {
    /// Of that folder, which need not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            held: Mutex::default(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, and keeps other processes from it: two would write over what the other one wrote.
    ///
    /// # Errors
    /// It cannot be made, or another process uses it.
    pub fn hold(&self) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(LOCK);
        let file = File::options().create(true).append(true).open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(io::Error::other(
                "another process uses this folder: nothing is saved until it ends; give each streamgauge a state.dir of its own",
            ));
        }
        // Where the file system knows no locks, there is none.
        *held = Some(file);
        Ok(())
    }
}
