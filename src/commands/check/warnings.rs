//! What is valid but may surprise.

use crate::config::types::{Config, SourceConfig, SourceKind};
use crate::policy::spec::Mode;

/// One line each, with what to do.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for source in &config.sources {
        found.extend(of_source(config, source));
    }
    let to_zero = config
        .groups
        .iter()
        .filter(|group| group.policy.resolve().min_replicas == 0);
    let names: Vec<&str> = to_zero.map(|group| group.name.as_str()).collect();
    if !names.is_empty() {
        found.push(format!(
            "minimum 0 ({}): while a backlog cannot be read, KEDA gets an error and no value; a ScaledObject with \
             fallback.replicas: 0 then scales to zero after its cooldown. Set fallback.replicas to what must keep running",
            names.join(", ")
        ));
    }
    for group in &config.groups {
        let spec = group.policy.resolve();
        if spec.mode == Mode::Replicas && spec.capacity_per_replica.is_none() {
            found.push(format!(
                "group {}: capacity_per_replica is not set: it is learned, and until then the answer follows the delay",
                group.name
            ));
        }
    }
    found
}

fn of_source(config: &Config, source: &SourceConfig) -> Vec<String> {
    let mut found = Vec::new();
    let name = &source.name;
    let used = config.groups.iter().any(|group| group.key.source == *name);
    match (source.allow.is_empty(), used) {
        (true, true) => found.push(format!(
            "source {name}: allow is empty: ScaledObjects can name its groups, inline metadata is refused"
        )),
        (true, false) => found.push(format!(
            "source {name}: no group uses it and allow is empty: nothing can ever be read from it"
        )),
        (false, _) => {}
    }
    let unreadable = source
        .kind
        .secrets()
        .into_iter()
        .filter_map(|(key, secret)| {
            let error = secret.read().err()?;
            Some(format!("source {name}: {key}: {error}"))
        });
    found.extend(unreadable);
    if let SourceKind::Redis(redis) = &source.kind
        && redis.username.is_some()
        && redis.password.is_none()
    {
        found.push(format!(
            "source {name}: username without password: only a `nopass` user can log in so"
        ));
    }
    found
}
