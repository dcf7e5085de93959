//! What faces outwards. Adapters read published snapshots; they never call a source.

pub mod grpc;
pub mod health;
pub mod http;
