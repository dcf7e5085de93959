//! Server-sent events: open pages get every group that has a new observation or decision.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::adapters::view::GroupView;
use crate::adapters::views::HttpState;
use crate::inbound::Peer;
use crate::inbound::seats::{Seat, Seats};
use crate::shutdown::Phase;

use super::answer::views;
use super::group::GroupShape;
use super::target::Askers;
use super::values::rfc3339;

/// Listeners at a time: each costs a little work whenever something changes.
pub(super) const MOST_LISTENERS: usize = 64;

/// Changes within this time are sent together.
const EVERY: Duration = Duration::from_millis(500);

/// An event is sent at least this often, even without a group, so that a client can tell a dead connection from a quiet one.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a browser waits before it asks again.
const RETRY: Duration = Duration::from_secs(1);

/// Groups that changed, without their partitions.
#[derive(Serialize)]
struct Changes {
    at: String,
    groups: Vec<GroupShape>,
    /// Names of groups that are gone.
    gone: Vec<String>,
}

struct Listener {
    state: HttpState,
    /// Every group as it was last sent.
    told: HashMap<String, GroupView>,
    tick: Interval,
    /// When something was sent last; `None`: never.
    sent: Option<Instant>,
    _seat: Seat,
}

/// Where too many listen, the oldest connection of the client that has the most of them is closed.
pub(super) async fn events(
    State((state, listeners)): State<(HttpState, Arc<Seats>)>,
    client: Option<Extension<Peer>>,
) -> impl IntoResponse {
    let Extension(client) = client.unwrap_or_default();
    let stream = changes(state, listeners.take(&client));
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// Ends at shutdown, which need not wait for open pages.
fn changes(state: HttpState, seat: Seat) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        state,
        told: HashMap::new(),
        tick,
        sent: None,
        _seat: seat,
    };
    stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    })
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        let shutdown = self.state.shutdown.clone();
        loop {
            tokio::select! {
                _ = self.tick.tick() => {}
                () = shutdown.reached(Phase::Stopping) => return None,
            }
            let changes = self.look();
            // The first is sent in any case: it says that the line stands.
            let is_due = self.sent.is_none_or(|sent| sent.elapsed() >= SILENCE);
            if is_due || !changes.groups.is_empty() || !changes.gone.is_empty() {
                self.sent = Some(Instant::now());
                let event = Event::default().event("groups").retry(RETRY);
                return event.json_data(changes).ok();
            }
        }
    }

    fn look(&mut self) -> Changes {
        let askers = Askers::of(&self.state);
        let mut told = std::mem::take(&mut self.told);
        let mut groups = Vec::new();
        for group in views(&self.state) {
            let name = group.definition().name.clone();
            let before = told.remove(&name);
            if before.is_none_or(|before| group.has_changed_since(&before)) {
                groups.push(GroupShape::summary(&group, &askers));
            }
            self.told.insert(name, group);
        }
        Changes {
            at: rfc3339((self.state.now)()),
            groups,
            gone: told.into_keys().collect(),
        }
    }
}
