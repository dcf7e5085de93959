//! What one poll teaches of the group's consumers: what each can do, and whether what they depend on is slow.

use crate::model::capacity::BusyInterval;
use crate::model::downstream::{Breaker, Fleet, TRUSTED_RATIO};
use crate::model::fleet::Interval;
use crate::model::owners::{Busy, Held};
use crate::model::partition::{PartitionModel, Step};
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::GroupModel;
use super::facts::part;

impl GroupModel {
    /// Learns from the interval between the poll before and the one at `at`, in which `total` happened.
    pub(super) fn learn(&mut self, at: Timestamp, total: Step) {
        let Some(before) = self.observed_at else {
            return;
        };
        self.forecast.observe(at, at.since(before), total.arrived);
        let busy = self.busy_owners(at);
        if self.owners.count() > 0 {
            self.capacity.forget_slowly(at.since(before));
            let behind = |p: &PartitionModel| p.progress.behind_since.is_some_and(|s| s <= before);
            self.capacity.early.observe_owned(
                at.since(before),
                total.processed,
                self.owners.count(),
                self.partitions.values().all(behind),
            );
            return self.learn_from_owners(at, &busy);
        }
        self.learn_from_all(before, at, total);
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

    fn learn_from_all(&mut self, before: Timestamp, at: Timestamp, total: Step) {
        let known = self.known_per_consumer();
        if self.told.is_shared {
            let interval = Interval {
                end: at,
                covered: at.since(before),
                processed: total.processed,
                arrived: total.arrived.unwrap_or(0),
                undelivered: self.total(|p| part(p, |s| s.lag, |_| 0)),
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
        let backlog = Quantity::sum(self.partitions.values().map(PartitionModel::backlog));
        let uncommitted = self.partitions.values().filter_map(|p| p.uncommitted(at));
        let uncommitted: u64 = uncommitted.sum();
        let intervals = self
            .partitions
            .values()
            .filter_map(|p| p.commits.interval());
        let interval = BusyInterval {
            commit_interval: intervals.max().unwrap_or_default(),
            end: at,
            covered: at.since(before),
            processed: total.processed,
            backlog: backlog
                .and_then(Quantity::exact)
                .map(|backlog| backlog.saturating_sub(uncommitted)),
            arrived_lately: self.arrivals.within(self.capacity.behind(), at),
            consumers: self.consumers,
        };
        self.capacity
            .observe(&interval, known.map_or(0.0, |known| known * TRUSTED_RATIO));
    }

    /// Who holds partitions and is never idle.
    fn busy_owners(&mut self, at: Timestamp) -> Vec<Busy> {
        let lost: Vec<String> = self
            .partitions
            .values()
            .filter_map(|p| p.changed_hands.clone().flatten())
            .collect();
        let held = self.partitions.values().filter_map(|p| {
            Some(Held {
                owner: p.progress.owner()?,
                changed: p.changed_hands.is_some(),
                behind_since: p.progress.behind_since,
                moved_at: p.progress.moved_at,
                processed_per_second: p.recent_processing_per_second().unwrap_or(0.0),
                steady_processed_per_second: p.processing_per_second(at).unwrap_or(0.0),
                commit_interval: p.commits.interval(),
            })
        });
        self.owners.observe(at, held, &lost)
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
