//! The metric of the recording; none where nothing is recorded.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, Label, counter};

const FAILURES: About = About(
    "recording_failures",
    "Rows of recorded arrivals that could not be written.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, failures: u64) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    counter(encoder, FAILURES, [(none, failures.into())].into_iter())
}
