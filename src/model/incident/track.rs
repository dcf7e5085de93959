//! The incidents of a group over time: findings and flags that belong together become one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::signal::Signal;
use crate::model::time::{Timestamp, seconds};
use crate::model::tuning::incident::track::{BELONGS_WITHIN, KEPT, OVER_AFTER, SPREADS_WITHIN};

use super::arrivals::ArrivalWatch;
use super::consumers;
use super::holdings::Holdings;
use super::silence::SilenceWatch;
use super::{Finding, Incident, IncidentKind, Look};

/// All incidents of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    numbered: u64,
    /// Oldest first.
    all: VecDeque<Incident>,
    /// Older ones, counted.
    forgotten: BTreeMap<IncidentKind, u64>,
    /// When something was last wrong, by number; open ones only.
    wrong_at: BTreeMap<u64, Timestamp>,
    /// Who held what stands still, likewise.
    holders: BTreeMap<u64, String>,
    arrivals: ArrivalWatch,
    holdings: Holdings,
    silences: SilenceWatch,
    last: Option<Timestamp>,
}

impl Incidents {
    /// All that go on, and the latest that are over; oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.all.iter()
    }

    /// How many are over of every kind: before that they may turn out to be another.
    pub fn totals(&self) -> BTreeMap<IncidentKind, u64> {
        let mut totals = self.forgotten.clone();
        for incident in self.all.iter().filter(|i| i.ended_at.is_some()) {
            *totals.entry(incident.kind).or_default() += 1;
        }
        totals
    }

    /// Takes in a poll. `capacity`: messages per second one consumer does, or at least did.
    pub fn observe(&mut self, at: Timestamp, facts: &GroupFacts, capacity: Option<f64>) {
        let poll = self
            .last
            .replace(at)
            .map_or(Duration::ZERO, |last| at.since(last));
        self.holdings.observe(at, facts);
        let look = Look {
            at,
            poll,
            facts,
            holdings: &self.holdings,
            capacity,
        };
        let mut found = consumers::findings(&look);
        found.extend(self.arrivals.observe(&look));
        found.extend(self.silences.observe(&look));
        for finding in found {
            self.take(at, finding);
        }
        self.miss_holders(facts);
        self.flag(at, facts);
        self.close(at);
    }

    fn take(&mut self, at: Timestamp, finding: Finding) {
        let Some(number) = self.belongs_to(at, &finding) else {
            return self.open(at, finding, BTreeSet::new());
        };
        if let Some(incident) = self.all.iter_mut().find(|i| i.number == number) {
            // All partitions, or more of them.
            if finding.partitions.is_empty() {
                incident.partitions.clear();
            } else if incident.kind == finding.kind && !incident.partitions.is_empty()
                || incident.kind == IncidentKind::Unclassified
            {
                incident.partitions.extend(finding.partitions);
            }
            if incident.kind != finding.kind {
                incident.kind = finding.kind;
                incident.text = finding.text;
            }
            self.wrong_at.insert(number, at);
        }
    }

    /// Who held what stands still is gone: it was not the partition.
    fn miss_holders(&mut self, facts: &GroupFacts) {
        if self.holders.is_empty() {
            return;
        }
        let present = |name: &String| {
            facts
                .partitions
                .values()
                .any(|p| p.owner.as_ref() == Some(name))
        };
        for incident in self
            .all
            .iter_mut()
            .filter(|i| i.kind == IncidentKind::StuckPartition)
        {
            let gone = self
                .holders
                .get(&incident.number)
                .filter(|name| !present(name));
            if let Some(name) = gone {
                incident.kind = IncidentKind::ConsumerCrash;
                incident.text = format!(
                    "{name} stopped committing and is gone; other consumers own its partitions now"
                );
            }
        }
        self.holders.retain(|_, name| present(name));
    }

    /// The open incident that a finding is part of.
    fn belongs_to(&self, at: Timestamp, finding: &Finding) -> Option<u64> {
        let open = || self.all.iter().filter(|i| i.ended_at.is_none());
        let same = open().find(|i| i.kind == finding.kind);
        let becomes = open().find(|i| match finding.kind {
            IncidentKind::DownstreamOutage => {
                of_one_consumer(i.kind) && at.since(i.noticed_at) < SPREADS_WITHIN
            }
            _ => false,
        });
        let unclassified = open().find(|i| i.kind == IncidentKind::Unclassified);
        same.or(becomes).or(unclassified).map(|i| i.number)
    }

    fn open(&mut self, at: Timestamp, finding: Finding, signals: BTreeSet<Signal>) {
        let outage =
            |i: &Incident| i.ended_at.is_none() && i.kind == IncidentKind::DownstreamOutage;
        if of_one_consumer(finding.kind) && self.all.iter().any(outage) {
            return;
        }
        self.numbered += 1;
        self.wrong_at.insert(self.numbered, at);
        if let Some(holder) = finding.holder {
            self.holders.insert(self.numbered, holder);
        }
        self.all.push_back(Incident {
            number: self.numbered,
            kind: finding.kind,
            started_at: at.minus(seconds(finding.for_seconds)),
            noticed_at: at,
            ended_at: None,
            signals,
            partitions: finding.partitions,
            text: finding.text,
        });
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let over = |i: &Incident| i.ended_at.is_some();
        if self.all.iter().filter(|i| over(i)).count() <= KEPT {
            return;
        }
        let oldest = self.all.iter().position(over);
        if let Some(incident) = oldest.and_then(|n| self.all.remove(n)) {
            *self.forgotten.entry(incident.kind).or_default() += 1;
        }
    }

    /// Flags belong to what goes on, or was over just now; else they are an incident of their own.
    fn flag(&mut self, at: Timestamp, facts: &GroupFacts) {
        let of = |is: fn(&crate::model::baseline::Reading) -> bool| -> BTreeSet<Signal> {
            let flagged = facts.normal.iter().filter(|(_, n)| is(&n.reading));
            flagged.map(|(signal, _)| *signal).collect()
        };
        let (raised, fired) = (of(|r| r.anomaly), of(|r| r.fired));
        if raised.is_empty() {
            return;
        }
        let recent = |i: &Incident| i.ended_at.is_none_or(|end| at.since(end) < BELONGS_WITHIN);
        if let Some(incident) = self.all.iter_mut().rev().find(|i| recent(i)) {
            incident.signals.extend(raised);
            if incident.ended_at.is_none() && incident.kind == IncidentKind::Unclassified {
                self.wrong_at.insert(incident.number, at);
            }
            return;
        }
        // Backlog alone, or age alone, is what a policy is there for.
        let common = |s: &Signal| matches!(s, Signal::Backlog | Signal::Age);
        let lone = raised.len() == 1 && raised.iter().all(common);
        if !fired.is_empty() && !lone {
            let text = unusual(facts, &fired);
            let rises = raised.contains(&Signal::Throughput) && self.arrivals.rises(facts);
            let finding = Finding {
                kind: match rises {
                    true => IncidentKind::TrafficSurge,
                    false => IncidentKind::Unclassified,
                },
                holder: None,
                partitions: BTreeSet::new(),
                for_seconds: 0.0,
                text,
            };
            self.open(at, finding, raised);
        }
    }

    fn close(&mut self, at: Timestamp) {
        let over: Vec<u64> = self
            .wrong_at
            .iter()
            .filter(|(_, wrong)| at.since(**wrong) >= OVER_AFTER)
            .map(|(number, _)| *number)
            .collect();
        for number in over {
            let ended = self.wrong_at.remove(&number);
            self.holders.remove(&number);
            if let Some(incident) = self.all.iter_mut().find(|i| i.number == number) {
                incident.ended_at = ended;
            }
        }
    }
}

/// Kinds that are about one consumer or partition.
fn of_one_consumer(kind: IncidentKind) -> bool {
    matches!(
        kind,
        IncidentKind::ConsumerCrash
            | IncidentKind::SlowConsumer
            | IncidentKind::StuckPartition
            | IncidentKind::HotPartition
    )
}

fn unusual(facts: &GroupFacts, signals: &BTreeSet<Signal>) -> String {
    let one = |signal: &Signal| {
        let normal = facts.normal.get(signal)?;
        let band = normal.reading.lower.zip(normal.reading.upper);
        let band = band.map_or(String::new(), |(low, high)| {
            format!(", normal is {low:.1} to {high:.1}")
        });
        let value = normal.value?;
        Some(format!(
            "{} is {value:.1}{band}",
            signal.as_str().replace('_', " ")
        ))
    };
    signals
        .iter()
        .filter_map(one)
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests;
