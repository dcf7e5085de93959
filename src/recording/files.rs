//! The files: one per group, day and set of partitions. One has its name once its first rows are written, and only then the oldest is
//! deleted: a full disk costs what cannot be written, and nothing that was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use crate::config::types::RecordingConfig;
use crate::model::time::{Timestamp, WallOffset};

use super::rows::{LONGEST_GAP, Observation, RecordedRow, RecordedRows, RowStep};

const DAY_MILLIS: u64 = 86_400_000;
/// File systems take 255 bytes; the time and the endings take 26.
const LONGEST_NAME: usize = 180;
/// While it begins.
const PART: &str = ".csv.part";
/// A file that ended with a failure before it had so many rows, ten minutes' worth, is the first to be deleted.
const SHORT_ROWS: u32 = 120;

/// Every group's file.
#[derive(Debug)]
pub(super) struct RecordingFiles {
    config: RecordingConfig,
    groups: BTreeMap<String, RecordedGroup>,
}

#[derive(Debug, Default)]
struct RecordedGroup {
    rows: RecordedRows,
    output: Output,
    seen_at: Timestamp,
    /// Short files that ended with a failure.
    cut_short: Vec<PathBuf>,
}

/// A file has at least two rows: the time span of a single one is unknown.
#[derive(Debug, Default)]
enum Output {
    #[default]
    None,
    /// The first row.
    Begun(RecordedRow),
    Open(OpenRecording),
}

/// A file that goes on.
#[derive(Debug)]
struct OpenRecording {
    file: File,
    path: PathBuf,
    begun: Begun,
    /// The bytes of it that are whole rows, and how many rows that are.
    whole: u64,
    rows: u32,
    /// When the last of them was.
    written_at: Timestamp,
    /// What arrived since then and could not be written.
    unwritten: Option<RecordedRow>,
}

/// By what a file goes: times in it are the wall clock's, which may be set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Begun {
    day: u64,
    wall: WallOffset,
}

impl Begun {
    fn of(row: &RecordedRow) -> Self {
        Self {
            day: row.on_the_wall().as_millis() / DAY_MILLIS,
            wall: row.wall,
        }
    }
}

impl RecordingFiles {
    pub fn new(config: RecordingConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
        }
    }

    /// Takes in what a poll saw of a group. Whether something was written.
    ///
    /// # Errors
    /// That failed. What arrived is part of the next row, for as long as one row may bridge; then another file begins.
    pub fn note(&mut self, name: &str, seen: &Observation) -> io::Result<bool> {
        if !self.groups.contains_key(name) {
            // Groups that nobody asks for any more.
            self.groups
                .retain(|_, group| seen.at.since(group.seen_at) <= LONGEST_GAP);
        }
        let group = self.groups.entry(name.to_owned()).or_default();
        group.seen_at = seen.at;
        match group.rows.note(seen) {
            RowStep::Wait => Ok(false),
            RowStep::Break => {
                group.close();
                Ok(false)
            }
            RowStep::Row(row) => group.write(&self.config, name, row),
        }
    }
}

impl RecordedGroup {
    fn write(
        &mut self,
        config: &RecordingConfig,
        name: &str,
        row: RecordedRow,
    ) -> io::Result<bool> {
        let begun = Begun::of(&row);
        if self.output.begun().is_some_and(|before| before != begun) {
            self.close();
        }
        match &mut self.output {
            Output::None => {
                self.output = Output::Begun(row);
                Ok(false)
            }
            Output::Begun(first) => {
                let rows = header(&self.rows)? + &line(first) + &line(&row);
                let opened = OpenRecording::begin(config, name, first, &rows);
                let at = row.at;
                // Of what could not be written, the newest row may be the first of the next attempt.
                self.output = Output::Begun(row);
                self.output = Output::Open(opened?.at(at));
                self.delete_surplus(config, name).map(|()| true)
            }
            Output::Open(open) => {
                let at = row.at;
                let written = open.add(row);
                if written.is_err() && at.since(open.written_at) > LONGEST_GAP {
                    self.close();
                }
                written.map(|()| true)
            }
        }
    }

    /// What follows goes into another file.
    fn close(&mut self) {
        if let Output::Open(open) = std::mem::take(&mut self.output)
            && open.unwritten.is_some()
            && open.rows < SHORT_ROWS
        {
            self.cut_short.push(open.path);
        }
    }

