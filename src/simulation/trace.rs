//! What arrived when, per partition: read from CSV, resampled to the plant's ticks.

use std::collections::HashSet;
use std::io::Read;
use std::time::Duration;

use crate::files::RowLimit;
use crate::model::identity::PartitionId;

use super::steps::StepLength;

/// Values a trace may have, as it is read and after resampling: 48 h of 2,500 partitions.
const MOST_VALUES: u64 = 100_000_000;

/// Seconds since 1970 are that exact and no more.
const CLOSE: f64 = 1e-5;

/// Arrivals of every partition, tick by tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What reports call it.
    pub name: String,
    step: StepLength,
    partitions: Vec<PartitionId>,
    /// Row after row, one value per partition.
    arrivals: Vec<u32>,
}

/// Why a trace cannot be used: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Reading or the form of the CSV failed.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// The header is not `time_seconds,<partition>,…`.
    #[error(
        "line 1: the header must be `time_seconds,<partition>,…` with at least one partition, found `{found}`"
    )]
    Header {
        /// What stands there.
        found: String,
    },
    /// A column without a name, or with that of another.
    #[error("line 1, column {column}: `{name}` {what}")]
    Column {
        /// From 1.
        column: usize,
        /// What stands there.
        name: String,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// A value is not a number of that kind.
    #[error("line {line}, column `{column}`: `{found}` is not {expected}")]
    Value {
        /// Line of the file, from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        found: String,
        /// What has to.
        expected: &'static str,
    },
    /// More messages in one step than can be.
    #[error(
        "column `{partition}`, {second} s after the start: more than 4,294,967,295 messages within {step_seconds} s: check the values"
    )]
    TooMany {
        /// Since the start of the trace.
        second: u64,
        /// Name of the column.
        partition: String,
        /// How long a step is.
        step_seconds: f64,
    },
    /// More than are read at all.
    #[error(
        "line {line}: there are more than 100,000,000 values up to here, which is the limit: cut the trace"
    )]
    TooManyValues {
        /// Line of the file, from 1.
        line: u64,
    },
    /// Fewer than two rows, so that the time between rows is unknown.
    #[error("at least two rows are needed: each value counts the messages since the previous row")]
    TooShort,
    /// More than can be simulated at once.
    #[error(
        "{ticks} steps of {step_seconds} s for {partitions} partitions are too many: cut the trace (is `time_seconds` in milliseconds?)"
    )]
    TooLarge {
        /// Steps.
        ticks: u64,
        /// Partitions.
        partitions: usize,
        /// How long a step is.
        step_seconds: f64,
    },
}

impl Trace {
    /// A trace from arrivals per tick; `arrivals(tick, partition)` is asked once for each.
    pub fn generate(
        name: impl Into<String>,
        partitions: usize,
        ticks: usize,
        mut arrivals: impl FnMut(usize, usize) -> u32,
    ) -> Self {
        let ids = (0..partitions).map(|n| PartitionId::new(n.to_string()));
        let values = (0..ticks * partitions).map(|n| arrivals(n / partitions, n % partitions));
        Self {
            name: name.into(),
            step: StepLength::default(),
            partitions: ids.collect(),
            arrivals: values.collect(),
        }
    }

    /// The same counts, tick by tick, in ticks of another length.
    #[must_use]
    pub fn in_steps(self, step: StepLength) -> Self {
        Self { step, ..self }
    }

    /// As it is, and then nothing for so long.
    #[must_use]
    pub fn followed_by_nothing(mut self, time: Duration) -> Self {
        let ticks = self.ticks().len() + self.step.ticks(time);
        self.arrivals.resize(ticks * self.partitions.len(), 0);
        self
    }

    /// Nothing for so long, and then as it is.
    #[must_use]
    pub fn after_nothing(mut self, time: Duration) -> Self {
        let values = self.step.ticks(time) * self.partitions.len();
        self.arrivals.splice(0..0, std::iter::repeat_n(0, values));
        self
    }

    /// Reads CSV with the header `time_seconds,<partition>,…`; each value is what arrived since the row before.
    ///
    /// # Errors
    /// Anything else, with line and column.
    pub fn read(name: impl Into<String>, input: impl Read) -> Result<Self, TraceError> {
        Self::read_in_steps(name, input, StepLength::default())
    }

