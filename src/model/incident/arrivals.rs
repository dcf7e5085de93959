//! Arrivals that end, and arrivals as never before. Source of the rules: docs/detection.md, "Incidents".

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::time::{Timestamp, WallOffset};
use crate::model::tuning::incident::arrivals::{
    DAYS, FORGOTTEN_PER_DAY, MISSING, RECENT, RISE_RATIO, SILENCE_RATIO, SILENT_FOR, SILENT_POLLS,
    SURGE_DEVIATIONS, SURGE_RATIO, UNKNOWN_DAY_RATIO, USUAL_OVER,
};
use crate::model::tuning::rates::ARRIVAL_WINDOW;

use super::{Finding, IncidentKind, Look};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: u64 = 3_600_000;

/// What was seen of a group's arrivals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ArrivalWatch {
    watched_since: Option<Timestamp>,
    last: Option<(Timestamp, u64)>,
    /// The last poll that saw something arrive.
    arrived_at: Option<Timestamp>,
    /// Seconds without arrivals: the two longest that began in each hour of the day.
    silences: [[f64; 2]; 24],
    forgotten_at: Option<Timestamp>,
    /// Arrivals per second, averaged.
    usual: f64,
    /// The largest rate per day, the newest last.
    largest: VecDeque<(u64, f64)>,
    /// Rates that are not that old yet.
    recent: VecDeque<(Timestamp, f64)>,
}

impl ArrivalWatch {
    /// Takes in a poll; what is wrong.
    pub(super) fn observe(&mut self, look: &Look<'_>) -> Option<Finding> {
        let (now, facts) = (look.at, look.facts);
        let total: u64 = facts.partitions.values().map(|p| p.arrived_total).sum();
        if facts.unknown_partitions > 0 || facts.partitions.is_empty() {
            return self.lose_sight();
        }
        let Some((before, then)) = self.last.replace((now, total)) else {
            self.watched_since.get_or_insert(now);
            return None;
        };
        let Some(arrived) = total.checked_sub(then) else {
            return self.lose_sight();
        };
        self.watched_since.get_or_insert(before);
        self.forget(now);
        let surge = self.surge(now, facts);
        if arrived == 0 {
            return self.stop(look).or(surge);
        }
        let began = self.arrived_at.replace(now);
        if let Some(began) = began {
            let silence = now.since(began).saturating_sub(look.poll).as_secs_f64();
            let [longest, second] = &mut self.silences[hour(began, facts.wall)];
            (*longest, *second) = (longest.max(silence), second.max(silence.min(*longest)));
        }
        let covered = now.since(began.unwrap_or(before)).as_secs_f64();
        let share = (covered / USUAL_OVER.as_secs_f64()).min(1.0);
        let rate = arrived as f64 / covered.max(0.001);
        self.usual += share * (rate - self.usual);
        surge
    }

    /// Whether far more arrives than just before.
    pub(super) fn rises(&self, facts: &GroupFacts) -> bool {
        let rate = facts.arrival_per_second.unwrap_or(0.0);
        rate > self.usual * RISE_RATIO
    }

    /// Whether a day of it is known.
    fn knows_a_day(&self, now: Timestamp) -> bool {
        self.watched_since
            .is_some_and(|since| now.since(since) >= DAY)
    }

    fn stop(&self, look: &Look<'_>) -> Option<Finding> {
        // What waits for its turn may have arrivals that nobody saw yet.
        let read = look.facts.partitions.values().filter_map(|p| p.read_at);
        let silent = read.min().unwrap_or(look.at).since(self.arrived_at?);
        let hour = hour(self.arrived_at?, look.facts.wall);
        let longest = self.usual_silence(hour);
        let ratio = match self.knows_a_day(look.at) {
            true => SILENCE_RATIO,
            false => SILENCE_RATIO * UNKNOWN_DAY_RATIO,
        };
        let seconds = silent.as_secs_f64();
        let least = SILENT_FOR.max(look.poll * SILENT_POLLS);
        let unusual = seconds > longest * ratio && silent >= least;
        let missing = self.usual * seconds;
        (unusual && missing > MISSING).then(|| Finding {
            kind: IncidentKind::ProducerStop,
            holder: None,
            partitions: Default::default(),
            for_seconds: seconds,
            text: format!(
                "nothing has arrived for {seconds:.0} s; before, {:.1} messages/s arrived, and silences that start around this hour last up to {longest:.0} s",
                self.usual
            ),
        })
    }

    /// What silences that begin at that hour come to: not the longest, which may have been a fault, but the one after it.
    fn usual_silence(&self, hour: usize) -> f64 {
        let about = [(hour + 23) % 24, hour, (hour + 1) % 24];
        let mut all: Vec<f64> = about.into_iter().flat_map(|h| self.silences[h]).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() - 2).copied().unwrap_or_default()
    }

    fn surge(&mut self, now: Timestamp, facts: &GroupFacts) -> Option<Finding> {
        let rate = facts.arrival_per_second?;
        self.recent.push_back((now, rate));
        while let Some((at, old)) = self.recent.front().copied()
            && now.since(at) >= RECENT
        {
            self.recent.pop_front();
            self.note_largest(facts.wall.on_the_wall(at), old);
        }
        let record = self
            .largest
            .iter()
            .map(|(_, rate)| *rate)
            .fold(0.0, f64::max);
        let chance = SURGE_DEVIATIONS * (record / ARRIVAL_WINDOW.as_secs_f64()).sqrt() + 1.0;
        let beyond = rate > record * SURGE_RATIO + chance;
        (beyond && self.knows_a_day(now)).then(|| Finding {
            kind: IncidentKind::TrafficSurge,
            holder: None,
            partitions: Default::default(),
            for_seconds: 0.0,
            text: format!(
                "{rate:.0} messages/s arrive, {:.1} times the largest rate of the last week ({record:.0})",
                rate / record.max(f64::MIN_POSITIVE)
            ),
        })
    }

    fn note_largest(&mut self, wall: Timestamp, rate: f64) {
        let day = wall.as_millis() / DAY.as_millis() as u64;
        match self.largest.back_mut() {
            Some((last, largest)) if *last == day => *largest = largest.max(rate),
            _ => self.largest.push_back((day, rate)),
        }
        while self.largest.len() > DAYS {
            self.largest.pop_front();
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let since = *self.forgotten_at.get_or_insert(now);
        if now.since(since) >= DAY {
            self.forgotten_at = Some(now);
            let silences = self.silences.as_flattened_mut().iter_mut();
            silences.for_each(|s| *s *= FORGOTTEN_PER_DAY);
        }
    }

    /// What came meanwhile cannot be known.
    fn lose_sight(&mut self) -> Option<Finding> {
        self.last = None;
        self.arrived_at = None;
        None
    }
}

fn hour(at: Timestamp, wall: WallOffset) -> usize {
    (wall.on_the_wall(at).as_millis() / HOUR % 24) as usize
}
