//! Logging: for people on a terminal, JSON otherwise; on stderr, filtered by `STREAMGAUGE_LOG`. Spans: to where OpenTelemetry's
//! own variables say, and nowhere without them.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The variable that holds the filter, such as `debug` or `streamgauge=debug,info`.
pub const FILTER_VARIABLE: &str = "STREAMGAUGE_LOG";

/// Unless the variable says otherwise. object_store tells every retry, and the verifier every certificate that is not trusted; what
/// comes of it is in the source's own outcome. A collector that is away is reported once per batch.
const DEFAULT_FILTER: &str =
    "info,object_store=warn,opentelemetry-otlp=error,rustls_platform_verifier=off";

/// The Kubernetes client warns with whole answers that it does not understand, and those may hold what is in a pod's
/// environment. What fails there is said by us.
const SILENT: &str = "kube_client=off";

/// Each says where spans go; without both, nothing is made of them.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

/// How long the end of the program waits for a collector.
const PATIENCE: Duration = Duration::from_secs(2);

/// What runs beside the program; dropped at its end, it sends what is left.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Starts logging, and the export of spans if configured. Called once, first thing; a second call changes nothing.
pub fn start() -> Telemetry {
    let (filter, fault) = match std::env::var(FILTER_VARIABLE) {
        Ok(text) => match EnvFilter::try_new(format!("{text},{SILENT}")) {
            Ok(filter) => (filter, None),
            Err(error) => (default_filter(), Some(error)),
        },
        Err(_) => (default_filter(), None),
    };
    let provider = spans();
    let sent = provider.as_ref().ok().and_then(Option::as_ref);
    let sent = sent.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("streamgauge"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(is_our_span))
    });
    let logged = Registry::default().with(log(filter));
    // The only error is that logging was started before. A layer that is not there would still have every span made.
    let _started = match sent {
        Some(sent) => logged.with(sent).try_init(),
        None => logged.try_init(),
    };
    if let Some(error) = fault {
        tracing::warn!(%error, "{FILTER_VARIABLE} is not a valid filter; using {DEFAULT_FILTER}. An example: streamgauge=debug,info");
    }
    Telemetry(provider.unwrap_or_else(|error| {
        tracing::warn!("traces are off: {error:#}");
        None
    }))
}

/// Lines; spans are not for them.
fn log(filter: EnvFilter) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = filter.and(filter_fn(|metadata| metadata.is_event()));
    if std::io::stderr().is_terminal() {
        lines.with_target(false).with_filter(filter).boxed()
    } else {
        lines.json().flatten_event(true).with_filter(filter).boxed()
    }
}

/// Libraries make spans, too, those that send ours among them.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("streamgauge")
}

/// Sends spans as OpenTelemetry's variables say: endpoint, headers, protocol, sampler, names of service and resource.
fn spans() -> anyhow::Result<Option<SdkTracerProvider>> {
    let set = |names: [&str; 2]| names.iter().find_map(|n| std::env::var(n).ok());
    if set(ENDPOINTS).is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    let exporter = match set(PROTOCOLS).as_deref() {
        Some("grpc") => SpanExporter::builder().with_tonic().build(),
        None | Some("http/protobuf") => SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build(),
        Some(other) => anyhow::bail!(
            "{}: {other} is not supported: use http/protobuf or grpc",
            PROTOCOLS[1]
        ),
    };
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("streamgauge");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.context(ENDPOINTS[1])?)
        .with_resource(resource.build());
    Ok(Some(provider.build()))
}

fn default_filter() -> EnvFilter {
    EnvFilter::new(format!("{DEFAULT_FILTER},{SILENT}"))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn by_default_retries_of_the_blob_client_are_quiet_and_its_warnings_are_not() {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(default_filter())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            assert!(tracing::enabled!(target: "streamgauge::collector", Level::INFO));
            assert!(tracing::enabled!(target: "object_store::client::retry", Level::WARN));
            assert!(!tracing::enabled!(target: "object_store::client::retry", Level::INFO));
        });
    }
}