    /// As [`Self::read`], in ticks of that length.
    ///
    /// # Errors
    /// Anything else, with line and column.
    pub fn read_in_steps(
        name: impl Into<String>,
        input: impl Read,
        step: StepLength,
    ) -> Result<Self, TraceError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            // Of CRLF the CR is trimmed; as a terminator of its own it would put line numbers one off.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(RowLimit::new(input));
        let header = reader.headers()?.clone();
        if header.len() < 2 || header.get(0) != Some("time_seconds") {
            let found = header.iter().collect::<Vec<_>>().join(",");
            return Err(TraceError::Header { found });
        }
        let partitions = partitions(&header)?;
        let mut times: Vec<f64> = Vec::new();
        let mut counts: Vec<u32> = Vec::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            reader.get_mut().next_row();
            let line = record.position().map_or(0, csv::Position::line);
            // A time takes as much as two values.
            if (counts.len() + 2 * times.len()) as u64 >= MOST_VALUES {
                return Err(TraceError::TooManyValues { line });
            }
            let bad = |column: usize, expected| TraceError::Value {
                line,
                column: header.get(column).unwrap_or_default().to_owned(),
                found: record.get(column).unwrap_or_default().to_owned(),
                expected,
            };
            let time = record.get(0).and_then(|text| text.parse::<f64>().ok());
            let later =
                |time: &f64| time.is_finite() && times.last().is_none_or(|last| time > last);
            times.push(
                time.filter(later).ok_or_else(|| {
                    bad(0, "a number of seconds, larger than in the previous row")
                })?,
            );
            for (n, text) in record.iter().enumerate().skip(1) {
                let count = text
                    .parse()
                    .map_err(|_| bad(n, "a whole number of messages"))?;
                counts.push(count);
            }
        }
        resample(name.into(), step, partitions, &times, &counts)
    }

    /// The partitions, in the order of the columns.
    pub fn partitions(&self) -> &[PartitionId] {
        &self.partitions
    }

    /// What arrived, tick by tick, one value per partition.
    pub fn ticks(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.arrivals.chunks_exact(self.partitions.len())
    }

    /// Arrivals of the tick; nothing after the end.
    pub fn tick(&self, tick: usize) -> &[u32] {
        let width = self.partitions.len();
        self.arrivals
            .get(tick * width..(tick + 1) * width)
            .unwrap_or_default()
    }

    /// How long a tick is.
    pub fn step(&self) -> StepLength {
        self.step
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.step.duration() * self.ticks().len() as u32
    }

    /// All messages.
    pub fn messages(&self) -> u64 {
        self.arrivals.iter().map(|n| u64::from(*n)).sum()
    }
}

/// The columns but the first: each with a name of its own, as two of one name would be one partition.
fn partitions(header: &csv::StringRecord) -> Result<Vec<PartitionId>, TraceError> {
    let mut known: Vec<PartitionId> = Vec::new();
    let mut seen = HashSet::new();
    for (n, name) in header.iter().enumerate().skip(1) {
        let what = match name {
            "" => Some("is not a valid name: every column but the first is a partition"),
            _ if !seen.insert(name) => Some("appears twice: give every partition its own column"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(TraceError::Column {
                column: n + 1,
                name: name.to_owned(),
                what,
            });
        }
        known.push(PartitionId::new(name));
    }
    Ok(known)
}

/// Spreads every row evenly over the time since the row before, and cuts that into ticks. No message gets lost.
fn resample(
    name: String,
    step: StepLength,
    partitions: Vec<PartitionId>,
    times: &[f64],
    counts: &[u32],
) -> Result<Trace, TraceError> {
    let (Some(first), Some(second), Some(last)) = (times.first(), times.get(1), times.last())
    else {
        return Err(TraceError::TooShort);
    };
    let start = first - (second - first);
    let tick = step.seconds();
    let ticks = ((last - start) / tick - CLOSE).ceil();
    let width = partitions.len();
    if ticks * width as f64 > MOST_VALUES as f64 {
        return Err(TraceError::TooLarge {
            ticks: ticks as u64,
            partitions: width,
            step_seconds: tick,
        });
    }
    let ticks = ticks as usize;
    let mut arrivals = vec![0_u32; ticks * width];
    for partition in 0..width {
        let (mut before, mut row_start) = (0_u64, start);
        let mut given = 0_u64;
        let mut row = 0;
        for n in 0..ticks {
            let end = start + (n + 1) as f64 * tick;
            while row < times.len() && times[row] <= end + CLOSE {
                before += u64::from(counts[row * width + partition]);
                row_start = times[row];
                row += 1;
            }
            let part = times.get(row).map_or(0.0, |row_end| {
                f64::from(counts[row * width + partition])
                    * ((end - row_start) / (row_end - row_start)).clamp(0.0, 1.0)
            });
            let so_far = before + part as u64;
            arrivals[n * width + partition] =
                u32::try_from(so_far - given).map_err(|_| TraceError::TooMany {
                    second: (end - start) as u64,
                    partition: partitions[partition].to_string(),
                    step_seconds: tick,
                })?;
            given = so_far;
        }
    }
    Ok(Trace {
        name,
        step,
        partitions,
        arrivals,
    })
}

#[cfg(test)]
mod tests;
