//! The metric about what is not exported.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, counter};

const DROPPED: About = About(
    "series_dropped",
    "Series that were left out of scrapes, counted at every scrape, by reason: max_series, those of partitions of the largest groups.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, left_out: u64) -> fmt::Result {
    let labels = [("reason", "max_series")];
    counter(encoder, DROPPED, [(labels, left_out.into())].into_iter())
}
