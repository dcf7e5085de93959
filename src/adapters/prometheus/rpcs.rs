//! Metrics of KEDA's calls.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::grpc::stats::{Method, RpcStats};

use super::family::{About, Label, counter, histogram};

const DURATION: About = About(
    "rpc_duration_seconds",
    "Duration of KEDA's RPCs, in seconds; for streams, until the stream is open.",
);
const REQUESTS: About = About("rpc_requests", "RPCs from KEDA, by gRPC status code.");
const AGE: About = About(
    "rpc_decision_age_seconds",
    "Age of the observation behind each IsActive or GetMetrics answer, in seconds.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, rpcs: &RpcStats) -> fmt::Result {
    let durations =
        Method::ALL.map(|method| ([("method", method.as_str())], rpcs.durations(method)));
    histogram(encoder, DURATION, durations.into_iter())?;
    let answers = rpcs.answers();
    let answers = answers.iter().map(|((method, code), count)| {
        (
            [("method", method.as_str()), ("code", *code)],
            (*count).into(),
        )
    });
    counter(encoder, REQUESTS, answers)?;
    let none: [Label<'_>; 0] = [];
    histogram(encoder, AGE, [(none, rpcs.ages())].into_iter())
}
