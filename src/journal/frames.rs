//! Records, one after the other: a length, and a record as the difference to the one before it, with a checksum.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::group::event::{Event, TargetKey};
use crate::policy::decision::Decision;

/// One event, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// How many events there were with it.
    pub position: u64,
    /// What happened.
    pub event: Event,
    /// Answers that changed with it.
    pub decided: Vec<(TargetKey, Decision)>,
}

impl JournalRecord {
    /// The record that bytes of [`Self::encode`] are of.
    ///
    /// # Errors
    /// They are of none, or of another build's.
    pub fn decode(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }

    /// Its bytes, before they are packed.
    ///
    /// # Errors
    /// None that is known.
    pub fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        encode(self.position, &self.event, &self.decided)
    }
}

/// As that, borrowed.
#[derive(Serialize)]
struct Borrowed<'a>(u64, &'a Event, &'a [(TargetKey, Decision)]);

/// The bytes of a record.
///
/// # Errors
/// None that is known.
pub fn encode(
    position: u64,
    event: &Event,
    decided: &[(TargetKey, Decision)],
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec(&Borrowed(position, event, decided))
}

/// Fast; and most of what is saved is saved by telling the difference alone.
const LEVEL: i32 = 1;
/// The difference to a record of so many bytes can be told: 2^25.
const WINDOW_LOG: u32 = 25;
/// More is none of ours: a group has 10,000 partitions at most.
const LARGEST: u64 = 1 << WINDOW_LOG;

/// In the length: the record stands for itself, so that one can begin to read here.
const ANEW: u32 = 1 << 31;

/// Adds one record to a file, as the difference to the one `before`, or for itself where that is empty; how many bytes that took.
pub(super) fn append(file: &mut impl Write, before: &[u8], record: &[u8]) -> io::Result<u64> {
    let mut encoder = Encoder::with_ref_prefix(vec![0; 4], LEVEL, before)?;
    encoder.window_log(window_log(before.len() + record.len()))?;
    encoder.include_checksum(true)?;
    // So that its tables are no larger than that needs.
    encoder.set_pledged_src_size(Some(record.len() as u64))?;
    encoder.write_all(record)?;
    let mut frame = encoder.finish()?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    let length = if before.is_empty() {
        length | ANEW
    } else {
        length
    };
    frame[..4].copy_from_slice(&length.to_le_bytes());
    // At once, so that a kill leaves whole records.
    file.write_all(&frame)?;
    Ok(frame.len() as u64)
}

/// As small as holds both.
fn window_log(bytes: usize) -> u32 {
    (usize::BITS - bytes.leading_zeros()).clamp(10, WINDOW_LOG)
}

/// Why there is no further record, although there is more in the file.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The last record is not whole: the process was killed while it wrote, or the file was copied meanwhile.
    #[error("the last record is not whole")]
    Torn,
    /// What is there is no record.
    #[error("it is damaged at byte {0}: {1}")]
    Damaged(u64, String),
}

/// The records of a file.
#[derive(Debug)]
pub struct Frames<R> {
    input: R,
    read: u64,
    before: Vec<u8>,
    frame: Vec<u8>,
}

impl<R: BufRead> Frames<R> {
    /// From the first record on, at byte `read` of the file.
    pub fn new(input: R, read: u64) -> Self {
        Self {
            input,
            read,
            before: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// [`FrameError`]; there is nothing to be read behind it.
    pub fn next_record(&mut self) -> Result<Option<JournalRecord>, FrameError> {
        let at = self.read;
        let damaged = |why: String| FrameError::Damaged(at, why);
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        if length & ANEW != 0 {
            self.before.clear();
        }
        let length = u64::from(length & !ANEW);
        if length > LARGEST {
            return Err(damaged(format!("a record of {length} bytes")));
        }
        self.frame.clear();
        let read = self
            .input
            .by_ref()
            .take(length)
            .read_to_end(&mut self.frame);
        let read = read.map_err(|error| damaged(error.to_string()))? as u64;
        if read < length {
            return Err(FrameError::Torn);
        }
        self.read += 4 + length;
        let record = decompress(&self.before, &self.frame).map_err(|e| damaged(e.to_string()))?;
        self.before = record;
        JournalRecord::decode(&self.before)
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    fn length(&mut self) -> Result<Option<u32>, FrameError> {
        let mut length = Vec::with_capacity(4);
        let read = self.input.by_ref().take(4).read_to_end(&mut length);
        read.map_err(|error| FrameError::Damaged(self.read, error.to_string()))?;
        match <[u8; 4]>::try_from(length.as_slice()) {
            Ok(length) => Ok(Some(u32::from_le_bytes(length))),
            Err(_) if length.is_empty() => Ok(None),
            Err(_) => Err(FrameError::Torn),
        }
    }
}

fn decompress(before: &[u8], frame: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::with_ref_prefix(frame, before)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut record = Vec::with_capacity(before.len() + before.len() / 16);
    decoder.take(LARGEST + 1).read_to_end(&mut record)?;
    if record.len() as u64 > LARGEST {
        return Err(io::Error::other("a record of more than 32 MiB"));
    }
    Ok(record)
}
