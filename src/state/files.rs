//! One gzipped JSON file per group. Written beside the old one and put in its place, so that there is always a whole one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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

/// Locked by the process that writes.
const LOCK: &str = "lock";

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
    /// Held from the first write on.
    lock: Mutex<Option<File>>,
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
        let files = Self {
            folder: folder.to_owned(),
            written: AtomicU64::new(0),
            reading: Mutex::default(),
            lock: Mutex::default(),
        };
        if folder.is_dir() && files.hold().is_ok() {
            // What cannot be removed harms nobody, and what else is wrong is told when something is written.
            let _ = tidy(folder);
        }
        files
    }

    /// Two processes would write over what the other one learned.
    fn hold(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_some() {
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
        *lock = Some(file);
        Ok(())
    }

    fn path(&self, group: &GroupKey) -> PathBuf {
        let GroupKey {
            source,
            stream,
            consumer_group,
        } = group;
        let digest = Sha256::digest(format!("{source}\0{stream}\0{consumer_group}"));
        let name: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(name + ENDING)
    }

    fn write(&self, path: &Path, content: &Content<'_>) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        let written = (|| {
            self.hold()?;
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
    let saved_at = saved_at(&header, now);
    let moved = millis(saved_at).saturating_sub(millis(header.saved_at));
    let moved = WallOffset::from_millis(moved);
    let (remembered, problems) = moved_by(moved, || Remembered::read(sections));
    Ok(Loaded {
        remembered,
        saved_at,
        problems,
    })
}

/// A damaged file may say any number.
fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// By this process' clock. What seems to be from the future was saved a moment ago: this machine's clock is behind, or that
/// one's was ahead, and which, nobody knows.
fn saved_at(header: &Header, now: Moment) -> Timestamp {
    let wall = header.wall.on_the_wall(header.saved_at);
    now.wall.off_the_wall(wall).min(now.at)
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
