//! Files that people name: read only if they are files, and never more of them than they can sensibly hold.
//!
//! A table is read row by row; [`RowLimit`] bounds each row, however large the file is or becomes when it is unpacked.

mod lock;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

pub use self::lock::FolderLock;

/// A file name for what may be called anything: 32 hexadecimal digits, the same for the same `parts`.
pub fn name_of(parts: [&str; 3]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Opens a regular file. Anything else (a FIFO, a device) might never end, or never begin.
///
/// # Errors
/// It is none, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// The contents, of which there may be so many bytes.
///
/// # Errors
/// There are more, or it cannot be read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!(
            "it is larger than {} KiB, which is the limit",
            most / 1024
        ))),
        false => Ok(bytes),
    }
}

/// As [`read`], of text.
///
/// # Errors
/// As there, and that it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The longest row of a table: 10,000 columns with their names take a third of it.
const LONGEST_ROW: usize = 4 << 20;

/// An input that is read row by row. A kilobyte of gzip can unpack to a megabyte without a line break, and a reader of rows would keep
/// all of it.
#[derive(Debug)]
pub struct RowLimit<R> {
    input: R,
    left: usize,
}

impl<R> RowLimit<R> {
    /// At its first row.
    pub const fn new(input: R) -> Self {
        let left = LONGEST_ROW;
        Self { input, left }
    }

    /// A row is through; the next one may be as long.
    pub const fn next_row(&mut self) {
        self.left = LONGEST_ROW;
    }
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!(
                "a row is longer than {} MiB, which is the limit: the file must be CSV with one row per line",
                LONGEST_ROW >> 20
            )));
        }
        let most = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_be_long_and_a_file_longer_but_no_row_is_endless() {
        let mut endless = RowLimit::new(io::repeat(b'a'));
        let mut row = vec![0; LONGEST_ROW];
        for _ in 0..3 {
            endless.read_exact(&mut row).expect("fits");
            endless.next_row();
        }
        endless.read_exact(&mut row).expect("fits");
        let refused = endless.read(&mut row).expect_err("refused").to_string();
        assert!(
            refused.starts_with("a row is longer than 4 MiB"),
            "{refused}"
        );
    }

    #[test]
    fn devices_folders_and_what_is_too_large_are_refused() {
        let refused = |path: &Path| read(path, 1_024).expect_err("refused").to_string();
        for endless in ["/dev/zero", "/dev"] {
            assert_eq!(refused(Path::new(endless)), "it is not a regular file");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, [b'a'; 1_024]).expect("written");
        assert_eq!(read_text(&file, 1_024).expect("fits").len(), 1_024);
        std::fs::write(&file, [b'a'; 1_025]).expect("written");
        assert_eq!(
            refused(&file),
            "it is larger than 1 KiB, which is the limit"
        );
        std::fs::write(&file, b"\xff").expect("written");
        let no_text = read_text(&file, 1_024).expect_err("no text");
        assert_eq!(no_text.to_string(), "it is not UTF-8");
    }
}
