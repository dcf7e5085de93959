//! Limits of what ScaledObjects may ask for, and how much of them is in use.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::registry::usage::LimitUsage;

use super::family::{About, Value, gauge};

const ALLOWED: About = About(
    "limit_allowed",
    "How much a limit under `limits` in the config allows.",
);
const USED: About = About(
    "limit_used",
    "How much of a limit is in use. Of limits per namespace by namespace; else namespace is empty.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, all: &[LimitUsage]) -> fmt::Result {
    let whole = |n: usize| Value::Whole(n as u64);
    let allowed = all
        .iter()
        .map(|usage| ([("limit", usage.limit)], whole(usage.allowed)));
    gauge(encoder, ALLOWED, allowed)?;
    let used = all.iter().flat_map(|usage| {
        let used = usage.used.iter();
        used.map(|(namespace, used)| {
            let labels = [("limit", usage.limit), ("namespace", namespace.as_str())];
            (labels, whole(*used))
        })
    });
    gauge(encoder, USED, used)
}
