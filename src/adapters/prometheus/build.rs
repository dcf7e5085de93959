//! The metric about this program.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// `build_info`: an info in OpenMetrics, which appends `_info` itself.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    encoder
        .encode_descriptor(
            "build",
            "Version and revision of this build.",
            None,
            MetricType::Info,
        )?
        .encode_info(&[
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", env!("STREAMGAUGE_REVISION")),
        ])
}
