//! The configuration in force, and what to write to use it.

use serde::Serialize;
use serde_yaml::Value;

use crate::config::types::Config;

use super::scaled_object::scaled_object;

/// What is in force, and what to write to use it.
#[derive(Serialize)]
pub(super) struct ConfigShape {
    config: Value,
    /// The same as text.
    yaml: String,
    /// Of every group of the config, a ScaledObject to start from.
    scaled_objects: Vec<ScaledObjectShape>,
}

#[derive(Serialize)]
struct ScaledObjectShape {
    group: String,
    yaml: String,
}

impl ConfigShape {
    pub(super) fn of(config: &Config) -> Self {
        let shape = config.to_yaml();
        let scaled_objects = config.groups.iter().map(|group| ScaledObjectShape {
            group: group.name.clone(),
            yaml: scaled_object(group),
        });
        Self {
            yaml: serde_yaml::to_string(&shape).unwrap_or_default(),
            scaled_objects: scaled_objects.collect(),
            config: shape,
        }
    }
}
