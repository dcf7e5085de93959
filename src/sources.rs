//! Where observations come from: every kind of source behind one seam.

pub mod entra;
pub mod event_hubs;
pub mod guarded;
mod hourly;
mod redact;
pub mod redis_streams;
pub mod simulated;
mod source;

use self::event_hubs::EventHubs;
use self::guarded::GuardedSource;
use self::redis_streams::RedisStreams;
use crate::config::types::{SourceConfig, SourceKind};
use crate::resilience::breaker::BreakerSettings;

pub use self::source::{BoxFuture, GroupReader, Requests, RoomAsked, Source, call_deadline};

/// Opens a configured source behind its circuit breaker. It connects at the first poll.
pub fn open(config: &SourceConfig) -> GuardedSource {
    let settings = BreakerSettings::for_poll_interval(config.poll_interval);
    GuardedSource::new(&config.name, unguarded(config), settings)
}

/// The source itself, to be asked once.
pub fn unguarded(config: &SourceConfig) -> Box<dyn Source> {
    match &config.kind {
        SourceKind::Redis(redis) => {
            let timeout = call_deadline(config.poll_interval);
            Box::new(RedisStreams::new(redis.as_ref().clone(), timeout))
        }
        SourceKind::EventHubs(hub) => Box::new(EventHubs::open(hub, config.poll_interval)),
    }
}
