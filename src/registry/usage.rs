//! How much of each limit is in use.

use std::collections::{BTreeMap, HashSet};

use crate::publish::Group;

use super::{ObjectKey, Registry};

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUsage {
    /// Its key under `limits`.
    pub limit: &'static str,
    /// What may be in use, of every namespace where the limit is one of namespaces.
    pub allowed: usize,
    /// What is, by namespace; under the empty name in all.
    pub used: BTreeMap<String, usize>,
}

impl Registry {
    /// Every limit.
    pub fn usage(&self) -> Vec<LimitUsage> {
        let inner = self.read();
        let limits = &inner.config.limits;
        let objects: HashSet<ObjectKey> = inner.targets.values().map(|t| t.object()).collect();
        let patterns: HashSet<(&str, *const Group)> = inner
            .targets
            .values()
            .filter(|target| target.has_pattern() && !target.group.definition().configured)
            .map(|target| {
                (
                    target.key.namespace.as_str(),
                    std::sync::Arc::as_ptr(&target.group),
                )
            })
            .collect();
        let (partitions, partitions_by_namespace) = inner.room.used();
        let in_all = |used| [(String::new(), used)].into();
        let usage = |limit, allowed, used| LimitUsage {
            limit,
            allowed,
            used,
        };
        vec![
            usage(
                "scaled_objects",
                limits.scaled_objects,
                in_all(objects.len()),
            ),
            usage(
                "scaled_objects_per_namespace",
                limits.scaled_objects_per_namespace,
                counted(objects.iter().map(|(namespace, _)| namespace.as_str())),
            ),
            usage("partitions", limits.partitions, in_all(partitions)),
            usage(
                "partitions_per_namespace",
                limits.partitions_per_namespace,
                partitions_by_namespace,
            ),
            usage(
                "patterns_per_namespace",
                limits.patterns_per_namespace,
                counted(patterns.iter().map(|(namespace, _)| *namespace)),
            ),
        ]
    }
}

fn counted<'a>(namespaces: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut used = BTreeMap::new();
    for namespace in namespaces {
        *used.entry(namespace.to_owned()).or_default() += 1;
    }
    used
}
