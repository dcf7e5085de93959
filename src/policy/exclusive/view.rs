//! A group as its holders feel it, and the questions that the count is found by.

use std::time::Duration;

use crate::model::facts::PartitionFacts;
use crate::model::tuning::rates::ARRIVAL_WINDOW;
use crate::policy::forecast::surge;
use crate::policy::incurable::{Incurable, Known};
use crate::policy::placement::Placement;

use super::question::{Because, Question};
use crate::policy::tuning::exclusive::BEHIND_AFTER;
use crate::policy::tuning::exclusive::{
    BACKLOG_SHARE, BORNE_RATIO, CATCH_UP_RATIO, DEAD_BAND_RATIO, HELPS_AFTER, LIKELY_DOWN,
    LIKELY_LANDING, LIKELY_PEAK, LIKELY_UP, LITTLE_RATIO, MOVE_LANDS_AFTER, MUCH_RATIO,
    RESERVE_RATIO, RESERVE_REPLICAS, SLOW_FOR, SLOW_RATIO, SURPRISE_DEVIATIONS, SURPRISE_RATIO,
    UTILIZATION_DOWN, UTILIZATION_UP,
};
use crate::policy::tuning::fleet::TOO_LONG_RATIO;
use crate::policy::tuning::replicas::STARTS_WITHIN;

/// One partition's figures, messages and messages per second; all 0 if no count of replicas helps it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    pub arrival: f64,
    pub steady: f64,
    pub peak: f64,
    pub processed: f64,
    pub waiting: f64,
    pub behind: bool,
    pub behind_for: Duration,
    /// More arrives than one consumer does: it keeps one busy, but none of its own would cure it.
    pub is_hot: bool,
}

/// Partitions, holders, and what one holder can do.
pub struct View<'a> {
    question: &'a Question<'a>,
    pub parts: Vec<Part>,
    placement: Placement,
    /// Per consumer.
    capacity: f64,
    /// Replicas beyond which consumers would have no partition.
    pub most: u32,
}

impl<'a> View<'a> {
    pub fn of(question: &'a Question<'a>) -> Self {
        let facts = question.facts;
        let surge = surge(facts) * question.raise.rise;
        let part = |(p, incurable): (&PartitionFacts, Option<Incurable>)| {
            if p.lacks_group || incurable.is_some() {
                return Part {
                    is_hot: incurable == Some(Incurable::Hot),
                    ..Part::default()
                };
            }
            let read_at = p.read_at.unwrap_or(question.now);
            let behind = p.behind_since.map(|since| read_at.since(since));
            Part {
                arrival: p.arrival_per_second.unwrap_or(0.0) * surge,
                steady: p.steady_arrival_per_second.unwrap_or(0.0) * question.raise.fall,
                peak: p.peak_arrival_per_second.unwrap_or(0.0),
                waiting: p.waiting() as f64,
                processed: p.processing_per_second.unwrap_or(0.0),
                behind: behind.is_some_and(|time| time >= BEHIND_AFTER),
                behind_for: behind.unwrap_or_default(),
                is_hot: false,
            }
        };
        let partitions = facts.partitions.values();
        let parts = partitions.clone().zip(question.diagnosis.iter()).map(part);
        Self {
            question,
            parts: parts.collect(),
            placement: Placement::new(partitions.map(|p| p.owner.as_deref())),
            capacity: question.known.per_second(),
            most: (facts.partitions.len() as u32)
                .div_ceil(question.spec.consumers_per_replica)
                .max(1),
        }
    }

