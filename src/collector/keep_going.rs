//! What fails for a fault of the program, or of what it was given, costs its own group a moment and no other.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::model::time::Timestamp;
use crate::publish::Group;
use crate::sources::guarded::GuardedSource;

use super::{Outlets, collect, keeping};

/// Until the first restart; twice as long before each that follows soon, …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A collector that ran for so long failed for another reason than before.
const RECOVERED_AFTER: Duration = Duration::from_secs(600);

/// Polls the group until it is retired, and starts over when that fails: without what was learned, where that may be why.
pub async fn keep_collecting(
    group: Arc<Group>,
    source: Arc<GuardedSource>,
    outlets: Outlets,
    clock: Clock,
) {
    let mut failures = 0_u32;
    loop {
        let (started, decided_at) = (Instant::now(), group.decided_at());
        let (group_too, source, outlets_too) = (group.clone(), source.clone(), outlets.clone());
        let collecting = AssertUnwindSafe(collect(group_too, source, outlets_too, clock));
        let Err(panic) = collecting.catch_unwind().await else {
            return;
        };
        if started.elapsed() >= RECOVERED_AFTER {
            failures = 0;
        }
        let got_on = group.decided_at() != decided_at;
        failures += 1;
        let name = &group.definition().name;
        let text = message(panic.as_ref());
        tracing::error!(
            group = name,
            "its collector failed and is started anew: {text}"
        );
        group.start_over(clock.now());
        if failures > 1 || !got_on {
            keeping::set_aside(&group, outlets.state.as_ref()).await;
        }
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(failures - 1).min(60);
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
}

/// How long what a group failed with is not tried again.
pub(super) const RESTS_FOR: Duration = Duration::from_secs(60);

/// Does a part of the work for a group, or for several at once. If that fails, these start over, which is counted and shown, and
/// nobody else is concerned: `None`.
pub(super) fn contained<'g, T>(
    groups: impl IntoIterator<Item = &'g Group>,
    at: Timestamp,
    work: impl FnOnce() -> T,
) -> Option<T> {
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => return Some(done),
        Err(panic) => panic,
    };
    let text = message(panic.as_ref());
    for group in groups {
        let name = &group.definition().name;
        tracing::error!(
            group = name,
            "what it was told failed, and it starts over: {text}"
        );
        group.start_over(at);
    }
    None
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why")
}
