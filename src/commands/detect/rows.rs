//! The rows of a series in CSV: `timestamp,value`, read one by one.

use std::io::{self, Read};
use std::time::UNIX_EPOCH;

use crate::files::RowLimit;
use crate::model::time::Timestamp;

/// A larger number cannot be a time in seconds: it is in milliseconds.
const LATEST_SECONDS: f64 = 1e11;

/// Why a series cannot be read, or its rows not be written.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// Reading or the form of the CSV failed.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error("line 1: the header `{found}` has no column `{missing}`: it must be `timestamp,value`")]
    Header {
        /// Its name.
        missing: &'static str,
        /// What stands there.
        found: String,
    },
    /// No time.
    #[error(
        "line {line}: `{found}` is not a timestamp: use `2026-11-24 08:30:00` (UTC), RFC 3339 with Z, or Unix seconds"
    )]
    Timestamp {
        /// Line of the file, from 1.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// Neither a number nor nothing.
    #[error(
        "line {line}: `{found}` is not a number: use a finite number, or leave it empty for a missing sample"
    )]
    Value {
        /// Line of the file, from 1.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Write(io::Error),
}

/// One sample, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputRow<'a> {
    /// As it stands in the file.
    pub timestamp: &'a str,
    /// As it stands in the file.
    pub text: &'a str,
    /// When; never before the row before.
    pub at: Timestamp,
    /// `None` for a missing sample.
    pub value: Option<f64>,
}

/// Reads row after row, in constant memory.
pub struct InputRows<R> {
    reader: csv::Reader<RowLimit<R>>,
    record: csv::StringRecord,
    timestamp: usize,
    value: usize,
    last: Timestamp,
    out_of_order: OutOfOrder,
}

/// Rows with an earlier time than the row before: an hour that is written twice, rows that were not sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutOfOrder {
    /// How many.
    pub count: u64,
    /// The first of them: line of the file, from 1, and the time that stands there.
    pub first: Vec<(u64, String)>,
}

/// Problems that are reported one by one.
const TOLD: usize = 10;

impl OutOfOrder {
    fn note(&mut self, line: u64, found: &str) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push((line, found.to_owned()));
        }
    }

    /// A line of text for each of the first, and one for the rest.
    pub fn warnings(&self) -> Vec<String> {
        let one = |(line, found): &(u64, String)| {
            format!(
                "line {line}: `{found}` is earlier than the previous row, so its timestamp is ignored: sort the rows by time \
                 and use UTC, which has no daylight saving changes"
            )
        };
        let mut warnings: Vec<String> = self.first.iter().map(one).collect();
        let more = self.count - self.first.len() as u64;
        if more > 0 {
            warnings.push(format!("and {more} more"));
        }
        warnings
    }
}

impl<R: Read> InputRows<R> {
    /// Reads the header. Columns may stand in any order, others beside them.
    ///
    /// # Errors
    /// A column is missing, or reading fails.
    pub fn of(input: R) -> Result<Self, DetectError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(RowLimit::new(input));
        let header = reader.headers()?.clone();
        let column = |missing: &'static str| {
            header
                .iter()
                .position(|name| name.trim_start_matches('\u{feff}') == missing)
                .ok_or_else(|| DetectError::Header {
                    missing,
                    found: header.iter().collect::<Vec<_>>().join(","),
                })
        };
        let (timestamp, value) = (column("timestamp")?, column("value")?);
        Ok(Self {
            reader,
            record: csv::StringRecord::new(),
            timestamp,
            value,
            last: Timestamp::default(),
            out_of_order: OutOfOrder::default(),
        })
    }

    /// The rows so far that were out of order.
    pub fn out_of_order(&self) -> &OutOfOrder {
        &self.out_of_order
    }

    /// The next row; `None` at the end. One with an earlier time than the row before has that one's time.
    ///
    /// # Errors
    /// It is not what it should be, or reading fails.
    pub fn next_row(&mut self) -> Result<Option<InputRow<'_>>, DetectError> {
        if !self.reader.read_record(&mut self.record)? {
            return Ok(None);
        }
        self.reader.get_mut().next_row();
        let line = self.record.position().map_or(0, csv::Position::line);
        let timestamp = self.record.get(self.timestamp).unwrap_or_default();
        let text = self.record.get(self.value).unwrap_or_default();
        let found = || timestamp.to_owned();
        let at = time(timestamp).ok_or_else(|| DetectError::Timestamp {
            line,
            found: found(),
        })?;
        if at < self.last {
            self.out_of_order.note(line, timestamp);
        }
        let at = at.max(self.last);
        self.last = at;
        let value = number(text).ok_or_else(|| DetectError::Value {
            line,
            found: text.to_owned(),
        })?;
        Ok(Some(InputRow {
            timestamp,
            text,
            at,
            value,
        }))
    }
}

fn time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        let known = (0.0..LATEST_SECONDS).contains(&seconds);
        return known.then(|| Timestamp::from_millis((seconds * 1000.0).round() as u64));
    }
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(since.as_millis() as u64))
}

/// `Some(None)` for a missing sample; `None` for what is neither.
fn number(text: &str) -> Option<Option<f64>> {
    if text.is_empty() {
        return Some(None);
    }
    let value = text.parse::<f64>().ok()?;
    value.is_finite().then_some(Some(value))
}
