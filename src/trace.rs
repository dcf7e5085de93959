//! What joins spans with metrics and with each other. Spans themselves are made by the `tracing` crate where something happens,
//! and go nowhere unless an exporter is configured (`telemetry`).

use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, TraceContextExt};
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

/// One of the values that a histogram counted, and its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The value.
    pub seconds: f64,
    /// When it was counted.
    pub at: SystemTime,
}

impl Exemplar {
    /// A value that was measured within the present span; `None` where that is not sent.
    pub fn of(seconds: f64) -> Option<Self> {
        let Origin(context) = Origin::current()?;
        Some(Self {
            trace_id: context.trace_id().to_string(),
            seconds,
            at: SystemTime::now(),
        })
    }
}
