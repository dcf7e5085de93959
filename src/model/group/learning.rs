//! What one poll teaches of the group's consumers: what each can do, and whether what they depend on is slow.

use crate::model::capacity::BusyInterval;
use crate::model::downstream::{Breaker, Fleet};
use crate::model::fleet::Interval;
use crate::model::owners::{Busy, Held};
use crate::model::partition::PartitionModel;
use crate::model::quantity::Quantity;
use crate::model::signal::Signal;
use crate::model::time::{Moment, Timestamp};
use crate::model::tuning::downstream::TRUSTED_RATIO;
use crate::model::whole::Together;

use super::GroupModel;
use super::shown::Shown;

impl GroupModel {
    /// Baselines of the group: a part of the partitions is no sample.
    pub(super) fn note_whole(&mut self, now: Moment, shown: &Shown) {
        let signals = [Signal::Throughput, Signal::Backlog, Signal::Age];
        for (signal, value) in signals.into_iter().zip(shown.whole) {
            self.normal.observe(now, signal, value);
        }
    }

    /// Learns from the poll at `at`, and from what became known with it of all partitions together.
    pub(super) fn learn(&mut self, at: Timestamp, together: Option<Together>, shown: &Shown) {
        let Some(before) = self.observed_at else {
            return;
        };
        if let Some(all) = &together {
            let until = self.moment(all.until);
            self.forecast
                .observe(until, all.covered(), all.step.arrived);
        }
        let busy = self.busy_owners(at, shown);
        if self.owners.count() > 0 {
            self.capacity.forget_slowly(at.since(before));
            if let Some(all) = &together {
                self.learn_early_from_owners(all);
            }
            return self.learn_from_owners(at, &busy);
        }
        match together {
            Some(together) => self.learn_from_all(&together, shown),
            None if self.told.is_shared => self.turn_breaker(at, Fleet::Unknown),
            None => {}
        }
    }

    /// Messages per second that one consumer is known to do: learned, else proven in busy seconds, else configured and seen.
    fn known_per_consumer(&self) -> Option<f64> {
        let proven = || self.capacity.proven_early();
        let believed = || self.capacity.early.believed(self.told);
        self.capacity
            .per_consumer()
            .or_else(proven)
            .or_else(believed)
    }

    fn learn_early_from_owners(&mut self, together: &Together) {
        let since = together.since;
        let behind = |p: &PartitionModel| p.progress.behind_since.is_some_and(|s| s <= since);
        self.capacity.early.observe_owned(
            together.covered(),
            together.step.processed,
            self.owners.count(),
            self.partitions.values().all(|p| behind(p)),
        );
    }

    fn learn_from_all(&mut self, together: &Together, shown: &Shown) {
        let (at, total) = (together.until, together.step);
        let known = self.known_per_consumer();
        if self.told.is_shared {
            let interval = Interval {
                end: at,
                covered: together.covered(),
                processed: total.processed,
                arrived: total.arrived.unwrap_or(0),
                undelivered: shown.lag.total(),
                seen: self.consumers,
                consumers: self.told.at_work(self.consumers),
            };
            let distrusted = known.map_or(0.0, |known| known * TRUSTED_RATIO);
            self.capacity
                .early
                .observe(&interval, self.told, distrusted);
            let fleet = self.fleet.observe(&interval, known);
            self.turn_breaker(at, fleet);
        }
        let backlog = shown.backlog.total().and_then(Quantity::exact);
        let interval = BusyInterval {
            commit_interval: shown.commit_interval,
            end: at,
            covered: together.covered(),
            processed: total.processed,
            backlog: backlog.map(|backlog| backlog.saturating_sub(shown.uncommitted)),
            arrived_lately: self.arrivals.within(self.capacity.behind(), at),
            consumers: self.consumers,
        };
        self.capacity
            .observe(&interval, known.map_or(0.0, |known| known * TRUSTED_RATIO));
    }

    /// Who holds partitions and is never idle.
    fn busy_owners(&mut self, at: Timestamp, shown: &Shown) -> Vec<Busy> {
        if !shown.is_held {
            return self.owners.observe(at, std::iter::empty(), &shown.left);
        }
        let held = self.partitions.values().filter_map(|p| {
            Some(Held {
                owner: p.progress.owner()?,
                changed: p.changed_hands.is_some(),
                behind_since: p.progress.behind_since,
                moved_at: p.progress.moved_at,
                processed_per_second: p.recent_processing_per_second().unwrap_or(0.0),
                steady_processed_per_second: p.processing_per_second().unwrap_or(0.0),
                commit_interval: p.commits.interval(),
            })
        });
        self.owners.observe(at, held, &shown.left)
    }

    fn learn_from_owners(&mut self, at: Timestamp, busy: &[Busy]) {
        let known = self.capacity.per_consumer().or(self.capacity.proven());
        let mut ratios: Vec<f64> = known
            .map(|known| busy.iter().map(|b| b.per_second / known).collect())
            .unwrap_or_default();
        ratios.sort_by(f64::total_cmp);
        let fleet = match (known, ratios.get(ratios.len() / 2)) {
            (None, _) => Fleet::Unknown,
            (Some(_), Some(middle)) if ratios.len() as u32 * 2 > self.owners.count() => {
                Fleet::Busy(*middle)
            }
            (Some(_), _) => Fleet::Idle,
        };
        self.turn_breaker(at, fleet);
        self.capacity.prove(self.owners.best());
        for owner in busy {
            // Far below what is known: a slow consumer, or what it depends on; no sign of what a healthy one can do.
            let trusted = known.is_none_or(|known| owner.per_second > known * TRUSTED_RATIO);
            if let Some(covered) = owner.sample.filter(|_| trusted) {
                self.capacity.take_over(owner.per_second, covered);
            }
        }
    }

    fn turn_breaker(&mut self, at: Timestamp, fleet: Fleet) {
        let was_open = self.breaker.is_open();
        self.breaker = self.breaker.next(at, fleet);
        // An outage that lasts is how it is from now on.
        if was_open && self.breaker == Breaker::Closed {
            self.capacity.forget();
            self.fleet.forget();
        }
    }
}
