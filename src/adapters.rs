//! What faces outwards. Adapters read published snapshots; they never call a source.

pub mod calls_view;
pub mod condition;
pub mod grpc;
pub mod health;
pub mod http;
pub mod json_api;
pub mod natural_order;
pub mod packed;
pub mod page;
pub mod prometheus;
mod scrapes;
pub mod sources_view;
pub mod view;
pub mod views;
pub mod webhook;
