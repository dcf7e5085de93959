//! A signal beside what is normal, as JSON. Values are in the signal's own unit.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::facts::GroupFacts;
use crate::model::normal::Normal;
use crate::model::signal::Signal;

use super::values::{Significant, Thousandths};

/// One signal of a group.
#[derive(Serialize)]
pub(super) struct SignalShape {
    value: Option<Significant>,
    expected: Option<Significant>,
    lower: Option<Significant>,
    upper: Option<Significant>,
    /// 0 to 1.
    score: Thousandths,
    anomaly: bool,
    learning: bool,
    anomalies_total: u64,
    /// Why there is no value, where it comes from elsewhere than the stream.
    problem: Option<String>,
}

impl SignalShape {
    /// Of every signal that ever had a value.
    pub(super) fn all(facts: &GroupFacts) -> BTreeMap<Signal, Self> {
        let shape = |(signal, normal): (&Signal, &Normal)| {
            let told = facts.signals.get(signal);
            let shape = Self::of(normal, told.and_then(|told| told.problem.clone()));
            (*signal, shape)
        };
        facts.normal.iter().map(shape).collect()
    }

    fn of(normal: &Normal, problem: Option<String>) -> Self {
        let reading = &normal.reading;
        Self {
            value: normal.value.map(Significant),
            expected: reading.expected.map(Significant),
            lower: reading.lower.map(Significant),
            upper: reading.upper.map(Significant),
            score: Thousandths(reading.score),
            anomaly: reading.anomaly,
            learning: reading.learning,
            anomalies_total: normal.anomalies_total,
            problem,
        }
    }
}
