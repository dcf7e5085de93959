//! The configuration file: raw types, validation, errors that say what, where and what to do.

pub mod allow;
pub mod metadata;
pub mod types;
