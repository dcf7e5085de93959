//! Metrics of the forecast per group.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::GroupView;
use crate::model::forecast::{Expert, ForecastFacts};

use super::family::{About, Label, Value, gauge, group_labels};

type Read = fn(&ForecastFacts) -> f64;

const RATES: [(About, Read); 3] = [
    (
        About(
            "group_forecast_messages_per_second",
            "Forecast arrival rate 75 s from now, when a replica requested now would help, in messages per second.",
        ),
        |f| f.per_second,
    ),
    (
        About(
            "group_forecast_upper_messages_per_second",
            "Upper bound of the forecast arrival rate 75 s from now (90 % of arrivals stay below it), in messages per second.",
        ),
        |f| f.upper_per_second,
    ),
    (
        About(
            "group_forecast_largest_messages_per_second",
            "Highest forecast arrival rate of the next 10 minutes, in messages per second.",
        ),
        |f| f.largest_per_second,
    ),
];

/// Everything about every group's forecast.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    for (about, read) in RATES {
        let rates = forecasts(groups).map(|(group, f)| (group_labels(group), Value::from(read(f))));
        gauge(encoder, about, rates)?;
    }
    let about = About(
        "group_forecast_error_ratio",
        "Mean absolute forecast error of the last hours divided by the mean arrival rate, by expert; chosen is the published forecast.",
    );
    gauge(encoder, about, forecasts(groups).flat_map(errors))?;
    let about = About(
        "group_forecast_expert",
        "Whether this expert makes the published forecast (1) or not (0).",
    );
    gauge(encoder, about, forecasts(groups).flat_map(believed))
}

fn forecasts(groups: &[GroupView]) -> impl Iterator<Item = (&GroupView, &ForecastFacts)> {
    groups
        .iter()
        .filter_map(|group| Some((group, group.facts()?.forecast.as_ref()?)))
}

fn errors<'a>((group, forecast): (&'a GroupView, &ForecastFacts)) -> Vec<([Label<'a>; 5], Value)> {
    let chosen = forecast.error_ratio.map(|ratio| ("chosen", ratio));
    let experts = forecast.expert_error_ratios.iter();
    let experts = experts.map(|(expert, ratio)| (expert.as_str(), *ratio));
    let sample = |(name, ratio): (&'static str, f64)| (labels(group, name), Value::from(ratio));
    chosen.into_iter().chain(experts).map(sample).collect()
}

fn believed<'a>(
    (group, forecast): (&'a GroupView, &ForecastFacts),
) -> [([Label<'a>; 5], Value); 4] {
    Expert::ALL.map(|expert| {
        let believed = Value::from(expert == forecast.expert);
        (labels(group, expert.as_str()), believed)
    })
}

fn labels<'a>(group: &'a GroupView, expert: &'static str) -> [Label<'a>; 5] {
    let [name, source, stream, consumer_group] = group_labels(group);
    [name, source, stream, consumer_group, ("expert", expert)]
}
