//! One watch: list everything, then take in every change for as long as anybody wants it.
//!
//! Written out instead of `kube::runtime::watcher`, which renews an idle watch without a word: here each renewal is the proof
//! that the connection lives, and each call counts against one budget.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::scaled_object::Unread;

use super::failure::{self, Asked};
use super::resource::WatchScope;
use super::shared::{DEADLINE, Shared};
use super::shelf::Item;

/// Objects per page of a list.
const PAGE: u32 = 500;

/// The pause after a first fault; it doubles to at most the time between two renewals.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A server that ends every watch at once is not asked again in a tight loop.
const APART: Duration = Duration::from_secs(1);

/// The position in the history that the server keeps is gone: everything has to be listed again.
const GONE: u16 = 410;

enum WatchFault {
    Gone,
    Unread(Unread),
}

impl From<Unread> for WatchFault {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Follows a place. Never ends on its own.
pub(super) async fn follow(shared: &Shared, place: &WatchScope, renewal: Duration) {
    let longest_pause = renewal.max(FIRST_PAUSE * 5);
    let mut pause = FIRST_PAUSE;
    let mut version: Option<String> = None;
    loop {
        let started = Instant::now();
        let went = match &version {
            None => list(shared, place).await.map_err(WatchFault::from),
            Some(at) => watch(shared, place, at, renewal).await,
        };
        match went {
            Ok(at) => {
                let was_listed = version.is_none();
                version = Some(at);
                pause = FIRST_PAUSE;
                if !was_listed {
                    sleep(APART.saturating_sub(started.elapsed())).await;
                }
            }
            Err(WatchFault::Gone) => {
                version = None;
                sleep(APART.saturating_sub(started.elapsed())).await;
            }
            Err(WatchFault::Unread(unread)) => {
                if !unread.kind.is_outage() {
                    version = None;
                }
                shared.failed(place, unread);
                sleep(pause).await;
                pause = (pause * 2).min(longest_pause);
            }
        }
    }
}

/// Reads all objects, page by page. The position from which changes are to be followed.
async fn list(shared: &Shared, place: &WatchScope) -> Result<String, Unread> {
    let asked = Asked {
        verb: "list",
        place,
    };
    let mut params = ListParams::default().limit(PAGE);
    if let Some(selector) = place.label_selector() {
        params = params.labels(selector);
    }
    let mut items = BTreeMap::new();
    loop {
        let api = api(shared, place).await?;
        let page = timeout(DEADLINE, api.list(&params)).await;
        let page = page
            .map_err(|_| failure::timed_out(DEADLINE))?
            .map_err(|error| failure::of(&error, &asked))?;
        items.extend(page.items.iter().filter_map(|found| {
            let name = found.metadata.name.clone()?;
            Some((name, Item::of(place, found)?))
        }));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => {
                shared.listed(place, items);
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
        }
    }
}

/// Takes in changes until the server ends the watch, as it is asked to. The position to go on from.
async fn watch(
    shared: &Shared,
    place: &WatchScope,
    version: &str,
    renewal: Duration,
) -> Result<String, WatchFault> {
    let asked = Asked {
        verb: "watch",
        place,
    };
    let seconds = u32::try_from(renewal.as_secs().max(1)).unwrap_or(u32::MAX);
    let mut params = WatchParams::default().timeout(seconds);
    if let Some(selector) = place.label_selector() {
        params = params.labels(selector);
    }
    let api = api(shared, place).await?;
    let opened = timeout(DEADLINE, api.watch(&params, version)).await;
    let changes = match opened {
        Err(_) => return Err(failure::timed_out(DEADLINE).into()),
        Ok(Err(kube::Error::Api(status))) if status.code == GONE => return Err(WatchFault::Gone),
        Ok(Err(error)) => return Err(failure::of(&error, &asked).into()),
        Ok(Ok(changes)) => changes,
    };
    shared.alive(place);
    // Who keeps silent for longer than the server was asked to is not there any more.
    let end = Instant::now() + renewal + DEADLINE;
    let mut changes = std::pin::pin!(changes);
    let mut version = version.to_owned();
    loop {
        let change = match timeout_at(end, changes.next()).await {
            Err(_) => return Err(failure::timed_out(renewal + DEADLINE).into()),
            Ok(None) => {
                shared.alive(place);
                return Ok(version);
            }
            Ok(Some(change)) => change.map_err(|error| failure::of(&error, &asked))?,
        };
        let (found, is_there) = match change {
            WatchEvent::Added(found) | WatchEvent::Modified(found) => (found, true),
            WatchEvent::Deleted(found) => (found, false),
            WatchEvent::Bookmark(mark) => {
                version = mark.metadata.resource_version;
                shared.alive(place);
                continue;
            }
            WatchEvent::Error(status) if status.code == GONE => return Err(WatchFault::Gone),
            WatchEvent::Error(status) => {
                return Err(failure::of_status(status.code, &asked).into());
            }
        };
        if let Some(at) = &found.metadata.resource_version {
            version.clone_from(at);
        }
        if let Some(name) = found.metadata.name.clone() {
            let item = is_there.then(|| Item::of(place, &found)).flatten();
            shared.changed(place, name, item);
        }
    }
}

/// What a call goes through, once there is room for one more.
async fn api(shared: &Shared, place: &WatchScope) -> Result<Api<DynamicObject>, Unread> {
    let client = shared.client().await?;
    while let Err(wait) = shared.take_leave() {
        sleep(wait).await;
    }
    let resource = place.resource.api();
    Ok(Api::namespaced_with(client, &place.namespace, &resource))
}
