//! Metric families: one name with all its samples together, left out where it has none.

use std::fmt;

use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet,
    EncodeMetric, GaugeValueEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::adapters::view::GroupView;
use crate::model::quantity::Quantity;

/// A label: name and value.
pub(super) type Label<'a> = (&'static str, &'a str);

pub(super) fn group_labels(group: &GroupView) -> [Label<'_>; 4] {
    let definition = group.definition();
    [
        ("group", &definition.name),
        ("source", &definition.key.source),
        ("stream", &definition.key.stream),
        ("consumer_group", &definition.key.consumer_group),
    ]
}

/// A sample's value; whole numbers are written without a fraction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Quantity> for Value {
    fn from(value: Quantity) -> Self {
        Self::Whole(value.value())
    }
}

impl Value {
    /// NaN and infinities poison every sum they meet.
    const fn is_fit(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Real(value) => value.is_finite(),
        }
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeGaugeValue::encode(value, encoder),
            Self::Real(value) => EncodeGaugeValue::encode(value, encoder),
        }
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeCounterValue::encode(value, encoder),
            Self::Real(value) => EncodeCounterValue::encode(value, encoder),
        }
    }
}

/// Name (without prefix; a counter's without `_total`) and help text.
#[derive(Clone, Copy, Debug)]
pub(super) struct About(pub &'static str, pub &'static str);

/// Writes a gauge and its samples.
pub(super) fn gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    about: About,
    samples: impl Iterator<Item = (L, Value)>,
) -> fmt::Result {
    let mut samples = samples.filter(|(_, value)| value.is_fit()).peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(about.0, about.1, None, MetricType::Gauge)?;
    samples.try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
}

/// Writes a histogram and its samples.
pub(super) fn histogram<'a, L: EncodeLabelSet, H: EncodeMetric + 'a>(
    encoder: &mut DescriptorEncoder<'_>,
    about: About,
    samples: impl Iterator<Item = (L, &'a H)>,
) -> fmt::Result {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(about.0, about.1, None, MetricType::Histogram)?;
    samples.try_for_each(|(labels, counted)| counted.encode(family.encode_family(&labels)?))
}

/// Writes a counter and its samples.
pub(super) fn counter<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    about: About,
    samples: impl Iterator<Item = (L, Value)>,
) -> fmt::Result {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(about.0, about.1, None, MetricType::Counter)?;
    samples.try_for_each(|(labels, value)| {
        family
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    })
}
