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
            "Last value of the signal given to its baseline, in the unit of the signal; absent while unknown.",
        ),
        |n| n.value.map(Value::from),
    ),
    (
        About(
            "baseline_expected",
            "Expected value of the signal now, in the unit of the signal.",
        ),
        |n| n.reading.expected.map(Value::from),
    ),
    (
        About(
            "baseline_lower",
            "Lower bound of the normal range, which holds about 98 % of samples, in the unit of the signal.",
        ),
        |n| n.reading.lower.map(Value::from),
    ),
    (
        About(
            "baseline_upper",
            "Upper bound of the normal range, which holds about 98 % of samples, in the unit of the signal.",
        ),
        |n| n.reading.upper.map(Value::from),
    ),
    (
        About(
            "baseline_learning",
            "Whether the baseline is still learning and flags no anomalies (1 = learning).",
        ),
        |n| Some(n.reading.learning.into()),
    ),
    (
        About(
            "anomaly_score",
            "Anomaly score of the last sample, 0 (as expected) to 1; the anomaly flag is raised at 0.5.",
        ),
        |n| Some(n.reading.score.into()),
    ),
    (
        About(
            "anomaly",
            "Whether the signal is anomalous (1) or not (0); the flag clears after five normal samples.",
        ),
        |n| Some(n.reading.anomaly.into()),
    ),
];

const TOTAL: About = About(
    "anomalies",
    "Anomalies flagged since the baseline started learning.",
);

type SignalLabels<'a> = [Label<'a>; 5];

/// Everything about every group's baselines.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    let known = groups.iter().filter(|group| group.facts().is_some());
    let rows: Vec<(SignalLabels<'_>, Normal)> = known.flat_map(signals).collect();
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

fn signals(group: &GroupView) -> Vec<(SignalLabels<'_>, Normal)> {
    let [name, source, stream, consumer_group] = group_labels(group);
    let row = |(signal, normal): (&Signal, &Normal)| {
        let signal = ("signal", signal.as_str());
        ([name, source, stream, consumer_group, signal], *normal)
    };
    group.snapshot().facts.normal.iter().map(row).collect()
}
