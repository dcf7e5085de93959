//! Which objects are watched: a kind, a namespace, and what it takes to ask for them.

use kube::api::{ApiResource, GroupVersionKind};

/// A kind of object as the API names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
}

/// All objects of one kind in one namespace, or those with some labels: what one watch covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchScope {
    pub namespace: String,
    pub resource: Resource,
    labels: Option<String>,
}

/// The label by which KEDA finds the jobs of a ScaledJob.
pub(super) const SCALED_JOB: &str = "scaledjob.keda.sh/name";

impl Resource {
    pub fn new(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// With the plural that the kind usually has.
    pub fn guessed(group: &str, version: &str, kind: &str) -> Self {
        let guess = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Self::new(group, version, kind, &guess.plural)
    }

    pub fn scaled_objects() -> Self {
        Self::new("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
    }

    pub fn scaled_jobs() -> Self {
        Self::new("keda.sh", "v1alpha1", "ScaledJob", "scaledjobs")
    }

    pub fn autoscalers() -> Self {
        let kind = "HorizontalPodAutoscaler";
        Self::new("autoscaling", "v2", kind, "horizontalpodautoscalers")
    }

    pub fn jobs() -> Self {
        Self::new("batch", "v1", "Job", "jobs")
    }

    pub fn pods() -> Self {
        Self::new("", "v1", "Pod", "pods")
    }

    pub fn api(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(&self.group, &self.version, &self.kind);
        ApiResource::from_gvk_with_plural(&kind, &self.plural)
    }

    /// As roles name it: `deployments.apps`.
    pub fn full_name(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

impl WatchScope {
    /// Of the jobs only those that KEDA made.
    pub fn new(namespace: &str, resource: Resource) -> Self {
        Self {
            namespace: namespace.to_owned(),
            labels: (resource == Resource::jobs()).then(|| SCALED_JOB.to_owned()),
            resource,
        }
    }

    /// The pods of a workload, by its selector.
    pub fn pods(namespace: &str, selector: &str) -> Self {
        Self {
            labels: Some(selector.to_owned()),
            ..Self::new(namespace, Resource::pods())
        }
    }

    /// Which of them.
    pub fn label_selector(&self) -> Option<&str> {
        self.labels.as_deref()
    }

    /// Whether it does without: then it is no fault that it must not be read.
    pub fn is_optional(&self) -> bool {
        self.resource == Resource::pods()
    }
}
