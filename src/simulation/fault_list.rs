//! Faults as users write them: a YAML list, read with errors that name the place.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::faults::{Fault, FaultKind};
use super::trace::Trace;

/// A fault without an end of its own is shown for so long.
const MOMENT: Duration = Duration::from_secs(60);

const KINDS: &str = "downstream, slow_replica, crash, stuck, evict, rolling_deploy or slow_start";

/// A list of faults, each for one trace or for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultList {
    entries: Vec<FaultEntry>,
}

#[derive(Clone, Debug, PartialEq)]
struct FaultEntry {
    place: String,
    trace: Option<String>,
    /// The column, where the kind names one.
    partition: Option<String>,
    from: Duration,
    to: Duration,
    kind: FaultKind,
}

/// What is wrong with a list, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct FaultError {
    /// As in `[2].from`.
    pub place: String,
    /// What, and what to do.
    pub text: String,
}

fn error(place: impl Into<String>, text: impl Into<String>) -> FaultError {
    FaultError {
        place: place.into(),
        text: text.into(),
    }
}

impl FaultList {
    /// Reads a list. Times are since the start of the trace: `90s`, `16h20m`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let value: Value =
            serde_yaml::from_str(text).map_err(|fault| error("YAML", fault.to_string()))?;
        let Value::Sequence(items) = value else {
            return Err(error("", "must be a list: items that start with `- `"));
        };
        let entries = items.into_iter().enumerate();
        let entries = entries.map(|(n, item)| read_entry(format!("[{n}]"), item));
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// What goes wrong during a trace.
    ///
    /// # Errors
    /// A fault names a partition that the trace has not.
    pub fn of(&self, trace: &Trace) -> Result<Vec<Fault>, FaultError> {
        let concerned = self.entries.iter().filter(|entry| entry.concerns(trace));
        concerned.map(|entry| entry.on(trace)).collect()
    }

    /// Every fault concerns one of these traces, and begins before its end.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, traces: &[Trace]) -> Result<(), FaultError> {
        for entry in &self.entries {
            let mut concerned = traces
                .iter()
                .filter(|trace| entry.concerns(trace))
                .peekable();
            if concerned.peek().is_none() {
                let names: Vec<&str> = traces.iter().map(|trace| trace.name.as_str()).collect();
                let name = entry.trace.as_deref().unwrap_or_default();
                let text = format!(
                    "unknown trace `{name}`; must be one of: {}",
                    names.join(", ")
                );
                return Err(error(format!("{}.trace", entry.place), text));
            }
            let Some(longest) = concerned.map(Trace::duration).max() else {
                continue;
            };
            if entry.from >= longest {
                let length = humantime::format_duration(longest);
                let text = format!("is after the end of the trace, which is {length} long");
                return Err(error(format!("{}.from", entry.place), text));
            }
        }
        Ok(())
    }
}

impl FaultEntry {
    fn concerns(&self, trace: &Trace) -> bool {
        self.trace.as_ref().is_none_or(|name| *name == trace.name)
    }

    fn on(&self, trace: &Trace) -> Result<Fault, FaultError> {
        let mut kind = self.kind.clone();
        if let (FaultKind::Stuck { partition }, Some(name)) = (&mut kind, &self.partition) {
            let known = trace.partitions();
            *partition = known
                .iter()
                .position(|id| id.as_str() == name)
                .ok_or_else(|| {
                    let text = format!("trace `{}` has no column `{name}`", trace.name);
                    error(format!("{}.partition", self.place), text)
                })?;
        }
        Ok(Fault::in_steps(trace.step(), self.from, self.to, kind))
    }
}

/// The fields of one entry, taken one after the other.
struct FaultFields {
    place: String,
    mapping: Mapping,
}

impl FaultFields {
    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, FaultError> {
        let Some(value) = self.mapping.remove(key) else {
            return Ok(None);
        };
        read(&value).map(Some).ok_or_else(|| {
            error(
                format!("{}.{key}", self.place),
                format!("must be {expected}"),
            )
        })
    }

    fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, FaultError> {
        let missing = || format!("is missing: set it to {expected}");
        let place = format!("{}.{key}", self.place);
        self.take(key, expected, read)?
            .ok_or_else(|| error(place, missing()))
    }

