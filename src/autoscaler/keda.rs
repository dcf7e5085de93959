//! KEDA around the HPA: activation from zero, cooldown back to zero, and when it asks.

use std::time::Duration;

use crate::model::time::Timestamp;

use super::hpa::{ExternalReading, Hpa, HpaSpec};

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
    /// Whether the trigger is of type `external-push`: what becomes active says so without being asked.
    pub is_pushed: bool,
}

impl Default for ScaledObjectSpec {
    fn default() -> Self {
        Self {
            min_replicas: 0,
            polling_interval: Duration::from_secs(30),
            cooldown: Duration::from_secs(300),
            hpa_sync: Duration::from_secs(15),
            hpa: HpaSpec::default(),
            is_pushed: false,
        }
    }
}

/// What the scaler said in one round: GetMetricSpec, GetMetrics, IsActive. An error of any of them leaves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalerAnswer {
    /// The metric.
    pub reading: ExternalReading,
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
    /// Whether the HPA syncs at zero, too, and finds nothing to do: its times stay the same.
    keeps_time: bool,
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
            keeps_time: false,
            spec,
        }
    }

    /// As in a real cluster: poll loop and HPA begin at times of their own, and the HPA keeps to its times whatever runs.
    #[must_use]
    pub fn out_of_phase(mut self, poll: Duration, sync: Duration) -> Self {
        self.next_poll = self.next_poll.plus(poll);
        self.next_sync = self.next_sync.plus(sync);
        self.keeps_time = true;
        self
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
    pub fn answered(&mut self, now: Timestamp, asker: Asker, answer: Option<ScalerAnswer>) {
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

    /// What a pushing scaler says of its own accord: that it is active starts the first replica, that it is not has no effect.
    pub fn pushed(&mut self, now: Timestamp, active: bool) {
        if self.spec.is_pushed && active && self.replicas == 0 {
            self.polled(now, true);
        }
    }

    /// An active scaler starts the first replica and refreshes the cooldown; an inactive one that cooled down goes to zero past
    /// the HPA, or is brought up to its minimum. An error does neither. As KEDA's `RequestScale`: who was never active
    /// has no cooldown to wait for.
    fn polled(&mut self, now: Timestamp, active: bool) {
        if active {
            self.last_active = Some(now);
            if self.replicas == 0 {
                self.start(now, self.spec.min_replicas.max(1));
            }
        } else if self.replicas < self.spec.min_replicas {
            self.start(now, self.spec.min_replicas);
        } else if self.spec.min_replicas == 0 && self.cooled_down(now) {
            self.replicas = 0;
        }
    }

    /// KEDA sets the count itself; from zero the HPA wakes up and syncs a period later.
    fn start(&mut self, now: Timestamp, replicas: u32) {
        if self.replicas == 0 && self.keeps_time {
            while self.next_sync <= now {
                self.next_sync = self.next_sync.plus(self.spec.hpa_sync);
            }
        } else if self.replicas == 0 {
            self.next_sync = now.plus(self.spec.hpa_sync);
        }
        self.replicas = replicas;
    }

    fn cooled_down(&self, now: Timestamp) -> bool {
        self.last_active
            .is_none_or(|last| now.since(last) >= self.spec.cooldown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn answer(value: f64, active: bool) -> Option<ScalerAnswer> {
        let reading = ExternalReading::of_wire(0, value, 1, 1.0)?;
        Some(ScalerAnswer { reading, active })
    }

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
                let said = scaler(second).and_then(|(value, active)| answer(value, active));
                object.answered(now, asker, said);
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

    #[test]
    fn replicas_that_keda_never_saw_active_end_at_the_first_poll() {
        assert_eq!(run(8, 600, |_| Some((8.0, false))), [(0, 8), (0, 0)]);
    }

    #[test]
    fn fewer_than_the_minimum_are_brought_up_to_it_active_or_not() {
        let check = |active, least: u32| {
            let spec = ScaledObjectSpec {
                min_replicas: 3,
                ..ScaledObjectSpec::default()
            };
            let mut object = ScaledObject::new(spec, least, START);
            object.answered(START, Asker::PollLoop, answer(0.0, active));
            object.replicas()
        };
        assert_eq!(check(true, 0), 3);
        assert_eq!(check(false, 0), 3);
        assert_eq!(check(false, 5), 5, "the HPA takes care of the rest");
    }

    #[test]
    fn at_zero_only_the_poll_loop_asks() {
        let mut object = ScaledObject::new(ScaledObjectSpec::default(), 0, START);
        let later = START.plus(Duration::from_secs(29));
        object.answered(START, Asker::PollLoop, answer(0.0, false));
        assert_eq!(object.due(later), None);
        assert_eq!(object.next_due(), START.plus(Duration::from_secs(30)));
        let mut running = ScaledObject::new(ScaledObjectSpec::default(), 1, START);
        running.answered(START, Asker::PollLoop, answer(1.0, true));
        assert_eq!(running.due(later), Some(Asker::Hpa));
    }

    #[test]
    fn keda_s_end_to_end_figures() {
        let settled = |value: f64, active| {
            let mut object = ScaledObject::new(ScaledObjectSpec::default(), 0, START);
            for second in 0..60 {
                let now = START.plus(Duration::from_secs(second));
                while let Some(asker) = object.due(now) {
                    let reading = ExternalReading::of_wire(value as i64, value, 10, 0.0).unwrap();
                    object.answered(now, asker, Some(ScalerAnswer { reading, active }));
                }
            }
            object.replicas()
        };
        assert_eq!(settled(30.0, true), 3);
        assert_eq!(settled(10.0, true), 1);
        assert_eq!(settled(20.0, true), 2);
        assert_eq!(settled(0.0, false), 0);
    }

    proptest! {
        #[test]
        fn only_an_answer_moves_it_and_only_a_cooled_down_one_ends_it(
            answers in prop::collection::vec(prop::option::of((0.0_f64..200.0, any::<bool>())), 1..200),
        ) {
            let mut object = ScaledObject::new(ScaledObjectSpec::default(), 0, START);
            let mut last_active = None;
            for said in answers {
                let now = object.next_due();
                let asker = object.due(now).unwrap();
                let before = object.replicas();
                object.answered(now, asker, said.and_then(|(value, active)| answer(value, active)));
                let after = object.replicas();
                let active = said.is_some_and(|(_, active)| active);
                prop_assert!(object.due(now) != Some(asker), "asked twice");
                prop_assert!(after <= 100);
                prop_assert!(said.is_some() || after == before, "an error moved it");
                prop_assert!(before > 0 || after == u32::from(active), "{before} → {after}");
                if before > 0 && after == 0 {
                    let since = last_active.map(|last| now.since(last));
                    prop_assert!(asker == Asker::PollLoop && !active);
                    prop_assert!(since.is_none_or(|since| since >= Duration::from_secs(300)));
                }
                if asker == Asker::PollLoop && active {
                    last_active = Some(now);
                }
            }
        }
    }
}
