//! Metrics per source.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::sources_view::{CIRCUIT_STATES, RequestCount, SourceView};
use crate::clock::on_the_wall;
use crate::model::memory::ServerMemory;
use crate::model::sample::FailureKind;

use super::family::{About, Label, Value, counter, gauge, histogram};

const UP: About = About(
    "source_up",
    "Whether the last poll of the source returned data (1) or not (0), apart from polls that failed while other groups were answered.",
);
const LAST_SUCCESS: About = About(
    "source_last_success_timestamp_seconds",
    "Time of the last poll of the source that returned data, in seconds since the Unix epoch.",
);
const CIRCUIT: About = About(
    "circuit_state",
    "State of the source's circuit breaker (1 = current state).",
);
const DURATION: About = About(
    "poll_duration_seconds",
    "Duration of polls of the source, in seconds.",
);
const ERRORS: About = About("poll_errors", "Failed polls of the source, by reason.");

const REQUESTS: About = About(
    "source_requests",
    "Requests to rate-limited or billed APIs: management (Event Hubs management node) or blob (checkpoint store).",
);
const REQUESTS_PER_HOUR: About = About(
    "source_requests_per_hour",
    "Requests counted by source_requests_total in the last hour; extrapolated to an hour after a recent start.",
);

const MEMORY_USED: About = About(
    "source_memory_used_bytes",
    "Memory in use on the Redis server, in bytes; absent where INFO is not permitted.",
);
const MEMORY_LIMIT: About = About(
    "source_memory_limit_bytes",
    "Memory that the Redis server may use (maxmemory), in bytes, with what it does then (policy): noeviction, allkeys, volatile, unknown; absent without a limit.",
);
const MEMORY_FULL: About = About(
    "source_memory_full_seconds",
    "Time until the Redis server's memory is full at the growth of the last 90 s, in seconds; absent while it is not growing or has no limit.",
);

const RETENTION: About = About(
    "source_retention_seconds",
    "Retention of the source, in seconds; absent unless retention is configured.",
);

/// How long sources keep messages.
pub(super) fn write_retentions(
    encoder: &mut DescriptorEncoder<'_>,
    retentions: &[(String, Duration)],
) -> fmt::Result {
    let samples = retentions.iter().map(|(name, retention)| {
        let label: [Label<'_>; 1] = [("source", name)];
        (label, Value::from(retention.as_secs_f64()))
    });
    gauge(encoder, RETENTION, samples)
}

/// Everything about every source.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, sources: &[SourceView]) -> fmt::Result {
    let up = |s| Some((label(s), Value::from(s.up?)));
    gauge(encoder, UP, sources.iter().filter_map(up))?;
    let last_success = |s| {
        Some((
            label(s),
            Value::from(on_the_wall(s.last_success?).as_seconds()),
        ))
    };
    gauge(
        encoder,
        LAST_SUCCESS,
        sources.iter().filter_map(last_success),
    )?;
    let circuit = sources.iter().flat_map(|source| {
        CIRCUIT_STATES.into_iter().map(move |state| {
            let labels = (label(source), [("state", state)]);
            (labels, (source.circuit == state).into())
        })
    });
    gauge(encoder, CIRCUIT, circuit)?;
    let durations = sources.iter().map(|s| (label(s), &s.poll_durations));
    histogram(encoder, DURATION, durations)?;
    let errors = sources.iter().flat_map(|source| {
        FailureKind::ALL.into_iter().map(move |kind| {
            let count = source.errors.get(&kind).copied().unwrap_or_default();
            ((label(source), [("reason", kind.as_str())]), count.into())
        })
    });
    counter(encoder, ERRORS, errors)?;
    memory(encoder, sources)?;
    requests(encoder, sources)
}

fn memory(encoder: &mut DescriptorEncoder<'_>, sources: &[SourceView]) -> fmt::Result {
    let servers = || {
        sources.iter().flat_map(|source| {
            let memory = source.memory.iter();
            memory.map(move |memory| (server(source, memory), memory))
        })
    };
    let used = servers().map(|(labels, memory)| (labels, memory.used_bytes.into()));
    gauge(encoder, MEMORY_USED, used)?;
    let limits = servers().filter_map(|(labels, memory)| {
        let labels = (labels, [("policy", memory.policy.as_str())]);
        Some((labels, memory.limit_bytes?.into()))
    });
    gauge(encoder, MEMORY_LIMIT, limits)?;
    let full =
        |(labels, memory): (_, &ServerMemory)| Some((labels, memory.full_in_seconds?.into()));
    gauge(encoder, MEMORY_FULL, servers().filter_map(full))
}

fn server<'a>(source: &'a SourceView, memory: &'a ServerMemory) -> [Label<'a>; 2] {
    [("source", &source.name), ("server", &memory.server)]
}

fn requests(encoder: &mut DescriptorEncoder<'_>, sources: &[SourceView]) -> fmt::Result {
    let total =
        |(source, api, count): (_, _, &RequestCount)| (labels(source, api), count.total.into());
    counter(encoder, REQUESTS, each_api(sources).map(total))?;
    let per_hour = |(source, api, count): (_, _, &RequestCount)| {
        Some((labels(source, api), count.per_hour?.into()))
    };
    gauge(
        encoder,
        REQUESTS_PER_HOUR,
        each_api(sources).filter_map(per_hour),
    )
}

fn each_api(
    sources: &[SourceView],
) -> impl Iterator<Item = (&SourceView, &'static str, &RequestCount)> {
    sources.iter().flat_map(|source| {
        let apis = source.requests.iter();
        apis.map(move |(api, count)| (source, *api, count))
    })
}

fn labels<'a>(source: &'a SourceView, api: &'a str) -> ([Label<'a>; 1], [Label<'a>; 1]) {
    (label(source), [("api", api)])
}

fn label(source: &SourceView) -> [Label<'_>; 1] {
    [("source", &source.name)]
}
