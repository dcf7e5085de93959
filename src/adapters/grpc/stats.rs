//! How KEDA's calls were answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use tonic::{Code, Status};

use crate::trace::Durations;

/// Upper bounds in seconds: an answer comes from memory.
const DURATIONS: [f64; 10] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0,
];

/// Upper bounds in seconds: around poll intervals and the limits of freshness.
const AGES: [f64; 10] = [0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 150.0, 300.0];

/// The five methods. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Is there work?
    IsActive,
    /// Which metrics, with which targets?
    GetMetricSpec,
    /// How much.
    GetMetrics,
    /// A stream of answers, counted when it is opened.
    StreamIsActive,
    /// Likewise.
    StreamMetricSpec,
}

impl Method {
    /// Every method, in label order.
    pub const ALL: [Self; 5] = [
        Self::IsActive,
        Self::GetMetricSpec,
        Self::GetMetrics,
        Self::StreamIsActive,
        Self::StreamMetricSpec,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IsActive => "IsActive",
            Self::GetMetricSpec => "GetMetricSpec",
            Self::GetMetrics => "GetMetrics",
            Self::StreamIsActive => "StreamIsActive",
            Self::StreamMetricSpec => "StreamMetricSpec",
        }
    }
}

/// Whose answer one is, where there are several replicas. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnsweredBy {
    /// This replica's, which owns the group.
    Owner,
    /// Another one's, which was asked.
    Other,
    /// This replica's, which follows the owner and could not reach it.
    Standby,
}

impl AnsweredBy {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Other, Self::Standby];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Other => "other",
            Self::Standby => "standby",
        }
    }
}

/// Counts calls.
#[derive(Debug)]
pub struct RpcStats {
    durations: [Durations; Method::ALL.len()],
    ages: Histogram,
    answers: Mutex<BTreeMap<(Method, &'static str), u64>>,
    by: [AtomicU64; AnsweredBy::ALL.len()],
}

impl Default for RpcStats {
    fn default() -> Self {
        Self {
            durations: Method::ALL.map(|_| Durations::new(&DURATIONS)),
            ages: Histogram::new(AGES),
            answers: Mutex::default(),
            by: Default::default(),
        }
    }
}

impl RpcStats {
    /// Answers a call, and counts how.
    pub fn timed<T>(
        &self,
        method: Method,
        answer: impl FnOnce() -> Result<T, Status>,
    ) -> Result<T, Status> {
        let started = Instant::now();
        let answered = answer();
        let code = answered.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.count(method, code, started.elapsed());
        answered
    }

    /// Counts an answered call.
    pub fn count(&self, method: Method, code: Code, took: Duration) {
        self.durations[method as usize].observe(took);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((method, name_of(code))).or_default() += 1;
    }

    /// Counts whose answer one was.
    pub fn answered_by(&self, by: AnsweredBy) {
        self.by[by as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers were whose.
    pub fn by(&self, by: AnsweredBy) -> u64 {
        self.by[by as usize].load(Ordering::Relaxed)
    }

    /// Counts how old the observation is that an answer rests on.
    pub fn rests_on(&self, age: Duration) {
        self.ages.observe(age.as_secs_f64());
    }

    /// How long answers took.
    pub fn durations(&self, method: Method) -> &Durations {
        &self.durations[method as usize]
    }

    /// How old the observations were that answers rested on.
    pub const fn ages(&self) -> &Histogram {
        &self.ages
    }

    /// Calls by method and code.
    pub fn answers(&self) -> BTreeMap<(Method, &'static str), u64> {
        let answers = self.answers.lock();
        answers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// As the gRPC specification spells it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
