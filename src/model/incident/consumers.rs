//! What the consumers do with what they hold: who stands still, who is slow, and whether that is one of them or all. Source of
//! the rules: docs/detection.md, "Incidents".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::facts::PartitionFacts;
use crate::model::identity::PartitionId;
use crate::model::standstill::may_be_a_rest;
use crate::model::tuning::incident::consumers::{
    ALL_RATIO, ARRIVES, DEVIATIONS, DUE_INTERVALS, DUE_POLLS, FALLS_BEHIND_RATIO, HOT_MEANS,
    HOT_RATIO, SETTLES, SLOW_RATIO, STANDS_OUT, WAITING_SECONDS,
};

use super::{Finding, IncidentKind, Look, counted};

/// One partition with its name.
type Named<'a> = (&'a PartitionId, &'a PartitionFacts);

/// What a consumer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConsumerPace {
    /// It keeps up, catches up, or has too much to do: in any case it does what it can.
    Able,
    /// It does far less than comes and than it can.
    Slow,
    /// It moves nothing of what it holds.
    Still,
}

/// A consumer with all that it holds.
struct ConsumerHoldings<'a> {
    name: &'a str,
    active: Vec<Named<'a>>,
    still: Vec<Named<'a>>,
    arrivals: f64,
    pace: ConsumerPace,
}

/// Everything that is wrong with consumers and partitions.
pub(super) fn findings(look: &Look<'_>) -> Vec<Finding> {
    let hot = hot(look);
    let holders = holders(look, &hot);
    let at_work: Vec<&ConsumerHoldings<'_>> = holders.iter().filter(|h| h.arrivals > 0.0).collect();
    let bad: Vec<&&ConsumerHoldings<'_>> = at_work
        .iter()
        .filter(|h| h.pace != ConsumerPace::Able)
        .collect();
    let sum = |holders: &mut dyn Iterator<Item = &f64>| holders.sum::<f64>();
    let all = sum(&mut at_work.iter().map(|h| &h.arrivals));
    let theirs = sum(&mut bad.iter().map(|h| &h.arrivals));
    let mut found: Vec<Finding> = hot.iter().map(|p| hot_finding(look, *p)).collect();
    if look.facts.breaker.is_open() || bad.len() >= 2 && theirs >= all * ALL_RATIO {
        found.push(outage(bad.len(), at_work.len()));
        return found;
    }
    for holder in holders {
        match holder.pace {
            ConsumerPace::Still if holder.active.len() >= 2 => found.push(crash(look, &holder)),
            ConsumerPace::Slow => found.push(slow(&holder)),
            ConsumerPace::Still | ConsumerPace::Able => {
                found.extend(holder.still.iter().map(|p| stuck(look, holder.name, *p)));
            }
        }
    }
    found
}

/// Partitions by who holds them, as far as they can be judged.
fn holders<'a>(look: &Look<'a>, hot: &[Named<'a>]) -> Vec<ConsumerHoldings<'a>> {
    let mut held: BTreeMap<&str, Vec<Named<'_>>> = BTreeMap::new();
    for (id, facts) in &look.facts.partitions {
        if let Some(owner) = &facts.owner {
            held.entry(owner).or_default().push((id, facts));
        }
    }
    let of = |(name, partitions): (&'a str, Vec<Named<'a>>)| {
        let active: Vec<Named<'_>> = partitions
            .iter()
            .filter(|(_, p)| p.waiting() > 0 || p.arrival_per_second > Some(0.0))
            .copied()
            .collect();
        let still: Vec<Named<'_>> = active
            .iter()
            .filter(|p| is_still(look, p.1))
            .copied()
            .collect();
        let is_hot = active.iter().any(|p| hot.iter().any(|hot| hot.0 == p.0));
        let pace = if !active.is_empty() && still.len() == active.len() {
            ConsumerPace::Still
        } else if !is_hot && is_slow(look, name, &active) {
            ConsumerPace::Slow
        } else {
            ConsumerPace::Able
        };
        ConsumerHoldings {
            name,
            arrivals: active
                .iter()
                .filter_map(|(_, p)| p.arrival_per_second)
                .sum(),
            active,
            still,
            pace,
        }
    };
    held.into_iter().map(of).collect()
}

/// No commit for longer than the rhythm explains, though messages wait.
fn is_still(look: &Look<'_>, partition: &PartitionFacts) -> bool {
    let Some(interval) = partition.commit_interval_seconds else {
        return false;
    };
    let due = Duration::from_secs_f64(interval * DUE_INTERVALS) + look.poll * DUE_POLLS;
    let settled = partition
        .owned_since
        .is_none_or(|at| look.at.since(at) >= due + SETTLES);
    let due = if settled { due } else { due + ARRIVES };
    partition
        .stalled_since
        .is_some_and(|since| look.at.since(since) >= due)
        && partition.waiting() > 0
        && !may_be_a_rest(partition)
}

/// Far less is done than arrives and than one consumer can do, and that is neither chance nor only yet to be committed.
fn is_slow(look: &Look<'_>, holder: &str, held: &[Named<'_>]) -> bool {
    let Some(capacity) = look.capacity else {
        return false;
    };
    let changed = look.holdings.changed_at(holder);
    if held.is_empty() || changed.is_some_and(|at| look.at.since(at) < SETTLES) {
        return false;
    }
    let sum = |of: fn(&PartitionFacts) -> Option<f64>| {
        held.iter().map(|(_, p)| of(p).unwrap_or(0.0)).sum::<f64>()
    };
    // On its way up a rate says little of who is slow: what is done follows it by a commit.
    let arrivals = sum(|p| p.arrival_per_second).min(sum(|p| p.steady_arrival_per_second));
    let done = sum(|p| p.recent_processing_per_second);
    let waiting = sum(|p| Some(p.waiting() as f64));
    let explained = arrivals * WAITING_SECONDS;
    waiting > explained + DEVIATIONS * explained.sqrt()
        && done < arrivals * FALLS_BEHIND_RATIO
        && done < arrivals.min(capacity) * SLOW_RATIO
}

