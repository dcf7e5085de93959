//! What the API server holds: objects, their history, faults, and what was asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

#[derive(Default)]
pub struct Cluster {
    /// By path.
    pub objects: BTreeMap<String, Value>,
    /// Every change so far: version, path, type, object.
    pub history: Vec<(u64, String, &'static str, Value)>,
    pub version: u64,
    /// Watches that want to go on from before this are told that it is gone.
    pub oldest: u64,
    /// Watches opened before this end.
    pub watches_since: u64,
    pub watches: u64,
    /// What is answered instead, by a part of the path or `watch`.
    pub faults: BTreeMap<&'static str, (u16, &'static str)>,
    /// `list` or `watch`, and the path.
    pub asked: Vec<(String, String)>,
    pub changed: Arc<Notify>,
}

impl Cluster {
    pub fn change(&mut self, path: &str, kind: &'static str, mut content: Value) {
        self.version += 1;
        content["metadata"]["resourceVersion"] = self.version.to_string().into();
        match kind {
            "DELETED" => drop(self.objects.remove(path)),
            _ => drop(self.objects.insert(path.to_owned(), content.clone())),
        }
        let change = (self.version, path.to_owned(), kind, content);
        self.history.push(change);
        self.changed.notify_waiters();
    }

    pub fn fault(&self, path: &str, verb: &str) -> Option<(u16, &'static str)> {
        let concerned = |part: &str| path.contains(part) || verb == part;
        let mut faults = self.faults.iter();
        faults
            .find(|(part, _)| concerned(part))
            .map(|(_, fault)| *fault)
    }
}
