//! The ways out: what others read of the published snapshots. Nothing here asks a source.

pub mod health;
pub mod http;
pub mod json_api;
pub mod natural_order;
pub mod prometheus;
pub mod sources_view;
pub mod view;
