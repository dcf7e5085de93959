//! Where a trigger's settings come from: its metadata, the variables of the containers it scales, and its authentication.

use serde_yaml::Value;

use super::manifest::{Manifest, at, field, scalar};

/// Where the value of a setting is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueOrigin {
    /// Here.
    Here(String),
    /// In the cluster, told for a reader: "key password of Secret redis-auth in namespace shop".
    Elsewhere(String),
}

/// Everything that may hold a setting of one trigger.
pub(super) struct ValueOrigins<'m> {
    metadata: Vec<(String, String)>,
    /// Its authentication, if it names one.
    authentication: Authentication<'m>,
    /// `env` of the containers.
    environment: Vec<&'m Value>,
    namespace: &'m str,
}

enum Authentication<'m> {
    None,
    /// Named, but in none of the files.
    Missing(String),
    Given(&'m Manifest),
}

impl<'m> ValueOrigins<'m> {
    pub fn new(
        object: &'m Manifest,
        trigger: &Value,
        manifests: &'m [Manifest],
        namespace: &'m str,
    ) -> Self {
        let metadata = field(trigger, "metadata").and_then(Value::as_mapping);
        let pairs = metadata.into_iter().flatten();
        let metadata = pairs.filter_map(|(key, value)| Some((scalar(key)?, scalar(value)?)));
        Self {
            metadata: metadata.collect(),
            authentication: authentication(trigger, manifests, namespace),
            environment: environment(object, manifests, namespace),
            namespace,
        }
    }

    /// The metadata as written, empty values left out as KEDA does.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        pairs.filter(|(_, value)| !value.trim().is_empty())
    }

    /// Where a parameter is: in the metadata, else in a variable that it names, else in the authentication.
    pub fn of(&self, parameter: &str) -> Option<ValueOrigin> {
        let written = |key: &str| self.metadata().find(|(k, _)| *k == key);
        if let Some((_, text)) = written(parameter) {
            return Some(ValueOrigin::Here(text.to_owned()));
        }
        match written(&format!("{parameter}FromEnv")) {
            Some((_, variable)) => Some(self.of_variable(variable)),
            None => self.of_authentication(parameter),
        }
    }

    /// The authentication that it names, if that is in none of the files.
    pub fn missing_authentication(&self) -> Option<&str> {
        match &self.authentication {
            Authentication::Missing(name) => Some(name),
            Authentication::None | Authentication::Given(_) => None,
        }
    }

    fn of_authentication(&self, parameter: &str) -> Option<ValueOrigin> {
        let Authentication::Given(authentication) = self.authentication else {
            return None;
        };
        let spec = field(&authentication.value, "spec")?.as_mapping()?;
        for (kind, entries) in spec {
            let entries = entries.as_sequence().into_iter().flatten();
            let named = |entry: &&Value| word(entry, "parameter") == Some(parameter);
            let Some(entry) = entries.into_iter().find(named) else {
                continue;
            };
            let (name, key) = (word(entry, "name")?, word(entry, "key").unwrap_or("?"));
            let namespace = match authentication.kind() {
                // Those of the whole cluster read the secrets of KEDA's own namespace.
                "ClusterTriggerAuthentication" => "keda",
                _ => self.namespace,
            };
            return Some(match kind.as_str()? {
                "secretTargetRef" => in_object("Secret", name, key, namespace),
                "configMapTargetRef" => in_object("ConfigMap", name, key, namespace),
                "env" => self.of_variable(name),
                other => ValueOrigin::Elsewhere(format!("{other} of {}", authentication.kind())),
            });
        }
        None
    }

    fn of_variable(&self, variable: &str) -> ValueOrigin {
        let mut entries = self.environment.iter();
        let found = entries.find(|entry| word(entry, "name") == Some(variable));
        if let Some(text) = found.and_then(|entry| scalar(field(entry, "value")?)) {
            return ValueOrigin::Here(text);
        }
        for (path, kind) in [("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")] {
            let reference = found.and_then(|entry| at(entry, &["valueFrom", path]));
            if let Some(reference) = reference {
                let (name, key) = (word(reference, "name"), word(reference, "key"));
                return in_object(
                    kind,
                    name.unwrap_or("?"),
                    key.unwrap_or("?"),
                    self.namespace,
                );
            }
        }
        ValueOrigin::Elsewhere(format!(
            "variable {variable} of the container that is scaled"
        ))
    }
}

fn in_object(kind: &str, name: &str, key: &str, namespace: &str) -> ValueOrigin {
    ValueOrigin::Elsewhere(format!(
        "key {key} of {kind} {name} in namespace {namespace}"
    ))
}

fn word<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    field(value, key)?.as_str()
}

/// Whether an object is in that namespace, or may be, as it names none.
fn is_in(manifest: &Manifest, namespace: &str) -> bool {
    manifest.namespace().is_none_or(|own| own == namespace)
}

fn authentication<'m>(
    trigger: &Value,
    manifests: &'m [Manifest],
    namespace: &str,
) -> Authentication<'m> {
    let Some(reference) = field(trigger, "authenticationRef") else {
        return Authentication::None;
    };
    let name = word(reference, "name").unwrap_or_default();
    let kind = word(reference, "kind").unwrap_or("TriggerAuthentication");
    let everywhere = kind == "ClusterTriggerAuthentication";
    let found = manifests.iter().find(|manifest| {
        manifest.kind() == kind
            && manifest.name() == Some(name)
            && (everywhere || is_in(manifest, namespace))
    });
    match found {
        Some(manifest) => Authentication::Given(manifest),
        None => Authentication::Missing(format!("{kind} {name}")),
    }
}

/// The variables of the containers that KEDA reads them from: the one named, else the first.
fn environment<'m>(
    object: &'m Manifest,
    manifests: &'m [Manifest],
    namespace: &str,
) -> Vec<&'m Value> {
    let of_job = at(&object.value, &["spec", "jobTargetRef", "template"]);
    let target = at(&object.value, &["spec", "scaleTargetRef"]);
    let named = target.and_then(|target| {
        let name = word(target, "name")?;
        let kind = word(target, "kind").unwrap_or("Deployment");
        let is_it = |manifest: &&Manifest| {
            manifest.kind() == kind && manifest.name() == Some(name) && is_in(manifest, namespace)
        };
        at(&manifests.iter().find(is_it)?.value, &["spec", "template"])
    });
    let containers = of_job
        .or(named)
        .and_then(|template| at(template, &["spec", "containers"])?.as_sequence());
    let wanted = target
        .or_else(|| field(&object.value, "spec"))
        .and_then(|at| word(at, "envSourceContainerName"));
    let mut containers = containers.into_iter().flatten();
    let container = match wanted {
        Some(wanted) => containers.find(|container| word(container, "name") == Some(wanted)),
        None => containers.next(),
    };
    let env = container.and_then(|container| field(container, "env")?.as_sequence());
    env.into_iter().flatten().collect()
}
