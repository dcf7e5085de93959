//! Answers about groups, as they are or as they were. The past is computed from the journals: one moment at a time, on a thread that
//! gives way to everything else.

use std::time::{Duration, Instant, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, de};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::adapters::packed::{Answers, TooMany, by_turns};
use crate::adapters::view::GroupView;
use crate::adapters::views::HttpState;
use crate::clock;
use crate::config::signals::SignalSources;
use crate::config::types::Granularity;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;
use crate::publish::GroupDefinition;
use crate::publish::archive::{Archive, Glance, KeptJournal, PastError};

use super::answer::{ApiError, views};
use super::target::Askers;

/// How long a request waits until nobody else looks into the past.
const PATIENCE: Duration = Duration::from_secs(10);
/// What takes longer is given up: 10,000 partitions that are busy all the time take a minute for an hour and a half of polls.
const LONGEST: Duration = Duration::from_secs(60);
/// Steps back behind all that answers and polls.
const NICENESS: i32 = 19;
/// Of a group that is not there any more.
const UNKNOWN_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A moment by the wall clock, RFC 3339 in UTC.
#[derive(Clone, Copy)]
pub(super) struct PastTime(Timestamp);

impl<'de> Deserialize<'de> for PastTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = humantime::parse_rfc3339(&text).ok();
        let millis = at.and_then(|at| {
            at.duration_since(UNIX_EPOCH)
                .ok()?
                .as_millis()
                .try_into()
                .ok()
        });
        let at = millis.map(|millis| Self(Timestamp::from_millis(millis)));
        at.ok_or_else(|| de::Error::custom("must be a time in UTC such as 2026-11-30T03:14:00Z"))
    }
}

/// Every group, as it is or as it was.
pub(super) struct GroupsThen {
    /// Who asks, and when KEDA last called.
    pub askers: Askers,
    state: HttpState,
    then: Option<Then>,
}

struct Then {
    archive: Archive,
    at: Timestamp,
    reach: Duration,
    began: Instant,
    given_up: CancellationToken,
}

impl GroupsThen {
    /// All of them, one after the other, or the one of that name. What is said of one counts for that one alone.
    ///
    /// # Errors
    /// There is none of that name, or none at that time.
    pub fn groups<'s>(
        &'s self,
        name: Option<&str>,
    ) -> Result<Box<dyn Iterator<Item = Result<GroupView, ApiError>> + 's>, ApiError> {
        let Some(then) = &self.then else {
            let mut views = views(&self.state);
            if let Some(name) = name {
                views.retain(|group| group.definition().name == name);
                if views.is_empty() {
                    return Err(ApiError::NoSuchGroup(name.to_owned()));
                }
            }
            return Ok(Box::new(views.into_iter().map(Ok)));
        };
        let now = clock::on_the_wall((self.state.now)());
        let journals = then.archive.reaching(name, then.at, now)?;
        let is_one = name.is_some();
        Ok(Box::new(
            journals
                .into_iter()
                .map(move |kept| then.view(&kept, &self.state, is_one)),
        ))
    }

    /// The one of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn group(&self, name: &str) -> Result<GroupView, ApiError> {
        let found = self.groups(Some(name))?.next();
        found.unwrap_or_else(|| Err(ApiError::NoSuchGroup(name.to_owned())))
    }
}

impl Then {
    fn view(
        &self,
        kept: &KeptJournal,
        state: &HttpState,
        is_one: bool,
    ) -> Result<GroupView, ApiError> {
        let is_wanted = || !self.given_up.is_cancelled() && self.began.elapsed() < LONGEST;
        let glance = Glance {
            at: self.at,
            reach: self.reach,
            is_wanted: &is_wanted,
        };
        let definition = definition(kept, state);
        let past = match is_one {
            true => self.archive.keep(kept, definition, glance)?,
            false => self.archive.at(kept, definition, glance)?,
        };
        clock::stamp_by(past.wall);
        Ok(GroupView::new(past.group, past.now))
    }
}

/// As it is configured now; what was asked for is in the journal.
fn definition(kept: &KeptJournal, state: &HttpState) -> GroupDefinition {
    let groups = state.registry.groups();
    let mut definitions = groups.iter().map(|group| group.definition());
    match definitions.find(|definition| definition.key == kept.group) {
        Some(definition) => definition.clone(),
        None => GroupDefinition {
            name: kept.name.clone(),
            key: kept.group.clone(),
            selector: StreamSelector::Whole,
            poll_interval: UNKNOWN_POLL_INTERVAL,
            settings: PolicySettings::default(),
            signals: SignalSources::default(),
            granularity: Granularity::default(),
            configured: false,
        },
    }
}

/// Makes an answer from all groups: now, or at that moment with the polls of the time before it. Never on a thread of the runtime.
pub(super) async fn answer(
    state: HttpState,
    at: Option<PastTime>,
    reach: Duration,
    make: impl FnOnce(&GroupsThen) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let failed = |_| Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    let Some(PastTime(at)) = at else {
        let askers = Askers::of(&state);
        let groups = GroupsThen {
            askers,
            state,
            then: None,
        };
        let made = tokio::task::spawn_blocking(move || make(&groups));
        return made.await.unwrap_or_else(|_| failed(()));
    };
    let archive = state.views.archive.clone().ok_or(ApiError::NoJournal)?;
    let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, archive.turn()).await else {
        return Ok(TooMany.into_response());
    };
    let given_up = CancellationToken::new();
    // Who asked may be gone: then there is nobody to compute it for.
    let _gives_up = given_up.clone().drop_guard();
    let (made, answer) = oneshot::channel();
    let then = Then {
        archive: archive.clone(),
        at,
        reach,
        began: Instant::now(),
        given_up,
    };
    let look = move || {
        give_way();
        let askers = Askers::of_the_past(&state.registry);
        let groups = GroupsThen {
            askers,
            state,
            then: Some(then),
        };
        let answer = make(&groups);
        drop(groups);
        drop(turn);
        // Fails where nobody waits any more.
        let _ = made.send(answer);
    };
    // Its own, and not the runtime's for blocking work: it stays behind others.
    let thread = std::thread::Builder::new().name("past".into()).spawn(look);
    if thread.is_err() {
        return Ok(TooMany.into_response());
    }
    let answer = answer.await;
    tokio::spawn(async move { archive.forget().await });
    answer.unwrap_or_else(|_| failed(()))
}

/// Elsewhere it would be the whole process that gives way.
#[cfg(target_os = "linux")]
fn give_way() {
    // Where that is not allowed, it computes beside the others.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// As [`by_turns`], but for the past, which has a turn of its own: what takes long keeps nobody waiting who asks for now.
pub(super) async fn by_turns_now(
    State(answers): State<Answers>,
    request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    match query.split('&').any(|part| part.starts_with("at=")) {
        true => next.run(request).await,
        false => by_turns(State(answers), request, next).await,
    }
}

impl From<PastError> for ApiError {
    fn from(error: PastError) -> Self {
        Self::Past(error)
    }
}
