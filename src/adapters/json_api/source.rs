//! A source as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adapters::sources_view::SourceView;
use crate::model::memory::ServerMemory;

use super::values::{Thousandths, rfc3339};

#[derive(Serialize)]
pub(super) struct SourceShape {
    name: String,
    up: Option<bool>,
    last_success_at: Option<String>,
    circuit: &'static str,
    polls: u64,
    /// Failed polls by class; classes that never happened are left out.
    errors: BTreeMap<&'static str, u64>,
    /// Requests where they are limited or billed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<&'static str, RequestsShape>,
    /// Of each server that tells it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memory: Vec<MemoryShape>,
}

#[derive(Serialize)]
struct MemoryShape {
    server: String,
    used_bytes: u64,
    limit_bytes: Option<u64>,
    /// `noeviction`, `allkeys`, `volatile`, `unknown`.
    policy: &'static str,
    /// At the growth of the last minutes.
    full_in_seconds: Option<Thousandths>,
}

impl MemoryShape {
    fn of(memory: &ServerMemory) -> Self {
        Self {
            server: memory.server.clone(),
            used_bytes: memory.used_bytes,
            limit_bytes: memory.limit_bytes,
            policy: memory.policy.as_str(),
            full_in_seconds: memory.full_in_seconds.map(Thousandths),
        }
    }
}

#[derive(Serialize)]
struct RequestsShape {
    total: u64,
    per_hour: Option<f64>,
}

impl SourceShape {
    pub(super) fn of(source: &SourceView) -> Self {
        let errors = source.errors.iter();
        Self {
            name: source.name.clone(),
            up: source.up,
            last_success_at: source.last_success.map(rfc3339),
            circuit: source.circuit,
            polls: source.polls,
            errors: errors.map(|(kind, n)| (kind.as_str(), *n)).collect(),
            memory: source.memory.iter().map(MemoryShape::of).collect(),
            requests: source
                .requests
                .iter()
                .map(|(api, count)| {
                    let shape = RequestsShape {
                        total: count.total,
                        per_hour: count.per_hour.map(f64::round),
                    };
                    (*api, shape)
                })
                .collect(),
        }
    }
}
