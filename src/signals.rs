//! Signals from outside the stream: PromQL expressions.
//!
//! Nothing rests on it: what cannot be had is unknown, never 0, and never touches scaling.

mod answer;
mod ask;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::signals::PrometheusConfig;
use crate::model::sample::{Failure, FailureKind};
use crate::model::signal::SignalReading;
use crate::resilience::breaker::{AttemptOutcome, BreakerSettings, CircuitBreaker, Permit, Ticket};
use crate::resilience::caller::Caller;

use self::ask::PromqlSession;

/// How the questions went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrometheusStats {
    /// Whether it answered the last time; `None` while nothing was asked.
    pub up: Option<bool>,
    /// Questions that were sent.
    pub queries: u64,
    /// Questions without a usable answer by class, those that the circuit denied included. An answer without a value is none.
    pub errors: BTreeMap<FailureKind, u64>,
}

/// The Prometheus of the config, behind its circuit breaker.
#[derive(Debug)]
pub struct Prometheus {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None`: no Prometheus is configured.
    config: Option<PrometheusConfig>,
    session: Option<PromqlSession>,
    breaker: CircuitBreaker,
    /// One for all expressions.
    caller: Caller,
    stats: PrometheusStats,
    /// Why the circuit is open.
    outage: Option<String>,
}

impl Prometheus {
    /// Connects at the first question.
    pub fn new(config: Option<PrometheusConfig>, clock: Clock) -> Self {
        Self {
            clock,
            inner: Mutex::new(Inner::new(config)),
        }
    }

    /// Takes another configuration.
    pub fn reconfigure(&self, config: Option<PrometheusConfig>) {
        *self.inner() = Inner::new(config);
    }

    /// How often each expression is to be asked; `None`: never.
    pub fn interval(&self) -> Option<Duration> {
        Some(self.inner().config.as_ref()?.interval)
    }

    /// Statistics of the queries; `None` if no Prometheus is configured.
    pub fn stats(&self) -> Option<PrometheusStats> {
        let inner = self.inner();
        inner.config.as_ref().map(|_| inner.stats.clone())
    }

    /// The value of an expression now. A question that cannot be answered is an answer, too: no value, and why.
    pub async fn read(&self, expression: &str) -> SignalReading {
        // The start of the question, so that the answer is never taken for fresher than it is.
        let at = self.clock.now();
        let said = match self.permit() {
            Ok((ticket, config)) => {
                let asked = self.ask(&config, expression).await;
                self.record(ticket, &asked);
                asked
            }
            Err(failure) => {
                self.inner().stats.failed(failure.kind);
                Err(failure)
            }
        };
        let said = said.map_err(|failure| failure.text);
        let (value, problem) = match said.and_then(|said| said) {
            Ok(value) => (Some(value), None),
            Err(why) => (None, Some(why)),
        };
        SignalReading { at, value, problem }
    }

    fn permit(&self) -> Result<(Ticket, PrometheusConfig), Failure> {
        let now = self.clock.now();
        let inner = &mut *self.inner();
        let Some(config) = inner.config.clone() else {
            let text = "the config has no prometheus section";
            return Err(Failure::new(FailureKind::Misconfigured, text));
        };
        match inner.breaker.permit(now, config.timeout, &inner.caller) {
            Permit::Allowed(ticket) => Ok((ticket, config)),
            Permit::Denied => {
                let why = inner.outage.as_deref().unwrap_or("it did not answer");
                let text = format!(
                    "prometheus keeps failing, so its circuit is open and only probes are sent: {why}"
                );
                Err(Failure::new(FailureKind::CircuitOpen, text))
            }
        }
    }

    /// Asks over the connection in use, or over a new one where secrets or authorities have changed.
    async fn ask(
        &self,
        config: &PrometheusConfig,
        expression: &str,
    ) -> Result<answer::Said, Failure> {
        let basis = ask::PromqlBasis::read(config)?;
        let session = {
            let mut inner = self.inner();
            if !inner.session.as_ref().is_some_and(|s| s.rests_on(&basis)) {
                inner.session = Some(PromqlSession::open(config, basis)?);
            }
            inner.stats.queries += 1;
            inner.session.clone()
        };
        match session {
            Some(session) => session.ask(expression).await,
            None => Err(Failure::new(FailureKind::Transient, "reconfigured")),
        }
    }

    fn record(&self, ticket: Ticket, asked: &Result<answer::Said, Failure>) {
        let now = self.clock.now();
        let inner = &mut *self.inner();
        let failure = asked.as_ref().err();
        let outcome = AttemptOutcome::of(failure);
        let caller = &mut inner.caller;
        inner.breaker.record(now, ticket, caller, outcome);
        if outcome != AttemptOutcome::Refused {
            inner.outage = failure.map(|failure| failure.text.clone());
        }
        inner.stats.up = Some(failure.is_none());
        if let Some(failure) = failure {
            inner.stats.failed(failure.kind);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(config: Option<PrometheusConfig>) -> Self {
        let settings = BreakerSettings::for_poll_interval(Duration::from_secs(1));
        let mut breaker = CircuitBreaker::new(settings);
        Self {
            config,
            session: None,
            caller: breaker.admit(Duration::ZERO),
            breaker,
            stats: PrometheusStats::default(),
            outage: None,
        }
    }
}

impl PrometheusStats {
    fn failed(&mut self, kind: FailureKind) {
        *self.errors.entry(kind).or_default() += 1;
    }
}