/// Partitions on which more arrives than one consumer can do.
fn hot<'a>(look: &Look<'a>) -> Vec<Named<'a>> {
    let facts = look.facts;
    let Some(capacity) = look.capacity.filter(|_| facts.partitions.len() > 1) else {
        return Vec::new();
    };
    let mean = facts.arrival_per_second.unwrap_or(0.0) / facts.partitions.len() as f64;
    let above = match facts.capacity_per_consumer {
        Some(_) => capacity * HOT_RATIO,
        None => (capacity * HOT_RATIO).max(mean * STANDS_OUT),
    };
    let is_hot = |p: &PartitionFacts| {
        let rate = p.arrival_per_second.unwrap_or(0.0);
        let waits = p.waiting() as f64 > rate * WAITING_SECONDS / 2.0;
        p.owner.is_some() && rate > above && rate > mean * HOT_MEANS && waits
    };
    facts.partitions.iter().filter(|(_, p)| is_hot(p)).collect()
}

fn hot_finding(look: &Look<'_>, (id, facts): Named<'_>) -> Finding {
    let rate = facts.arrival_per_second.unwrap_or(0.0);
    Finding {
        kind: IncidentKind::HotPartition,
        holder: None,
        partitions: BTreeSet::from([id.clone()]),
        for_seconds: 0.0,
        text: format!(
            "partition {id} gets {rate:.0} messages/s, but one consumer handles {:.0}/s: more replicas do not help",
            look.capacity.unwrap_or(0.0)
        ),
    }
}

fn outage(slow: usize, all: usize) -> Finding {
    Finding {
        kind: IncidentKind::DownstreamOutage,
        holder: None,
        partitions: BTreeSet::new(),
        for_seconds: 0.0,
        text: match slow {
            0 => {
                "fully busy consumers are far below their capacity: a dependency is slow".to_owned()
            }
            _ => format!(
                "{slow} of {} are far below their capacity at once: a dependency is slow",
                counted(all, "consumer")
            ),
        },
    }
}

fn crash(look: &Look<'_>, holder: &ConsumerHoldings<'_>) -> Finding {
    let seconds = standing_for(look, &holder.still);
    Finding {
        kind: IncidentKind::ConsumerCrash,
        holder: None,
        partitions: names(&holder.still),
        for_seconds: seconds,
        text: format!(
            "{} has committed nothing for {seconds:.0} s on any of the {} it owns",
            holder.name,
            counted(holder.active.len(), "partition")
        ),
    }
}

fn slow(holder: &ConsumerHoldings<'_>) -> Finding {
    Finding {
        kind: IncidentKind::SlowConsumer,
        holder: None,
        partitions: names(&holder.active),
        for_seconds: 0.0,
        text: format!(
            "{} falls behind on the {} it owns, although its load is within one consumer's capacity",
            holder.name,
            counted(holder.active.len(), "partition")
        ),
    }
}

fn stuck(look: &Look<'_>, holder: &str, partition: Named<'_>) -> Finding {
    let seconds = standing_for(look, &[partition]);
    Finding {
        kind: IncidentKind::StuckPartition,
        holder: Some(holder.to_owned()),
        partitions: BTreeSet::from([partition.0.clone()]),
        for_seconds: seconds,
        text: format!(
            "partition {} has made no progress for {seconds:.0} s although {holder} owns it: probably a poison message",
            partition.0
        ),
    }
}

fn names(partitions: &[Named<'_>]) -> BTreeSet<PartitionId> {
    partitions.iter().map(|(id, _)| (*id).clone()).collect()
}

fn standing_for(look: &Look<'_>, partitions: &[Named<'_>]) -> f64 {
    let since = partitions.iter().filter_map(|(_, p)| p.stalled_since);
    let longest = since.map(|since| look.at.since(since).as_secs_f64());
    longest.fold(0.0, f64::max)
}
