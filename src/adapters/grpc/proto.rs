//! Messages, client and server generated from `proto/externalscaler.proto`.
// Generated code carries no docs, and unwraps where its generator proved it safe.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic
)]

tonic::include_proto!("externalscaler");

/// The compiled proto, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("externalscaler");
