//! The configuration file: raw types, validation, errors that say what, where and what to do.

pub mod types;
