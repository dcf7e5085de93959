//! Logging: for people on a terminal, JSON otherwise; on stderr, filtered by `STREAMGAUGE_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that holds the filter, such as `debug` or `streamgauge=debug,info`.
pub const FILTER_VARIABLE: &str = "STREAMGAUGE_LOG";

/// Unless the variable says otherwise. object_store tells every retry; what comes of it is in the source's own outcome.
const DEFAULT_FILTER: &str = "info,object_store=warn";

/// The Kubernetes client warns with whole answers that it does not understand, and those may hold what is in a pod's
/// environment. What fails there is said by us.
const SILENT: &str = "kube_client=off";

/// Starts logging. Called once, first thing; a second call changes nothing.
pub fn start() {
    let (filter, fault) = match std::env::var(FILTER_VARIABLE) {
        Ok(text) => match EnvFilter::try_new(format!("{text},{SILENT}")) {
            Ok(filter) => (filter, None),
            Err(error) => (default_filter(), Some(error)),
        },
        Err(_) => (default_filter(), None),
    };
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // The only error is that logging was started before.
    let _started = if terminal {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Some(error) = fault {
        tracing::warn!(%error, "{FILTER_VARIABLE} is no filter: logging with {DEFAULT_FILTER}; write for example streamgauge=debug,info");
    }
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
