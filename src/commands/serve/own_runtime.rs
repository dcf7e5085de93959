//! The threads that answer KEDA: apart from polls, scrapes and pages, so that nothing of these keeps a caller waiting.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A second is there for the calls that come while one registers a target.
const THREADS: usize = 2;

/// A runtime of its own, which ends without waiting for what still runs in it.
#[derive(Debug)]
pub(super) struct CallersRuntime {
    handle: Handle,
    /// Taken at the end.
    runtime: Option<Runtime>,
}

impl CallersRuntime {
    /// Starts its threads.
    pub fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let threads = builder.worker_threads(THREADS).thread_name("callers");
        let runtime = threads.enable_all().build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for CallersRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
