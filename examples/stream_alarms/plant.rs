//! A made-up group: producers, a fleet that follows them late, commits every second poll.

use std::collections::VecDeque;
use std::time::Duration;

pub const POLL: Duration = Duration::from_secs(5);
const SECONDS: f64 = 5.0;
const POLLS_PER_DAY: usize = 17_280;
/// New replicas help after so many polls.
const START_UP: usize = 15;
/// Processing is averaged over so many polls.
const RATE_POLLS: usize = 6;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Steady,
    Daily,
    Bursty,
    Sparse,
    Nightly,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Steady,
        Self::Daily,
        Self::Bursty,
        Self::Sparse,
        Self::Nightly,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Daily => "daily",
            Self::Bursty => "bursty",
            Self::Sparse => "sparse",
            Self::Nightly => "night 0",
        }
    }

    fn per_second(self) -> f64 {
        match self {
            Self::Steady => 800.0,
            Self::Daily => 400.0,
            Self::Bursty => 200.0,
            Self::Sparse => 0.05,
            Self::Nightly => 50.0,
        }
    }

    /// How the load is spread over day and week.
    fn season(self, poll: usize) -> f64 {
        let hour = (poll % POLLS_PER_DAY) as f64 / 720.0;
        let wave = ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos();
        let weekend = if poll / POLLS_PER_DAY % 7 >= 5 {
            0.5
        } else {
            1.0
        };
        match self {
            Self::Steady | Self::Sparse => 1.0,
            Self::Nightly => wave.max(0.0) * weekend,
            Self::Daily | Self::Bursty => (1.0 + 0.6 * wave) * weekend,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    ConsumersStop,
    ProducersStop,
    DownstreamSlow,
    Errors,
}

impl Fault {
    pub const ALL: [Self; 4] = [
        Self::ConsumersStop,
        Self::ProducersStop,
        Self::DownstreamSlow,
        Self::Errors,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ConsumersStop => "consumers stop",
            Self::ProducersStop => "producers stop",
            Self::DownstreamSlow => "downstream slow",
            Self::Errors => "errors",
        }
    }
}

/// Processing per second, backlog, age in seconds, errors.
pub struct Signals(pub [f64; 4]);

pub struct Plant {
    kind: Kind,
    random: Random,
    poll: usize,
    /// Slow noise of the load, in logarithm.
    drift: f64,
    burst: f64,
    burst_ends: usize,
    deploy: usize,
    paused_until: usize,
    load_seen: f64,
    wanted: VecDeque<f64>,
    replicas: f64,
    arrived: f64,
    done: f64,
    committed: f64,
    /// Arrived in total by each poll that is not committed yet.
    waiting: VecDeque<(f64, usize)>,
    commits: VecDeque<f64>,
}

impl Plant {
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: Random::new(seed * 16 + kind as u64),
            poll: 0,
            drift: 0.0,
            burst: 1.0,
            burst_ends: 0,
            deploy: usize::MAX,
            paused_until: 0,
            load_seen: kind.per_second(),
            wanted: VecDeque::new(),
            replicas: 4.0,
            arrived: 0.0,
            done: 0.0,
            committed: 0.0,
            waiting: VecDeque::new(),
            commits: VecDeque::new(),
        }
    }

    pub fn step(&mut self, fault: Option<Fault>) -> Signals {
        let arrivals = self.arrivals(fault);
        self.arrived += arrivals;
        self.waiting.push_back((self.arrived, self.poll));
        let capacity = self.capacity(arrivals, fault);
        let processed = (self.arrived - self.done).min(capacity);
        self.done += processed;
        let before = self.committed;
        if self.poll % 2 == 1 {
            self.committed = self.done;
        }
        self.commits.push_back(self.committed - before);
        if self.commits.len() > RATE_POLLS {
            self.commits.pop_front();
        }
        while self
            .waiting
            .front()
            .is_some_and(|(total, _)| *total <= self.committed)
        {
            self.waiting.pop_front();
        }
        let oldest = self.waiting.front();
        let age = oldest.map_or(0.0, |(_, poll)| {
            (self.poll - poll) as f64 * SECONDS + self.random.unit()
        });
        let errors = if fault == Some(Fault::Errors) {
            processed * 0.2
        } else if self.random.unit() < 0.01 {
            self.random.poisson(processed * 0.002)
        } else {
            0.0
        };
        self.poll += 1;
        let rate = self.commits.iter().sum::<f64>() / (self.commits.len() as f64 * SECONDS);
        Signals([rate, self.arrived - self.committed, age, errors])
    }

    fn arrivals(&mut self, fault: Option<Fault>) -> f64 {
        self.drift = 0.992 * self.drift + 0.0126 * self.random.normal();
        let mut load = self.kind.per_second() * self.kind.season(self.poll) * self.drift.exp();
        if self.kind == Kind::Bursty {
            if self.poll >= self.burst_ends {
                self.burst = 1.0;
                // Five a day, 2 to 10 minutes.
                if self.random.unit() < 5.0 / POLLS_PER_DAY as f64 {
                    self.burst = 1.5 + 1.5 * self.random.unit();
                    self.burst_ends = self.poll + 24 + (100.0 * self.random.unit()) as usize;
                }
            }
            // A job at every full hour.
            load *= self.burst * if self.poll % 720 < 24 { 2.0 } else { 1.0 };
        }
        load *= 1.0 + 0.02 * self.poll as f64 / (7 * POLLS_PER_DAY) as f64;
        if fault == Some(Fault::ProducersStop) {
            load = 0.0;
        }
        self.random.poisson(load * SECONDS)
    }

    /// Messages that the fleet can do in this poll.
    fn capacity(&mut self, arrivals: f64, fault: Option<Fault>) -> f64 {
        let each = if self.kind == Kind::Sparse {
            5.0
        } else {
            self.kind.per_second() / 4.0
        };
        self.load_seen += 0.05 * (arrivals / SECONDS - self.load_seen);
        let backlog = self.arrived - self.done;
        self.wanted.push_back(
            (1.35 * self.load_seen / each + backlog / each / 60.0)
                .ceil()
                .max(1.0),
        );
        if self.wanted.len() > START_UP {
            let wanted = self.wanted.pop_front().unwrap_or(1.0);
            self.replicas = wanted.max(self.replicas - 0.02);
        }
        // One deploy in the working hours of each working day; nothing is processed for 5 to 15 s.
        if self.poll.is_multiple_of(POLLS_PER_DAY) && self.poll / POLLS_PER_DAY % 7 < 5 {
            self.deploy = self.poll + ((9.0 + 8.0 * self.random.unit()) * 720.0) as usize;
        }
        if self.poll == self.deploy {
            self.paused_until = self.poll + 1 + (3.0 * self.random.unit()) as usize;
        }
        let able = match fault {
            Some(Fault::ConsumersStop) => 0.0,
            Some(Fault::DownstreamSlow) => 0.3,
            _ if self.poll < self.paused_until => 0.0,
            _ => 1.0,
        };
        let noise = 1.0 + 0.05 * self.random.normal();
        (self.replicas * each * SECONDS * noise * able).max(0.0)
    }
}

/// The same numbers everywhere (Marsaglia's xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.unit());
        random
    }

    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().max(1e-300).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (enough, mut product, mut count) = ((-mean).exp(), self.unit(), 0.0);
        while product > enough {
            product *= self.unit();
            count += 1.0;
        }
        count
    }
}