    fn time(&mut self, key: &str) -> Result<Option<Duration>, FaultError> {
        self.take(key, "a time after the start, such as 90s or 16h20m", |v| {
            humantime::parse_duration(v.as_str()?).ok()
        })
    }

    fn positive(&mut self, key: &str, what: &str) -> Result<f64, FaultError> {
        let expected = format!("{what}, a number above 0");
        self.required(key, &expected, |v| {
            v.as_f64().filter(|n| n.is_finite() && *n > 0.0)
        })
    }

    fn finish(self, kind: &str) -> Result<(), FaultError> {
        match self.mapping.keys().next() {
            None => Ok(()),
            Some(key) => {
                let key = key.as_str().unwrap_or("?");
                let place = format!("{}.{key}", self.place);
                Err(error(
                    place,
                    format!("is not a field of `{kind}`: remove it"),
                ))
            }
        }
    }
}

fn read_entry(place: String, item: Value) -> Result<FaultEntry, FaultError> {
    let Value::Mapping(mapping) = item else {
        return Err(error(
            place,
            "must be a mapping with kind, from, to and the kind's own fields",
        ));
    };
    let mut fields = FaultFields { place, mapping };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let kind = fields.required("kind", KINDS, text)?;
    let trace = fields.take(
        "trace",
        "the name of a trace: its file's, without .csv.gz",
        text,
    )?;
    let from = fields.time("from")?.ok_or_else(|| {
        error(
            format!("{}.from", fields.place),
            "is missing: set it to the start of the fault",
        )
    })?;
    let to = fields.time("to")?;
    let (kind_read, partition) = read_kind(&kind, &mut fields)?;
    let momentary = matches!(kind_read, FaultKind::Crash | FaultKind::Evict { .. });
    let to = to.or_else(|| momentary.then_some(from + MOMENT));
    let place = fields.place.clone();
    let to = to.ok_or_else(|| {
        error(
            format!("{place}.to"),
            "is missing: set it to the end of the fault",
        )
    })?;
    if to <= from {
        return Err(error(format!("{place}.to"), "must be later than from"));
    }
    fields.finish(&kind)?;
    Ok(FaultEntry {
        place,
        trace,
        partition,
        from,
        to,
        kind: kind_read,
    })
}

/// The kind with its own fields, and the column that it names.
fn read_kind(
    kind: &str,
    fields: &mut FaultFields,
) -> Result<(FaultKind, Option<String>), FaultError> {
    let mut partition = None;
    let read = match kind {
        "downstream" => FaultKind::Downstream {
            per_second: fields.positive("per_second", "messages per second of all replicas")?,
        },
        "slow_replica" => FaultKind::SlowReplica {
            ratio: fields.required(
                "ratio",
                "the share of its capacity that is left, above 0 and below 1",
                |v| v.as_f64().filter(|n| *n > 0.0 && *n < 1.0),
            )?,
        },
        "slow_start" => FaultKind::SlowStart {
            ratio: fields.positive("ratio", "the factor by which start-up slows down")?,
        },
        "crash" => FaultKind::Crash,
        "evict" => FaultKind::Evict {
            replicas: fields.required(
                "replicas",
                "the number of evicted replicas, a whole number of at least 1",
                |v| {
                    v.as_u64()
                        .and_then(|n| u32::try_from(n).ok())
                        .filter(|n| *n > 0)
                },
            )?,
        },
        "rolling_deploy" => FaultKind::RollingDeploy {
            every: fields
                .time("every")?
                .filter(|every| !every.is_zero())
                .ok_or_else(|| {
                    let text = "is missing: set it to the time between two replicas, such as 60s";
                    error(format!("{}.every", fields.place), text)
                })?,
        },
        "stuck" => {
            let column = fields.required("partition", "a column of the trace", |v| {
                let number = v.as_u64().map(|n| n.to_string());
                v.as_str().map(str::to_owned).or(number)
            })?;
            partition = Some(column);
            FaultKind::Stuck { partition: 0 }
        }
        _ => {
            let text = format!("unknown kind `{kind}`; must be one of: {KINDS}");
            return Err(error(format!("{}.kind", fields.place), text));
        }
    };
    Ok((read, partition))
}

#[cfg(test)]
mod tests;
