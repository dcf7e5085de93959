//! What keeps one failing source from harming the rest. Pure: `now` is an argument.

pub mod breaker;
pub mod budget;
pub mod caller;
