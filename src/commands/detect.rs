//! `detect`: what the service's baseline says of a recorded series, row by row, for files of any size.

pub mod rows;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;

use self::rows::{DetectError, InputRow, InputRows, OutOfOrder};
use crate::cli::DetectArgs;
use crate::model::baseline::{Baseline, BaselineRules, Reading};

const HEADER: [&str; 8] = [
    "timestamp",
    "value",
    "anomaly_score",
    "expected",
    "lower",
    "upper",
    "anomaly",
    "fired",
];

/// Reads the file, or standard input for `-`, and writes a row for each of its rows to standard output.
///
/// # Errors
/// The file cannot be read or is not what it should be; with line and what to do.
pub fn run(args: DetectArgs) -> Result<ExitCode> {
    let name = args.file.display().to_string();
    let (name, input): (&str, Box<dyn Read>) = if name == "-" {
        ("standard input", Box::new(io::stdin().lock()))
    } else {
        (&name, open(&args.file).with_context(|| name.clone())?)
    };
    let rules = BaselineRules {
        weekly_season: !args.no_weekly_season,
        ..BaselineRules::default()
    };
    let output = BufWriter::new(io::stdout().lock());
    match detect(rules, input, output) {
        // Who reads has seen enough.
        Err(DetectError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        done => {
            let out_of_order = done.with_context(|| name.to_owned())?;
            for warning in out_of_order.warnings() {
                eprintln!("warning: {name}: {warning}");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(path)?);
    let gzipped = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    Ok(if gzipped {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// Judges every row of `input` by those before it; gives the rows that were out of order. What was written before an error stays.
///
/// # Errors
/// `input` is not what it should be, or one of both fails.
pub fn detect(
    rules: BaselineRules,
    input: impl Read,
    output: impl Write,
) -> Result<OutOfOrder, DetectError> {
    let mut output = csv::Writer::from_writer(output);
    let done = judge(rules, input, &mut output);
    let flushed = output.flush().map_err(DetectError::Write);
    done.and_then(|done| flushed.map(|()| done))
}

fn judge(
    rules: BaselineRules,
    input: impl Read,
    output: &mut csv::Writer<impl Write>,
) -> Result<OutOfOrder, DetectError> {
    let mut rows = InputRows::of(input)?;
    let mut baseline = Baseline::new(rules);
    output.write_record(HEADER).map_err(write_error)?;
    while let Some(row) = rows.next_row()? {
        let reading = baseline.observe(row.at, row.value);
        output
            .write_record(fields(&row, &reading))
            .map_err(write_error)?;
    }
    Ok(rows.out_of_order().clone())
}

fn fields(row: &InputRow<'_>, reading: &Reading) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(String::new, short);
    let flag = |flag: bool| u8::from(flag).to_string();
    // Cut, not rounded: what did not fire must not look as if it had.
    let score = row.value.map(|_| (reading.score * 1e6).floor() / 1e6);
    [
        row.timestamp.to_owned(),
        row.text.to_owned(),
        score.map_or_else(String::new, |score| score.to_string()),
        number(reading.expected),
        number(reading.lower),
        number(reading.upper),
        flag(reading.anomaly),
        flag(reading.fired),
    ]
}

/// Six significant digits.
fn short(value: f64) -> String {
    let rounded = format!("{value:.5e}").parse::<f64>();
    rounded.unwrap_or(value).to_string()
}

fn write_error(error: csv::Error) -> DetectError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DetectError::Write(error),
        kind => DetectError::Write(io::Error::other(format!("{kind:?}"))),
    }
}
