//! Metrics of what is normal for a group: expected value, bounds, score and flag per signal.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::GroupView;
use crate::model::normal::Normal;
use crate::model::signal::Signal;

use super::family::{About, Label, Value, counter, gauge, group_labels};

type Read = fn(&Normal) -> Option<Value>;

const GAUGES: [(About, Read); 7] = [
    (
        About(
            "signal_value",
            "The signal as its baseline saw it last, in its own unit; absent while it is not known.",
        ),
        |n| n.value.map(Value::from),
    ),
    (
        About("baseline_expected", "What is normal for the signal now."),
        |n| n.reading.expected.map(Value::from),
    ),
    (
        About(
            "baseline_lower",
            "About 98 of 100 samples lie between baseline_lower and baseline_upper.",
        ),
        |n| n.reading.lower.map(Value::from),
    ),
    (
        About(
            "baseline_upper",
            "About 98 of 100 samples lie between baseline_lower and baseline_upper.",
        ),
        |n| n.reading.upper.map(Value::from),
    ),
    (
        About(
            "baseline_learning",
            "Whether not enough was seen yet to flag anything: 1, else 0.",
        ),
        |n| Some(n.reading.learning.into()),
    ),
    (
        About(
            "anomaly_score",
            "How much the last sample is news, 0 to 1; from 0.5 on the flag rises.",
        ),
        |n| Some(n.reading.score.into()),
    ),
    (
        About(
            "anomaly",
            "Whether the signal is unusual: 1 from the rise of the flag until it was normal for five samples, else 0.",
        ),
        |n| Some(n.reading.anomaly.into()),
    ),
];

const TOTAL: About = About(
    "anomalies",
    "How often the flag of the signal rose since the service watches.",
);

type Labels<'a> = [Label<'a>; 5];

/// Everything about every group's baselines.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    let known = groups.iter().filter(|group| group.facts().is_some());
    let rows: Vec<(Labels<'_>, Normal)> = known.flat_map(signals).collect();
    for (about, read) in GAUGES {
        let samples = rows
            .iter()
            .filter_map(|(labels, normal)| Some((*labels, read(normal)?)));
        gauge(encoder, about, samples)?;
    }
    // Counters stand however old the last observation is.
    let all = groups.iter().flat_map(signals);
    let totals = all.map(|(labels, normal)| (labels, normal.anomalies_total.into()));
    counter(encoder, TOTAL, totals)
}

fn signals(group: &GroupView) -> Vec<(Labels<'_>, Normal)> {
    let [name, source, stream, consumer_group] = group_labels(group);
    let row = |(signal, normal): (&Signal, &Normal)| {
        let signal = ("signal", signal.as_str());
        ([name, source, stream, consumer_group, signal], *normal)
    };
    group.snapshot().facts.normal.iter().map(row).collect()
}
