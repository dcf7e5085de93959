//! From KEDA's own triggers for Redis streams to streamgauge's: the sources for the config, and the objects to apply.
//!
//! What a trigger asks for is read by the same code that reads the metadata KEDA passes on, so what comes out is what the
//! service accepts.

mod edit;
mod emit;
mod manifest;
mod origin;
mod source;
mod trigger;

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use manifest::{Manifest, field};
use origin::ValueOrigins;
use source::Sources;
use trigger::RedisTrigger;

pub use manifest::{ManifestError, read};

/// What the new objects are written with.
#[derive(Clone, Debug)]
pub struct MigrationRules {
    /// The address at which KEDA reaches streamgauge.
    pub scaler_address: String,
    /// The namespace of objects that name none.
    pub namespace: String,
}

/// What is to be used instead.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The sources, as YAML for streamgauge's config; `None` if there is none.
    pub config: Option<String>,
    /// Each ScaledObject and ScaledJob as it is to be applied.
    pub objects: Vec<String>,
    /// What to do by hand for the sources to work: secrets to hand over, files to mount.
    pub steps: Vec<String>,
    /// What could not be moved, with the place and the cure. These triggers are as they were.
    pub problems: Vec<String>,
}

/// Moves every Redis trigger of the manifests; other manifests tell where credentials and variables come from.
pub fn migrate(manifests: &[Manifest], rules: &MigrationRules) -> Migration {
    let mut sources = Sources::default();
    let mut migration = Migration {
        config: None,
        objects: Vec::new(),
        steps: Vec::new(),
        problems: Vec::new(),
    };
    for manifest in manifests {
        if matches!(manifest.kind(), "ScaledObject" | "ScaledJob") {
            let object = move_object(manifest, manifests, rules, &mut sources, &mut migration);
            migration.objects.push(object);
        }
    }
    let mut seen = BTreeSet::new();
    migration.steps = sources.steps();
    migration.steps.retain(|step| seen.insert(step.clone()));
    migration.config = sources.yaml();
    migration
}

/// The text of an object whose triggers are streamgauge's.
fn move_object(
    manifest: &Manifest,
    manifests: &[Manifest],
    rules: &MigrationRules,
    sources: &mut Sources,
    migration: &mut Migration,
) -> String {
    let namespace = manifest.namespace().unwrap_or(&rules.namespace);
    let mut moved = manifest.value.clone();
    let triggers = moved
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("triggers"))
        .and_then(Value::as_sequence_mut);
    let mut any = false;
    for (n, value) in triggers.into_iter().flatten().enumerate() {
        let name = manifest.name().unwrap_or("?");
        let kind = field(value, "type").and_then(Value::as_str).unwrap_or("");
        let place = format!("{namespace}/{name}, trigger {} ({kind})", n + 1);
        if kind == "azure-eventhub" {
            let text = "is left as it is: docs/migrating-from-keda.md says how to move a trigger for Event Hubs by hand";
            migration.problems.push(format!("{place}: {text}"));
        }
        let Some(kind) = RedisTrigger::of(kind) else {
            continue;
        };
        let origins = ValueOrigins::new(manifest, value, manifests, namespace);
        match trigger::read(kind, &origins, namespace) {
            Ok(asked) => {
                let source = sources.add(asked.source, asked.allow);
                let kind = match manifest.kind() {
                    "ScaledJob" => "external",
                    _ => "external-push",
                };
                let metadata = [
                    ("scalerAddress".to_owned(), rules.scaler_address.clone()),
                    ("source".to_owned(), source),
                ];
                let metadata = metadata.into_iter().chain(asked.kept);
                replace(value, kind, metadata.collect());
                any = true;
            }
            Err(problems) => {
                let told = problems.iter().map(|text| format!("{place}: {text}"));
                migration.problems.extend(told);
            }
        }
    }
    match any {
        true => edit::text_of(manifest, &moved),
        false => manifest.text.clone(),
    }
}

/// Makes the trigger one of streamgauge's; what else it says (its name, its metric type) stays.
fn replace(trigger: &mut Value, kind: &str, metadata: Vec<(String, String)>) {
    let Some(trigger) = trigger.as_mapping_mut() else {
        return;
    };
    let metadata: Mapping = metadata
        .into_iter()
        .map(|(key, text)| (Value::String(key), Value::String(text)))
        .collect();
    trigger.insert("type".into(), kind.into());
    trigger.insert("metadata".into(), Value::Mapping(metadata));
    // It held the credentials of the server; KEDA would use it for its own connection to streamgauge.
    trigger.remove("authenticationRef");
}

#[cfg(test)]
mod tests;