    /// Whether the present count makes messages late before another could help.
    pub fn overloaded(&self, asked: u32) -> bool {
        let delay = self.question.spec.target_delay.as_secs_f64();
        if !self.landed() {
            let loads = self.loads(|p| p.arrival);
            return match self.question.known {
                Known::Capacity(_) => !self.fits(asked, &loads, 1.0, LIKELY_LANDING),
                // Who is behind shows what one can do: what is on its way will not be enough even if shared out evenly.
                Known::AtLeast(_) => {
                    let most = f64::from(self.consumers(asked)) * self.capacity;
                    self.parts.iter().any(|p| p.behind) && self.arrivals() > most
                }
            };
        }
        self.placement.holders().iter().any(|held| {
            let sum = |of: fn(&Part) -> f64| held.iter().map(|n| of(&self.parts[*n])).sum::<f64>();
            let waiting = sum(|p| p.waiting) / self.capacity;
            match self.question.known {
                Known::Capacity(_) => {
                    let grows = sum(|p| p.arrival) / self.capacity - 1.0;
                    waiting + grows * HELPS_AFTER.as_secs_f64() > delay * TOO_LONG_RATIO
                        && (grows > 0.0 || self.can_be_relieved(held))
                }
                Known::AtLeast(_) => {
                    let behind = held.iter().any(|n| self.parts[*n].behind);
                    behind && waiting > delay
                        || sum(|p| p.arrival) > self.surprising()
                        || self.all_are_behind(asked)
                }
            }
        })
    }

    /// Whether every holder shows what it can do, and all of them together cannot do what arrives.
    fn all_are_behind(&self, asked: u32) -> bool {
        let holders = self.placement.holders();
        let behind = |held: &Vec<usize>| held.iter().any(|n| self.parts[*n].behind);
        holders.iter().all(behind)
            && self.arrivals() > f64::from(self.consumers(asked)) * self.capacity
    }

    fn arrivals(&self) -> f64 {
        self.parts.iter().map(|p| p.arrival).sum()
    }

    /// Arrivals per second at one consumer that are beyond what was seen, and beyond chance.
    fn surprising(&self) -> f64 {
        let deviation = (self.capacity / ARRIVAL_WINDOW.as_secs_f64()).sqrt();
        self.capacity * SURPRISE_RATIO + deviation * SURPRISE_DEVIATIONS
    }

    /// Whether a holder that works off a backlog would be faster with fewer partitions: not where one of them has the backlog, and
    /// the others take little. More backlog never makes that a no.
    fn can_be_relieved(&self, held: &[usize]) -> bool {
        let parts = || held.iter().map(|n| &self.parts[*n]);
        let much = self.capacity * self.question.spec.target_delay.as_secs_f64() * MUCH_RATIO;
        let (waiting, arrival) =
            parts().fold((0.0, 0.0), |(w, a), p| (w + p.waiting, a + p.arrival));
        let most = parts().map(|p| p.waiting).fold(0.0, f64::max);
        let held_up =
            |p: &Part| p.waiting > much && arrival - p.arrival > self.capacity * LITTLE_RATIO;
        waiting - most > much || parts().any(held_up)
    }

    /// The smallest count that surely takes a partition from a holder that is slower than the others, if there is one.
    pub fn relief(&self) -> Option<u32> {
        let holders = self.placement.holders();
        let sum = |held: &[usize], of: fn(&Part) -> f64| {
            held.iter().map(|n| of(&self.parts[*n])).sum::<f64>()
        };
        let delay = self.question.spec.target_delay.as_secs_f64();
        let slow = |held: &&Vec<usize>| {
            held.iter().any(|n| self.parts[*n].behind_for > SLOW_FOR)
                && sum(held, |p| p.processed) < self.capacity * SLOW_RATIO
        };
        let waits = |held: &&&Vec<usize>| {
            sum(held, |p| p.waiting) > sum(held, |p| p.processed) * delay * TOO_LONG_RATIO
        };
        let slow: Vec<&Vec<usize>> = holders.iter().filter(slow).collect();
        // Where most are slow it is what they depend on, and no count helps.
        if slow.is_empty() || slow.len() * 2 > holders.len() || !self.landed() {
            return None;
        }
        let held = slow.iter().filter(waits).map(|held| held.len()).max()?;
        let fewer = self
            .parts
            .len()
            .div_ceil(held.checked_sub(1).filter(|n| *n > 0)?) as u32;
        let replicas = fewer.div_ceil(self.question.spec.consumers_per_replica);
        (replicas > self.question.asked).then_some(replicas.min(self.most))
    }

    pub fn busiest(&self) -> f64 {
        let holders = self.placement.holders().iter();
        let loads = holders.map(|held| held.iter().map(|n| self.parts[*n].arrival).sum());
        loads.fold(0.0, f64::max)
    }

