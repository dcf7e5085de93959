//! The order of shutdown: announce it, wait until no new work arrives, end streams, finish calls.

use std::time::Duration;

use tokio::sync::watch;

/// Steps on the way out; later ones include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// Health and readiness say no; calls are still answered while load balancers notice.
    Draining,
    /// Streams end, no new connections; calls in flight finish.
    Stopping,
}

/// How long callers get to notice that health says no.
pub const DRAIN: Duration = Duration::from_secs(5);
/// How long calls in flight get to finish.
pub const FINISH: Duration = Duration::from_secs(10);

/// Signals shutdown to the parts of the program.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: watch::Sender<Phase>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Running),
        }
    }
}

impl Shutdown {
    /// Moves on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let later = phase > *current;
            *current = phase.max(*current);
            later
        });
    }

    /// Waits until `phase` is reached.
    pub async fn reached(&self, phase: Phase) {
        let mut changes = self.phase.subscribe();
        // Cannot fail: `self` holds the sender.
        let _ = changes.wait_for(|current| *current >= phase).await;
    }

    /// Whether `phase` is reached.
    pub fn has_reached(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }
}

/// SIGTERM or Ctrl-C. The handlers stand when this returns, not when the future is first polled: what is started in between is
/// not left behind by a signal.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn requested() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The same, or the end of so many seconds from now if they are given.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn requested_within(seconds: Option<u64>) -> std::io::Result<impl Future<Output = ()> + Send> {
    let signal = requested()?;
    let end = seconds.map(|seconds| tokio::time::sleep(Duration::from_secs(seconds)));
    Ok(async move {
        let Some(end) = end else {
            return signal.await;
        };
        tokio::select! {
            () = signal => {}
            () = end => {}
        }
    })
}
