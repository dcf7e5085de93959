//! The metric about what is not exported.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{About, counter};

const DROPPED: About = About(
    "series_dropped",
    "Partition series left out of scrapes because of max_series (largest groups first), summed over all scrapes.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, left_out: u64) -> fmt::Result {
    let labels = [("reason", "max_series")];
    counter(encoder, DROPPED, [(labels, left_out.into())].into_iter())
}