    /// Deletes what is more than is kept beside the file that has just begun: what failures cut short, then the oldest.
    fn delete_surplus(&mut self, config: &RecordingConfig, name: &str) -> io::Result<()> {
        let Output::Open(newest) = &self.output else {
            return Ok(());
        };
        let stem = file_stem(name);
        for part in of_group(&config.dir, &stem, PART)? {
            fs::remove_file(part)?;
        }
        let mut others = of_group(&config.dir, &stem, ".csv")?;
        others.retain(|path| *path != newest.path);
        others.sort();
        others.sort_by_key(|path| !self.cut_short.contains(path));
        let surplus = (others.len() + 1).saturating_sub(config.keep_files as usize);
        for old in &others[..surplus.min(others.len())] {
            fs::remove_file(old)?;
        }
        self.cut_short
            .retain(|path| others[surplus.min(others.len())..].contains(path));
        Ok(())
    }
}

impl Output {
    fn begun(&self) -> Option<Begun> {
        match self {
            Self::None => None,
            Self::Begun(row) => Some(Begun::of(row)),
            Self::Open(open) => Some(open.begun),
        }
    }
}

impl OpenRecording {
    /// `DIR/<group>.<time of the first row>.csv`, with its first rows.
    fn begin(
        config: &RecordingConfig,
        group: &str,
        first: &RecordedRow,
        rows: &str,
    ) -> io::Result<Self> {
        fs::create_dir_all(&config.dir)?;
        let time = UNIX_EPOCH + Duration::from_secs(first.on_the_wall().as_millis() / 1_000);
        let time = humantime::format_rfc3339_seconds(time).to_string();
        let name = format!("{}.{}", file_stem(group), time.replace(['-', ':'], ""));
        let path = config.dir.join(format!("{name}.csv"));
        if path.try_exists()? {
            // A clock that was set back.
            let text = format!("{} exists already", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let part = config.dir.join(name + PART);
        let mut whole = 0;
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&part)
            .and_then(|mut file| {
                // One of before that was killed may have left it.
                file.set_len(0)?;
                append(&mut file, &mut whole, rows)?;
                fs::rename(&part, &path)?;
                Ok(file)
            });
        let file = written.inspect_err(|_| drop(fs::remove_file(&part)))?;
        Ok(Self {
            file,
            path,
            begun: Begun::of(first),
            whole,
            rows: 2,
            written_at: first.at,
            unwritten: None,
        })
    }

    fn at(self, written_at: Timestamp) -> Self {
        Self { written_at, ..self }
    }

    /// Adds a row, with what could not be written before.
    fn add(&mut self, row: RecordedRow) -> io::Result<()> {
        let row = match self.unwritten.take() {
            Some(before) => row.after(&before),
            None => row,
        };
        let written = self
            .file
            .set_len(self.whole)
            .and_then(|()| append(&mut self.file, &mut self.whole, &line(&row)));
        match written {
            Ok(()) => (self.rows, self.written_at) = (self.rows + 1, row.at),
            Err(_) => self.unwritten = Some(row),
        }
        written
    }
}

/// Appends whole lines; of a failed write, as on a full disk, nothing stays.
fn append(file: &mut File, whole: &mut u64, text: &str) -> io::Result<()> {
    let written = file.write_all(text.as_bytes());
    match written {
        Ok(()) => *whole += text.len() as u64,
        // If that fails as well, it is done before the next row.
        Err(_) => drop(file.set_len(*whole)),
    }
    written
}

fn header(rows: &RecordedRows) -> io::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let partitions = rows.partitions().map(|id| id.as_str());
    writer.write_record(std::iter::once("time_seconds").chain(partitions))?;
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn line(row: &RecordedRow) -> String {
    let mut text = format!("{:.3}", row.on_the_wall().as_seconds());
    for count in &row.arrived {
        let _ = write!(text, ",{count}");
    }
    text.push('\n');
    text
}

/// The group's files: its name, 16 characters of time, the ending.
fn of_group(dir: &Path, stem: &str, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let time = name
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_suffix(ending));
        if time.is_some_and(|time| time.len() == 16 && time.ends_with('Z')) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The group's name with everything but `A-Z a-z 0-9 _ -` as `%XX`; of a long name the beginning and a hash.
fn file_stem(group: &str) -> String {
    let mut stem = String::new();
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) {
            stem.push(char::from(byte));
        } else {
            let _ = write!(stem, "%{byte:02X}");
        }
    }
    if stem.len() > LONGEST_NAME {
        let hash = Sha256::digest(group);
        stem.truncate(LONGEST_NAME - 17);
        stem.push('~');
        for byte in &hash[..8] {
            let _ = write!(stem, "{byte:02x}");
        }
    }
    stem
}

#[cfg(test)]
mod tests;
