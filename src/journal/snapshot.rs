//! A group's whole state in a file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use zstd::stream::{read::Decoder, write::Encoder};

use super::header::{JournalHeader, Unreadable};
use crate::group::GroupState;

/// A state of 10,000 partitions takes 30 MB before it is compressed; what is larger than this is none of ours.
const LARGEST: u64 = 1 << 30;

/// A group at a position.
#[derive(Debug)]
pub struct StateSnapshot {
    /// Whose, and where.
    pub header: JournalHeader,
    /// What was known and decided.
    pub state: GroupState,
}

/// A state as bytes, for another process with the same code.
///
/// # Errors
/// None that is known.
pub fn pack_state(state: &GroupState) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new(), 1)?;
    encoder.include_checksum(true)?;
    write_state(state, encoder)
}

/// From those bytes.
///
/// # Errors
/// They are not what was written, or by other code.
pub fn unpack_state(bytes: &[u8]) -> Result<GroupState, Unreadable> {
    read_state(Decoder::with_buffer(bytes)?)
}

fn write_state<W: Write>(state: &GroupState, encoder: Encoder<'_, W>) -> io::Result<W> {
    let mut encoder = BufWriter::with_capacity(64 << 10, encoder);
    rmp_serde::encode::write(&mut encoder, state).map_err(io::Error::other)?;
    let encoder = encoder
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    encoder.finish()
}

fn read_state(decoder: impl Read) -> Result<GroupState, Unreadable> {
    let mut input = BufReader::with_capacity(64 << 10, decoder.take(LARGEST));
    let state = rmp_serde::from_read(&mut input).map_err(Unreadable::damaged)?;
    // The checksum stands at the end.
    let rest = io::copy(&mut input, &mut io::sink()).map_err(Unreadable::damaged)?;
    match rest {
        0 => Ok(state),
        _ => Err(Unreadable::damaged("there is more behind the end")),
    }
}

/// Puts it in the place of what is there, as a whole or not at all. `synced`: also where the machine dies at once.
pub(super) fn write(
    path: &Path,
    header: &JournalHeader,
    state: &GroupState,
    synced: bool,
) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let written = (|| {
        let mut file = BufWriter::new(File::create(&beside)?);
        header.write(&mut file)?;
        let mut encoder = Encoder::new(file, 1)?;
        encoder.include_checksum(true)?;
        let file = write_state(state, encoder)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Reads it.
///
/// # Errors
/// It cannot be used; says why.
pub(super) fn read(path: &Path) -> Result<StateSnapshot, Unreadable> {
    let file = crate::files::open(path)?;
    let mut file = BufReader::new(file);
    let header = JournalHeader::read(&mut file)?;
    let state = read_state(Decoder::with_buffer(file)?)?;
    Ok(StateSnapshot { header, state })
}
