//! Incidents on their way to a configured webhook: signed, one after the other, tried again while they are news.

mod event;
mod post;
mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::{Clock, on_the_wall};
use crate::config::incidents::WebhookConfig;
use crate::model::time::Timestamp;
use crate::publish::notices::{IncidentChange, Notice};

use self::post::{PostResult, post};

/// Notifications expire after this time.
const NEWS_FOR: Duration = Duration::from_secs(15 * 60);

/// The pause after the first failed attempt; it doubles with each, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Longer than this is not waited because a receiver asks for it.
const LONGEST_ASKED: Duration = Duration::from_secs(5 * 60);

/// What became of a notification. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotificationOutcome {
    /// The receiver took it.
    Delivered,
    /// The receiver, or the config, does not let it be delivered: it is not tried again.
    Refused,
    /// It was tried until it was no news any more.
    Expired,
    /// Too many waited.
    Lost,
}

impl NotificationOutcome {
    /// Every outcome, in label order.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::Expired, Self::Lost];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }
}

/// The webhook of the config.
#[derive(Debug)]
pub struct Webhook {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// `None`: no webhook.
    config: Option<WebhookConfig>,
    outcomes: BTreeMap<NotificationOutcome, u64>,
    /// Whether a piece of news is on its way now.
    is_busy: bool,
    /// What was logged last of a failure; `None` after a success.
    said: Option<String>,
}

impl Webhook {
    /// Connects for each piece of news.
    pub fn new(config: Option<WebhookConfig>, clock: Clock) -> Self {
        let inner = Inner {
            config,
            ..Inner::default()
        };
        Self {
            clock,
            inner: Mutex::new(inner),
        }
    }

    /// Takes another configuration; the next attempt goes by it.
    pub fn reconfigure(&self, config: Option<WebhookConfig>) {
        self.inner().config = config;
    }

    /// Whether there is a webhook.
    pub fn is_configured(&self) -> bool {
        self.inner().config.is_some()
    }

    /// What became of the notifications so far; those lost on the way here are not among them.
    pub fn outcomes(&self) -> BTreeMap<NotificationOutcome, u64> {
        self.inner().outcomes.clone()
    }

    /// Whether one is on its way now.
    pub fn is_busy(&self) -> bool {
        self.inner().is_busy
    }

    /// Delivers the queue in order. Ends when the queue is closed.
    pub async fn deliver(self: Arc<Self>, mut queue: mpsc::Receiver<Notice>) {
        let mut told = BTreeSet::new();
        while let Some(notice) = queue.recv().await {
            let incident = (notice.group.clone(), notice.incident.number);
            // Of what was told once, the end and what it turned out to be are told, too.
            let wanted = self.wants(&notice) || told.contains(&incident);
            match notice.change {
                IncidentChange::Ended => drop(told.remove(&incident)),
                _ if wanted => drop(told.insert(incident)),
                _ => {}
            }
            if wanted {
                self.inner().is_busy = true;
                let outcome = self.deliver_one(&notice).await;
                let mut inner = self.inner();
                inner.is_busy = false;
                if let Some(outcome) = outcome {
                    *inner.outcomes.entry(outcome).or_default() += 1;
                }
            }
        }
    }

    fn wants(&self, notice: &Notice) -> bool {
        let inner = self.inner();
        let kinds = inner.config.as_ref().map(|config| &config.kinds);
        kinds.is_some_and(|kinds| kinds.contains(&notice.incident.kind))
    }

    /// Retries until the notification is delivered, rejected or expired; `None` if the webhook was removed.
    async fn deliver_one(&self, notice: &Notice) -> Option<NotificationOutcome> {
        let id = event::id(notice);
        let mut pause = FIRST_PAUSE;
        loop {
            let config = self.inner().config.clone()?;
            // Who receives it compares that with a clock of their own.
            let now = on_the_wall(self.clock.now());
            let body = event::body(&config.source, &id, notice);
            let wait = match post(&config, &id, now, body).await {
                PostResult::Taken => {
                    self.say(None);
                    return Some(NotificationOutcome::Delivered);
                }
                PostResult::Refused(why) => {
                    self.say(Some(why));
                    return Some(NotificationOutcome::Refused);
                }
                PostResult::Later(why, asked) => {
                    self.say(Some(why));
                    asked.map_or(pause, |asked| asked.min(LONGEST_ASKED).max(pause))
                }
            };
            if self.is_old(notice.at, wait) {
                return Some(NotificationOutcome::Expired);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_old(&self, at: Timestamp, wait: Duration) -> bool {
        self.clock.now().plus(wait).since(at) > NEWS_FOR
    }

    /// Logs a failure when it is new, and that there is none any more.
    fn say(&self, problem: Option<String>) {
        let mut inner = self.inner();
        if inner.said == problem {
            return;
        }
        match &problem {
            Some(why) => tracing::warn!("incident notifications fail: {why}"),
            None => tracing::info!("incident notifications work again"),
        }
        inner.said = problem;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
