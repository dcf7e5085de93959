//! The files: one per group, day and set of partitions, the oldest deleted.

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
/// File systems take 255 bytes; the time and the ending take 21.
const LONGEST_NAME: usize = 180;

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
}

/// A file has at least two rows: the time span of a single one is unknown.
#[derive(Debug, Default)]
enum Output {
    #[default]
    None,
    /// The first row.
    Begun(RecordedRow),
    /// The file, the bytes of it that are whole rows, and its clock.
    Open(File, u64, Begun),
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
    /// That failed; the row is lost, and another file begins.
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
                group.output = Output::None;
                Ok(false)
            }
            RowStep::Row(row) => {
                let written = group.write(&self.config, name, row);
                if written.is_err() {
                    group.output = Output::None;
                    group.rows = RecordedRows::default();
                }
                written
            }
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
        if self
            .output
            .begun()
            .is_some_and(|begun| begun != Begun::of(&row))
        {
            self.output = Output::None;
        }
        match &mut self.output {
            Output::None => {
                self.output = Output::Begun(row);
                Ok(false)
            }
            Output::Begun(first) => {
                let begun = Begun::of(first);
                let mut file = create(config, name, first.on_the_wall())?;
                let mut text = header(&self.rows)?;
                text.push_str(&line(first));
                let mut whole = 0;
                append(&mut file, &mut whole, &(text + &line(&row)))?;
                self.output = Output::Open(file, whole, begun);
                Ok(true)
            }
            Output::Open(file, whole, _) => append(file, whole, &line(&row)).map(|()| true),
        }
    }
}

impl Output {
    fn begun(&self) -> Option<Begun> {
        match self {
            Self::None => None,
            Self::Begun(row) => Some(Begun::of(row)),
            Self::Open(_, _, begun) => Some(*begun),
        }
    }
}

/// Appends whole lines; of a failed write, as on a full disk, nothing stays.
fn append(file: &mut File, whole: &mut u64, text: &str) -> io::Result<()> {
    let written = file.write_all(text.as_bytes());
    match written {
        Ok(()) => *whole += text.len() as u64,
        Err(_) => file.set_len(*whole)?,
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

/// `DIR/<group>.<time of the first row>.csv`, after the oldest of the group were deleted.
fn create(config: &RecordingConfig, group: &str, first: Timestamp) -> io::Result<File> {
    fs::create_dir_all(&config.dir)?;
    let stem = file_stem(group);
    let mut kept = of_group(&config.dir, &stem)?;
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(config.keep_files as usize);
    for old in &kept[..surplus] {
        fs::remove_file(old)?;
    }
    let time = UNIX_EPOCH + Duration::from_secs(first.as_millis() / 1_000);
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let path = config
        .dir
        .join(format!("{stem}.{}.csv", time.replace(['-', ':'], "")));
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)
}

/// The group's files: its name, 16 characters of time, `csv`.
fn of_group(dir: &Path, stem: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let time = name
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_suffix(".csv"));
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