    /// Whether the last step is done: all consumers asked for hold their partitions, and have got on with them. Those that did
    /// not come in time do not count.
    fn landed(&self) -> bool {
        let asked_for = self.question.asked_at.map(|at| self.question.now.since(at));
        let in_time = asked_for.is_some_and(|time| time <= STARTS_WITHIN);
        let consumers = self.consumers(self.question.asked);
        let moved = |p: &PartitionFacts| {
            let held_for = p.owned_since.map(|since| self.question.now.since(since));
            held_for.is_some_and(|time| time <= MOVE_LANDS_AFTER)
        };
        let all = self.placement.holders().len() as u32 == consumers.min(self.parts.len() as u32);
        (all || !in_time) && !self.question.facts.partitions.values().any(moved)
    }

    pub fn rise(&self, from: u32) -> u32 {
        let loads = self.work(UTILIZATION_UP, |p| p.arrival);
        let replicas = self.smallest(from, self.most, &loads, 1.0, LIKELY_UP);
        self.reachable(replicas.max(self.least()))
    }

    pub fn fall(&self, asked: u32) -> (u32, Because) {
        let loads = self.work(UTILIZATION_DOWN, |p| p.steady);
        let needed = self.smallest(1, asked, &loads, 1.0, LIKELY_DOWN);
        let peaks = self.loads(|p| p.peak);
        let reserve = self.smallest(1, asked, &peaks, BORNE_RATIO, LIKELY_PEAK);
        let most = ((f64::from(needed) * RESERVE_RATIO) as u32).max(needed + RESERVE_REPLICAS);
        let kept = reserve.min(most);
        let because = if kept > needed {
            Because::Reserve
        } else {
            Because::Spread
        };
        (self.reachable(needed.max(kept)).min(asked), because)
    }

    /// What arrivals need if they could be shared out evenly; a hot partition keeps one consumer busy.
    pub fn least(&self) -> u32 {
        let arrivals: f64 = self.loads(|p| p.arrival).iter().sum();
        let hot = self.parts.iter().filter(|p| p.is_hot).count() as f64 * self.capacity;
        let per_replica = self.capacity * f64::from(self.question.spec.consumers_per_replica);
        (((arrivals + hot) / per_replica - 1e-9).ceil() as u32).clamp(1, self.most)
    }

    /// The HPA cannot take the last step to the cap from just below it.
    fn reachable(&self, replicas: u32) -> u32 {
        let cap = self.most.min(self.question.spec.max_replicas);
        let just_below = replicas < cap && f64::from(cap) <= f64::from(replicas) * DEAD_BAND_RATIO;
        if just_below { cap } else { replicas }
    }

    /// w = λ ÷ ρ + b′ ÷ T of every partition, at most what one consumer does.
    pub fn work(&self, utilization: f64, arrival: fn(&Part) -> f64) -> Vec<f64> {
        let catch_up = self.question.spec.target_delay.as_secs_f64() * CATCH_UP_RATIO;
        self.loads(|part| {
            let arrivals = arrival(part) / utilization;
            let most = arrivals.max(self.capacity * BACKLOG_SHARE);
            (arrivals + part.waiting / catch_up).min(most)
        })
    }

    pub fn loads(&self, of: impl Fn(&Part) -> f64) -> Vec<f64> {
        self.parts
            .iter()
            .map(|p| of(p).min(self.capacity))
            .collect()
    }

    fn consumers(&self, replicas: u32) -> u32 {
        replicas.saturating_mul(self.question.spec.consumers_per_replica)
    }

    fn fits(&self, replicas: u32, loads: &[f64], ratio: f64, likely: f64) -> bool {
        self.placement.fits(
            self.consumers(replicas),
            loads,
            self.capacity * ratio,
            likely,
        )
    }

    /// The smallest count from `from` to `to` that fits; `to` if none does.
    pub fn smallest(&self, from: u32, to: u32, loads: &[f64], ratio: f64, likely: f64) -> u32 {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.fits(middle, loads, ratio, likely) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}
