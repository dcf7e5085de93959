//! What is known of a group, computed from observations. Pure: no I/O, no clock; `now` is an argument.

pub mod identity;
pub mod quantity;
pub mod sample;
pub mod stream;
pub mod time;
