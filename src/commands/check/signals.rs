//! Asking every signal of every group once.

use crate::clock::Clock;
use crate::config::signals::SignalSource;
use crate::config::types::Config;
use crate::model::sample::Sample;
use crate::model::signal::{ErrorSource, Signal, SignalReading};
use crate::signals::Prometheus;

use super::connect::GroupReport;

/// One signal of one group, and what it said.
pub(super) struct SignalReport {
    group: String,
    signal: Signal,
    from: &'static str,
    /// Its value, or why there is none.
    said: Result<String, String>,
}

impl SignalReport {
    /// Whether it has no value.
    pub const fn failed(&self) -> bool {
        self.said.is_err()
    }

    fn row(&self) -> Vec<String> {
        let (value, state) = match &self.said {
            Ok(value) => (value.as_str(), "ok"),
            Err(problem) => ("?", problem.as_str()),
        };
        let cells = [&self.group, self.signal.as_str(), self.from, value, state];
        cells.map(str::to_owned).to_vec()
    }
}

/// The header and one row per signal.
pub(super) fn rows(reports: &[SignalReport]) -> Vec<Vec<String>> {
    let header = ["GROUP", "SIGNAL", "FROM", "VALUE", "STATE"].map(str::to_owned);
    std::iter::once(header.to_vec())
        .chain(reports.iter().map(SignalReport::row))
        .collect()
}

/// Asks Prometheus, and looks at what the polls of the groups counted.
pub(super) async fn read(config: &Config, groups: &[GroupReport]) -> Vec<SignalReport> {
    let prometheus = Prometheus::new(config.prometheus.clone(), Clock::start());
    let mut reports = Vec::new();
    for group in &config.groups {
        for (signal, source) in &group.signals {
            let (from, said) = match source {
                SignalSource::PromQl(expression) => {
                    ("prometheus", of_reading(prometheus.read(expression).await))
                }
                SignalSource::Counted(of) => {
                    let report = groups.iter().find(|r| r.subject.name == group.name);
                    let sample = report.and_then(|report| report.result.as_ref().ok());
                    (counted_by(of), of_sample(sample))
                }
            };
            reports.push(SignalReport {
                group: group.name.clone(),
                signal: *signal,
                from,
                said,
            });
        }
    }
    reports
}

const fn counted_by(of: &ErrorSource) -> &'static str {
    match of {
        ErrorSource::Redeliveries => "redeliveries",
        ErrorSource::DeadLetter(_) => "dead letters",
    }
}

fn of_reading(reading: SignalReading) -> Result<String, String> {
    let problem = || reading.problem.unwrap_or_else(|| "no value".to_owned());
    let value = reading.value.ok_or_else(problem)?;
    Ok(value.to_string())
}

/// One poll gives a count, not yet a rate.
fn of_sample(sample: Option<&Sample>) -> Result<String, String> {
    let count = sample.and_then(|sample| sample.errors.as_ref());
    let count = count.ok_or_else(|| "reading the group failed".to_owned())?;
    match (count.total, &count.problem) {
        (Some(total), _) => Ok(format!("{total} so far")),
        (None, Some(problem)) => Err(problem.clone()),
        (None, None) => Err("needs more than one poll".to_owned()),
    }
}
