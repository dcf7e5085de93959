//! One gzipped JSON file per group. Written beside the old one and put in its place, so that there is always a whole one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::files::{self, FolderLock};
use crate::group::remembered::{Remembered, Sections, Written};
use crate::model::identity::GroupKey;
use crate::model::time::{Moment, Timestamp, WallOffset, moved_by};

use super::{Loaded, StateError, StateStore};

/// Of the file around the sections.
const FORMAT: u32 = 1;

/// The ending of a file.
const ENDING: &str = ".json.gz";

/// Of a file that could not be used; kept, so that the version that wrote it may go on with it.
const UNREAD: &str = ".unread";

/// Beside a file as long as it is read.
const READING: &str = ".reading";

/// Files of groups that nobody asked for in so long are deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(35 * 86_400);

/// A folder of files.
#[derive(Debug)]
pub struct StateFiles {
    folder: PathBuf,
    written: AtomicU64,
    reading: Mutex<()>,
    lock: Arc<FolderLock>,
}

/// What every version can read of a file.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    /// The program's.
    version: String,
    source: String,
    stream: String,
    consumer_group: String,
    saved_at: Timestamp,
    /// Of the process that wrote: where the wall clock was.
    #[serde(default)]
    wall: WallOffset,
}

#[derive(Deserialize)]
struct Headed {
    header: Header,
}

#[derive(Serialize)]
struct Content<'a> {
    header: Header,
    sections: Written<'a>,
}

#[derive(Deserialize)]
struct SavedSections<'a> {
    #[serde(borrow)]
    sections: Sections<'a>,
}

impl StateFiles {
    /// Files in that folder, which is made when the first is written. What was left unfinished there is removed, and what is
    /// forgotten.
    pub fn new(folder: &Path) -> Self {
        Self::in_folder(Arc::new(FolderLock::new(folder)))
    }

    /// As that, where others of this process write, too.
    pub fn in_folder(lock: Arc<FolderLock>) -> Self {
        let folder = lock.folder().to_owned();
        let files = Self {
            folder: folder.clone(),
            written: AtomicU64::new(0),
            reading: Mutex::default(),
            lock,
        };
        if folder.is_dir() && files.lock.hold().is_ok() {
            // What cannot be removed harms nobody, and what else is wrong is told when something is written.
            let _ = tidy(&folder);
        }
        files
    }

    fn path(&self, group: &GroupKey) -> PathBuf {
        self.folder.join(files::name_of(group.parts()) + ENDING)
    }

    fn write(&self, path: &Path, content: &Content<'_>) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        let written = (|| {
            self.lock.hold()?;
            let mut encoder = GzEncoder::new(File::create(&beside)?, Compression::fast());
            serde_json::to_writer(io::BufWriter::new(&mut encoder), content)?;
            let file = encoder.finish()?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

impl StateStore for StateFiles {
    fn load(&self, group: &GroupKey, now: Moment) -> Result<Option<Loaded>, StateError> {
        // One at a time, so that of a process that dies of it only that one is under suspicion.
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(group);
        let unreadable = |why: &str| StateError::Unreadable(path.clone(), why.to_owned());
        let mark = with_ending(&path, READING);
        if fs::remove_file(&mark).is_ok() {
            self.set_aside(group)?;
            return Err(unreadable("the previous process crashed while reading it"));
        }
        let most = match fs::metadata(&path) {
            Ok(found) if found.is_file() => most_text(found.len()),
            // To open a pipe would wait for somebody to write into it.
            Ok(_) => return Err(unreadable("it is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::Io(path, error)),
        };
        // Where nothing can be written there is no mark, and what is there is read all the same.
        let _ = File::create(&mark);
        let read = File::open(&path).map(|file| read(file, most, now));
        let _ = fs::remove_file(&mark);
        let read = read.map_err(|error| StateError::Io(path.clone(), error))?;
        if read
            .as_ref()
            .map_or(true, |loaded| !loaded.problems.is_empty())
        {
            let _ = fs::copy(&path, with_ending(&path, UNREAD));
        }
        read.map(Some).map_err(|why| unreadable(&why))
    }

    fn set_aside(&self, group: &GroupKey) -> Result<(), StateError> {
        let path = self.path(group);
        match fs::rename(&path, with_ending(&path, UNREAD)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io(path, error))
            }
            _ => Ok(()),
        }
    }

    fn save(&self, group: &GroupKey, now: Moment, state: &Remembered) -> Result<(), StateError> {
        let path = self.path(group);
        let failed = |error| StateError::Io(path.clone(), error);
        let content = Content {
            header: Header {
                format: FORMAT,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                source: group.source.clone(),
                stream: group.stream.clone(),
                consumer_group: group.consumer_group.clone(),
                saved_at: now.at,
                wall: now.wall,
            },
            sections: state.sections(),
        };
        self.write(&path, &content).map_err(failed)
    }
}

/// Reads a file of at most `most` bytes of text.
///
/// # Errors
/// It cannot be used; says why.
pub fn read(file: impl Read, most: u64, now: Moment) -> Result<Loaded, String> {
    let mut text = String::new();
    let size = GzDecoder::new(io::BufReader::new(file))
        .take(most + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("it is damaged: {error}"))?;
    if size as u64 > most {
        return Err(format!("it has more than {most} bytes of text"));
    }
    parse(&text, now)
}

/// Reads the text of a file. The header first: a later format may look different beyond it.
///
/// # Errors
/// It cannot be used; says why.
pub fn parse(text: &str, now: Moment) -> Result<Loaded, String> {
    let damaged = |error: serde_json::Error| format!("it is damaged: {error}");
    let Headed { header } = serde_json::from_str(text).map_err(damaged)?;
    if header.format != FORMAT {
        let (format, by) = (header.format, header.version);
        return Err(format!(
            "it has format {format}, written by version {by}; this version reads format {FORMAT}"
        ));
    }
    let SavedSections { sections } = serde_json::from_str(text).map_err(damaged)?;
    let saved = Moment {
        at: header.saved_at,
        wall: header.wall,
    };
    let saved_at = saved.by_the_clock_of(now);
    let moved = WallOffset::between(header.saved_at, saved_at);
    let (remembered, problems) = moved_by(moved, || Remembered::read(sections));
    Ok(Loaded {
        remembered,
        saved_at,
        problems,
    })
}

/// Of its text. More than 10,000 partitions take, as they begin or after months; what is larger is none of ours.
fn most_text(file_bytes: u64) -> u64 {
    ((128 << 20) + file_bytes.saturating_mul(64)).min(1 << 30)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    name.into()
}

fn tidy(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = name.len() > 32 && name.as_bytes()[..32].iter().all(u8::is_ascii_hexdigit);
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
        let forgotten = age.is_ok_and(|age| age > FORGOTTEN_AFTER);
        if ours && (forgotten || name.ends_with(".tmp")) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
