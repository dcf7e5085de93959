//! What has to hold whatever bytes come from outside: one function per parser. The fuzz targets call them with what the fuzzer makes
//! up; `cargo test` calls them with the seeds, so that neither seeds nor checks go stale.

mod azure;
mod redis_server;
mod text;

pub use azure::{amqp_reply, blob_listing, checkpoint_body};
pub use redis_server::{redis_replies, sample};
pub use text::{config_yaml, journal_records, state_file, trigger_metadata};

/// Panics if what has to hold does not.
pub type Check = fn(&[u8]);

/// Every check by the name of its target.
pub const CHECKS: [(&str, Check); 8] = [
    ("amqp_reply", amqp_reply),
    ("blob_listing", blob_listing),
    ("checkpoint_body", checkpoint_body),
    ("config_yaml", config_yaml),
    ("journal_records", journal_records),
    ("redis_replies", redis_replies),
    ("state_file", state_file),
    ("trigger_metadata", trigger_metadata),
];
