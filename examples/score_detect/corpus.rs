//! A folder of labelled series.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use streamgauge::commands::detect::rows::InputRows;
use streamgauge::model::time::Timestamp;

/// One file.
pub struct Series {
    /// Its path within the folder.
    pub name: String,
    /// As it is.
    pub csv: Vec<u8>,
    pub times: Vec<Timestamp>,
    pub values: Vec<f64>,
    /// First and last row of every window.
    pub windows: Vec<(usize, usize)>,
}

impl Series {
    /// Rows that are not scored: a detector may learn from them.
    pub fn probation(&self) -> usize {
        ((0.15 * self.values.len() as f64) as usize).min(750)
    }
}

/// Reads every file that `labels.json` names.
pub fn read(folder: &Path) -> Result<Vec<Series>> {
    let labels = std::fs::read_to_string(folder.join("labels.json"))
        .with_context(|| folder.join("labels.json").display().to_string())?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&labels)?;
    let series = |(name, windows): (String, Vec<(String, String)>)| {
        series(folder, &name, &windows).with_context(|| name.clone())
    };
    labels.into_iter().map(series).collect()
}

fn series(folder: &Path, name: &str, windows: &[(String, String)]) -> Result<Series> {
    let csv = std::fs::read(folder.join(name))?;
    let mut rows = InputRows::of(csv.as_slice())?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next_row()? {
        times.push(row.at);
        values.push(row.value.unwrap_or(0.0));
    }
    let window = |(from, to): &(String, String)| {
        let (from, to) = (time(from)?, time(to)?);
        let first = times.partition_point(|at| *at < from);
        let end = times.partition_point(|at| *at <= to);
        ensure!(first < end, "a window without rows");
        Ok((first, end - 1))
    };
    let windows = windows.iter().map(window).collect::<Result<_>>()?;
    Ok(Series {
        name: name.to_owned(),
        csv,
        times,
        values,
        windows,
    })
}

fn time(text: &str) -> Result<Timestamp> {
    let since = humantime::parse_rfc3339_weak(text)?.duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_millis(since.as_millis() as u64))
}
