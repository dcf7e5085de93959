//! What joins spans with metrics and with each other. Spans themselves are made by the `tracing` crate where something happens,
//! and go nowhere unless an exporter is configured (`telemetry`).

use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, TraceContextExt};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A span that is sent somewhere, to be linked to later.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin(SpanContext);

impl Origin {
    /// The present span; `None` without one, and where it is not sent.
    pub fn current() -> Option<Self> {
        let context = Span::current().context();
        let context = context.span().span_context().clone();
        (context.is_valid() && context.is_sampled()).then_some(Self(context))
    }

    /// Makes `span` point here.
    pub fn link(&self, span: &Span) {
        span.add_link(self.0.clone());
    }
}

/// The labels of an exemplar.
type TraceId = [(&'static str, String); 1];

/// A histogram of seconds. Each bucket keeps, as its exemplar, the last duration that was measured within a span that is sent.
#[derive(Clone, Debug)]
pub struct Durations(HistogramWithExemplars<TraceId>);

impl Durations {
    /// Upper bounds in seconds, ascending; one more bucket holds what lies above.
    pub fn new(bounds: &[f64]) -> Self {
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let trace =
            Origin::current().map(|Origin(span)| [("trace_id", span.trace_id().to_string())]);
        let at = trace.as_ref().map(|_| SystemTime::now());
        self.0.observe(took.as_secs_f64(), trace, at);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}
