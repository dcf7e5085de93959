//! Until when the certificate that is served is good.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, Label, Value, gauge};

const NOT_AFTER: About = About(
    "server_certificate_not_after_timestamp_seconds",
    "Time at which the certificate of server.tls ends, in seconds since the Unix epoch; absent without TLS.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, not_after: Option<i64>) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    let ends = not_after.map(|at| (none, Value::Real(at as f64)));
    gauge(encoder, NOT_AFTER, ends.into_iter())
}
