//! What is known of a group, computed from observations. Pure: no I/O, no clock; `now` is an argument.

mod accounting;
pub mod baseline;
pub mod capacity;
pub mod commits;
pub mod downstream;
pub mod early;
pub mod facts;
pub mod fleet;
pub mod forecast;
pub mod group;
pub mod identity;
pub mod incident;
pub mod losses;
pub mod normal;
pub mod owners;
pub mod partition;
pub mod peaks;
pub mod progress;
pub mod quantity;
pub mod quiet;
pub mod rates;
pub mod sample;
pub mod signal;
pub mod standstill;
pub mod status;
pub mod stream;
pub mod time;
