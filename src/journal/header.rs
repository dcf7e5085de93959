//! The first line of every file: whose it is, and who can read it.

use std::io::{BufRead, Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::identity::GroupKey;
use crate::model::time::{Moment, Timestamp, WallOffset};

/// Of the layout of the files.
const FORMAT: u32 = 1;

/// The code that decides: another one cannot read a state, or would decide otherwise.
pub const CODE: &str = env!("STREAMGAUGE_DECIDES_BY");

/// More is none of ours.
const LONGEST: u64 = 1 << 20;

/// Whose file it is, and who wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalHeader {
    format: u32,
    code: String,
    /// The program's.
    pub version: String,
    /// The group.
    pub group: GroupKey,
    /// The `group` label.
    pub name: String,
    /// How many events came before.
    pub position: u64,
    /// Whether it goes on where the segment before ended; else it begins with what was known then.
    pub continues: bool,
    /// When it was written, by the clock of the process.
    pub at: Timestamp,
    /// Where the wall clock was then.
    pub wall: WallOffset,
    /// Of a checkpoint: where its segment began, …
    pub segment: u64,
    /// … and how many bytes of the segment's events came before.
    pub events_before: u64,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// By another version, or by the same with other code.
    #[error("it was written by another build of streamgauge: version {version}, code {code}; this is version {} with code {CODE}", env!("CARGO_PKG_VERSION"))]
    OtherBuild {
        /// The version that wrote it.
        version: String,
        /// A hash of the code that decides.
        code: String,
    },
    /// By the file system, or because it is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file system says no.
    #[error("{0}")]
    Io(String),
}

impl Unreadable {
    pub(super) fn damaged(why: impl std::fmt::Display) -> Self {
        Self::Damaged(why.to_string())
    }
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl JournalHeader {
    /// Of a file that is written now.
    pub fn new(group: GroupKey, name: String, position: u64, now: Moment) -> Self {
        Self {
            format: FORMAT,
            code: CODE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            group,
            name,
            position,
            continues: false,
            at: now.at,
            wall: now.wall,
            segment: position,
            events_before: 0,
        }
    }

    /// When it was written.
    pub const fn moment(&self) -> Moment {
        Moment {
            at: self.at,
            wall: self.wall,
        }
    }

    pub(super) fn write(&self, mut file: impl Write) -> std::io::Result<u64> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all(&line)?;
        Ok(line.len() as u64)
    }

    /// Reads one.
    ///
    /// # Errors
    /// There is none, or another program wrote it; says which.
    pub(super) fn read(file: &mut impl BufRead) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Of {
            format: u32,
            code: String,
            version: String,
        }
        let mut line = Vec::new();
        file.take(LONGEST).read_until(b'\n', &mut line)?;
        let of: Of = serde_json::from_slice(&line).map_err(Unreadable::damaged)?;
        if of.format != FORMAT || of.code != CODE {
            let (version, code) = (of.version, of.code);
            return Err(Unreadable::OtherBuild { version, code });
        }
        serde_json::from_slice(&line).map_err(Unreadable::damaged)
    }
}

/// `2026-11-30 03:14:05Z`.
pub fn shown(wall: Timestamp) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(wall.as_millis() / 1_000);
    humantime::format_rfc3339_seconds(at)
        .to_string()
        .replace('T', " ")
}
