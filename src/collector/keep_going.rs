//! What fails for a fault of the program, or of what it was given, costs its own group a moment and no other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::publish::Group;
use crate::publish::contained::panic_text;
use crate::sources::guarded::GuardedSource;

use super::roles::collect_by_role;
use super::{Outlets, keeping};

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
        let collecting = AssertUnwindSafe(collect_by_role(group_too, source, outlets_too, clock));
        let Err(panic) = collecting.catch_unwind().await else {
            return;
        };
        if started.elapsed() >= RECOVERED_AFTER {
            failures = 0;
        }
        let got_on = group.decided_at() != decided_at;
        failures += 1;
        let name = &group.definition().name;
        let text = panic_text(panic.as_ref());
        tracing::error!(
            group = name,
            "the group's collector failed and is restarting: {text}"
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
