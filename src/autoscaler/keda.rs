//! KEDA around the HPA: activation from zero, cooldown back to zero, and when it asks.

use std::time::Duration;

use crate::model::time::Timestamp;

use super::hpa::{Hpa, HpaSpec, Reading};

/// A ScaledObject with one trigger. The defaults are KEDA's own.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObjectSpec {
    /// `minReplicaCount`.
    pub min_replicas: u32,
    /// `pollingInterval`.
    pub polling_interval: Duration,
    /// `cooldownPeriod`: after the last activity, before the step to zero.
    pub cooldown: Duration,
    /// The HPA's sync period, a flag of the cluster's controller manager.
    pub hpa_sync: Duration,
    /// The HPA that KEDA makes; its minimum is derived.
    pub hpa: HpaSpec,
}

impl Default for ScaledObjectSpec {
    fn default() -> Self {
        Self {
            min_replicas: 0,
            polling_interval: Duration::from_secs(30),
            cooldown: Duration::from_secs(300),
            hpa_sync: Duration::from_secs(15),
            hpa: HpaSpec::default(),
        }
    }
}

/// What the scaler said in one round: GetMetricSpec, GetMetrics, IsActive. An error of any of them leaves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The metric.
    pub reading: Reading,
    /// IsActive.
    pub active: bool,
}

/// Which side asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// KEDA's poll loop, for activation and the step to zero.
    PollLoop,
    /// The HPA through KEDA's metrics server, only while something runs.
    Hpa,
}

/// One ScaledObject over time. It does not ask itself: the caller asks when [`Self::due`] says so and hands in the answer.
#[derive(Clone, Debug)]
pub struct ScaledObject {
    spec: ScaledObjectSpec,
    hpa: Hpa,
    replicas: u32,
    last_active: Option<Timestamp>,
    next_poll: Timestamp,
    next_sync: Timestamp,
}

impl ScaledObject {
    /// A ScaledObject that is created at `now` on a deployment of `replicas`.
    pub fn new(spec: ScaledObjectSpec, replicas: u32, now: Timestamp) -> Self {
        let hpa = HpaSpec {
            min_replicas: spec.min_replicas.max(1),
            ..spec.hpa.clone()
        };
        Self {
            hpa: Hpa::new(hpa),
            replicas,
            last_active: None,
            next_poll: now,
            next_sync: now.plus(spec.hpa_sync),
            spec,
        }
    }

    /// Replicas wanted of the deployment now.
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// When the scaler is to be asked next.
    pub fn next_due(&self) -> Timestamp {
        if self.replicas > 0 {
            self.next_poll.min(self.next_sync)
        } else {
            self.next_poll
        }
    }

    /// Who asks at `now`, if anybody.
    pub fn due(&self, now: Timestamp) -> Option<Asker> {
        if now >= self.next_poll {
            Some(Asker::PollLoop)
        } else if self.replicas > 0 && now >= self.next_sync {
            Some(Asker::Hpa)
        } else {
            None
        }
    }

    /// Takes the answer to a question that was due; `None` for an error.
    pub fn answered(&mut self, now: Timestamp, asker: Asker, answer: Option<Answer>) {
        match asker {
            Asker::PollLoop => {
                self.next_poll = now.plus(self.spec.polling_interval);
                if let Some(answer) = answer {
                    self.polled(now, answer.active);
                }
            }
            Asker::Hpa => {
                self.next_sync = now.plus(self.spec.hpa_sync);
                let reading = answer.map(|answer| answer.reading);
                self.replicas = self.hpa.sync(now, self.replicas, &[reading]);
            }
        }
    }

    /// An active scaler starts the first replica and refreshes the cooldown; an inactive one that cooled down goes to zero past
    /// the HPA. An error does neither.
    fn polled(&mut self, now: Timestamp, active: bool) {
        if active {
            self.last_active = Some(now);
            if self.replicas == 0 {
                self.replicas = self.spec.min_replicas.max(1);
                self.next_sync = now.plus(self.spec.hpa_sync);
            }
        } else if self.spec.min_replicas == 0 {
            let since = *self.last_active.get_or_insert(now);
            if now.since(since) >= self.spec.cooldown {
                self.replicas = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    /// Runs `seconds` with a scaler that answers by time; the counts whenever they change.
    fn run(
        replicas: u32,
        seconds: u64,
        scaler: impl Fn(u64) -> Option<(f64, bool)>,
    ) -> Vec<(u64, u32)> {
        let mut object = ScaledObject::new(ScaledObjectSpec::default(), replicas, START);
        let mut changes = vec![(0, replicas)];
        for second in 0..seconds {
            let now = START.plus(Duration::from_secs(second));
            while let Some(asker) = object.due(now) {
                let answer = scaler(second).map(|(value, active)| Answer {
                    reading: Reading::of_wire(0, value, 1, 1.0).unwrap(),
                    active,
                });
                object.answered(now, asker, answer);
            }
            if object.replicas() != changes.last().unwrap().1 {
                changes.push((second, object.replicas()));
            }
        }
        changes
    }

    #[test]
    fn an_active_scaler_starts_one_replica_and_the_hpa_takes_over() {
        assert_eq!(
            run(0, 60, |_| Some((7.0, true))),
            [(0, 0), (0, 1), (15, 5), (30, 7)]
        );
    }

    #[test]
    fn an_inactive_scaler_ends_all_replicas_after_the_cooldown_past_the_hpa() {
        let changes = run(8, 600, |second| Some((8.0, second < 100)));
        assert_eq!(changes, [(0, 8), (390, 0)]);
    }

    #[test]
    fn errors_change_nothing_however_long_they_last() {
        assert_eq!(run(8, 3_600, |_| None), [(0, 8)]);
        assert_eq!(run(0, 3_600, |_| None), [(0, 0)]);
    }

    #[test]
    fn a_zero_value_while_active_keeps_one_replica() {
        assert_eq!(run(1, 900, |_| Some((0.0, true))), [(0, 1)]);
    }
}
