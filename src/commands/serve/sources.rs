//! The opened sources by name; replaced one by one when the configuration changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::types::SourceConfig;
use crate::sources::guarded::GuardedSource;
use crate::sources::open;

/// A shared map; clones see the same sources.
#[derive(Clone, Debug, Default)]
pub struct OpenSources(Arc<RwLock<BTreeMap<String, Arc<GuardedSource>>>>);

impl OpenSources {
    /// Opens every configured source; each connects at its first poll.
    pub fn open(configs: &[SourceConfig]) -> Self {
        let sources = Self::default();
        sources.change(&[], configs);
        sources
    }

    /// One source that is already open.
    pub fn of(source: GuardedSource) -> Self {
        let entry = (source.name().to_owned(), Arc::new(source));
        Self(Arc::new(RwLock::new([entry].into())))
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<Arc<GuardedSource>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Every source, by name.
    pub fn all(&self) -> Vec<Arc<GuardedSource>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Opens what is new or another than before, closes what is gone; returns the names of what was replaced. The rules on
    /// who may ask are no part of a connection.
    pub fn change(&self, before: &[SourceConfig], now: &[SourceConfig]) -> BTreeSet<String> {
        let connection = |config: &SourceConfig| SourceConfig {
            allow: Vec::new(),
            ..config.clone()
        };
        let known: Vec<SourceConfig> = before.iter().map(connection).collect();
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|name, _| now.iter().any(|config| config.name == *name));
        let mut replaced = BTreeSet::new();
        for config in now
            .iter()
            .filter(|config| !known.contains(&connection(config)))
        {
            if sources
                .insert(config.name.clone(), Arc::new(open(config)))
                .is_some()
            {
                replaced.insert(config.name.clone());
            }
        }
        replaced
    }
}
