//! Threads for one part of the service alone, so that nothing of the others keeps it waiting, or shares its memory.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of its own, which ends without waiting for what still runs in it.
#[derive(Debug)]
pub(super) struct OwnRuntime {
    handle: Handle,
    /// Taken at the end.
    runtime: Option<Runtime>,
}

impl OwnRuntime {
    /// Starts its threads. Of those that answer KEDA a second is there for the calls that come while one registers a target.
    pub fn of_callers() -> io::Result<Self> {
        Self::start("callers", 2)
    }

    /// As that. Polls have one thread: glibc keeps freed memory for each thread, so every thread that polls ends up keeping the memory
    /// of a whole poll. With 10,000 partitions and two threads a second one cost 25 MB.
    pub fn of_polls() -> io::Result<Self> {
        Self::start("polls", 1)
    }

    fn start(name: &str, threads: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let threads = builder.worker_threads(threads).thread_name(name);
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

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
