//! What the readings came to: counted, and said once.

use std::collections::{BTreeMap, BTreeSet};

use crate::scaled_object::{Unread, UnreadKind};

use super::object::ObjectName;

/// How the readings went since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterStats {
    /// Whether everything asked for could be read the last time; `None` while nothing was. An object that does not exist
    /// is not a fault of the cluster.
    pub up: Option<bool>,
    /// Calls.
    pub calls: u64,
    /// Failed calls by class.
    pub errors: BTreeMap<UnreadKind, u64>,
}

/// The last outcome of every object, and the counters.
#[derive(Debug, Default)]
pub(super) struct Record {
    calls: u64,
    errors: BTreeMap<UnreadKind, u64>,
    last: BTreeMap<ObjectName, Option<Unread>>,
}

impl Record {
    pub fn called(&mut self) {
        self.calls += 1;
    }

    pub fn failed(&mut self, kind: UnreadKind) {
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Notes how the reading of an object ended, and logs what nobody said yet.
    pub fn read(&mut self, name: &ObjectName, fault: Option<&Unread>) {
        let was_said = |record: &Self| {
            let mut known = record.last.values().flatten();
            fault.is_some_and(|fault| known.any(|known| known.text == fault.text))
        };
        let (said, was_up) = (was_said(self), self.is_up());
        self.last.insert(name.clone(), fault.cloned());
        match fault {
            Some(fault) if !said => tracing::warn!(
                reason = fault.kind.as_str(),
                "{fault}; replica counts are estimated from active consumers where they cannot be read"
            ),
            None if !was_up && self.is_up() => {
                tracing::info!("the Kubernetes API can be read again");
            }
            _ => {}
        }
    }

    pub fn keep(&mut self, wanted: &BTreeSet<ObjectName>) {
        self.last.retain(|name, _| wanted.contains(name));
    }

    pub fn stats(&self) -> ClusterStats {
        ClusterStats {
            up: (!self.last.is_empty()).then(|| self.is_up()),
            calls: self.calls,
            errors: self.errors.clone(),
        }
    }

    fn is_up(&self) -> bool {
        let mut faults = self.last.values().flatten();
        faults.all(|fault| fault.kind == UnreadKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ObjectName {
        ObjectName {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn it_is_up_while_every_object_can_be_read_or_does_not_exist() {
        let mut record = Record::default();
        let fault = |kind| Unread {
            kind,
            text: "no".to_owned(),
        };
        assert_eq!(record.stats().up, None);
        record.read(&named("a"), None);
        assert_eq!(record.stats().up, Some(true));
        record.read(&named("b"), Some(&fault(UnreadKind::NotFound)));
        assert_eq!(record.stats().up, Some(true));
        record.read(&named("b"), Some(&fault(UnreadKind::Auth)));
        assert_eq!(record.stats().up, Some(false));
        record.keep(&BTreeSet::from([named("a")]));
        assert_eq!(record.stats().up, Some(true));
    }
}
